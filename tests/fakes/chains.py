"""A chain that thinks again at will, and the exchange's own side of it in memory, with a crash wherever wanted."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from exchange.chains.model import GONE, Arrival, Block, Cursor, Listing, Payment, Stage, Token
from exchange.ledger.model import Balance, Batch, Head, Movements, may_be_negative
from exchange.transfers.model import Transfer

from tests.fakes.wallets import Cuts

OURS = {"0xa1": 7, "0xa2": 8}
TOKEN = "0xc0"
LISTING = Listing("testchain", 1, 2, 4, (Token("ETH", 8, 18, deposit_min_units=10), Token("BTC", 8, 8, TOKEN)))


@dataclass
class FakeNode:
    """A chain of blocks, each with its payments; what is cut off is remembered, and can come back."""

    cuts: Cuts
    blocks: list[Block] = field(default_factory=lambda: [Block(0, "0x00")])
    paid: dict[str, list[Payment]] = field(default_factory=dict)
    count: int = 0
    rethinks: tuple[int, int] = (0, 0)  # before which question of a run it drops how many blocks

    def _ask(self) -> None:
        at, depth = self.rethinks
        if at == 1:
            for _ in range(len(self.cut(depth)) + 1):
                self.mine()
        self.rethinks = (max(at - 1, 0), depth)

    def height(self) -> int:
        self._ask()
        return self.cuts.reach(lambda: self.blocks[-1].number)

    def block(self, number: int) -> Block | None:
        self._ask()
        return self.cuts.reach(lambda: self.blocks[number] if number < len(self.blocks) else None)

    def payments(self, block: Block) -> Sequence[Payment]:
        return self.cuts.reach(lambda: self.paid.get(block.hash, []))

    def mine(self, payments: Iterable[Payment] = ()) -> None:
        """One more block."""
        self.count += 1
        tip = self.blocks[-1]
        block = Block(tip.number + 1, hashlib.sha256(f"{self.count}".encode()).hexdigest()[:12], tip.hash)
        self.paid[block.hash] = list(payments)
        self.blocks.append(block)

    def cut(self, depth: int) -> list[Block]:
        """Drop the newest blocks; the first one stays."""
        kept = max(1, len(self.blocks) - depth)
        dropped, self.blocks = self.blocks[kept:], self.blocks[:kept]
        return dropped

    def canonical(self, arrival: Arrival) -> bool:
        """Whether an arrival's block is in the chain."""
        known = arrival.block_number < len(self.blocks)
        return known and self.blocks[arrival.block_number].hash == arrival.block_hash


@dataclass
class FakeChainLedger:
    """The tables that a chain's watcher writes, with the conditions of the real writes."""

    cuts: Cuts
    kept: Cursor = field(default_factory=lambda: Cursor((Block(0, "0x00"),)))
    rows: dict[str, Arrival] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    transfers: dict[str, Transfer] = field(default_factory=dict)
    chain: list[Batch] = field(default_factory=list)
    available: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    held: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    def cursor(self, chain: str) -> Cursor:
        return self.kept

    def save_cursor(self, chain: str, cursor: Cursor) -> bool:
        return self.cuts.reach(lambda: self._save_cursor(cursor))

    def _save_cursor(self, cursor: Cursor) -> bool:
        if cursor.version != self.kept.version + 1:
            return False
        self.kept = cursor
        return True

    def owners(self, chain: str, addresses: Iterable[str]) -> Mapping[str, int]:
        return {address: OURS[address] for address in addresses if address in OURS}

    def note(self, arrival: Arrival) -> None:
        self.cuts.reach(lambda: self._note(arrival))

    def _note(self, arrival: Arrival) -> None:
        known = self.rows.get(arrival.key)
        if known is None:
            self.rows[arrival.key] = arrival
        elif known.stage in GONE:
            self.rows[arrival.key] = replace(arrival, round=known.round).again()

    def arrivals(self, chain: str, *, from_block: int) -> Sequence[Arrival]:
        return [row for _, row in sorted(self.rows.items()) if row.block_number >= from_block]

    def orphan(self, arrival: Arrival) -> None:
        self.cuts.reach(lambda: self._to(arrival, Stage.ORPHANED))

    def _to(self, arrival: Arrival, stage: Stage) -> None:
        if self.rows[arrival.key] == arrival:
            self.rows[arrival.key] = replace(arrival, stage=stage)

    def head(self, partition: str) -> Head:
        return Head(self.chain[-1].number, self.chain[-1].hash()) if self.chain else Head()

    def balance(self, account_id: int, asset: str) -> Balance:
        key = str(account_id), asset
        return Balance(*key, self.available[key], self.held[key])

    def credit(self, arrival: Arrival, transfer: Transfer, batch: Batch, movements: Movements) -> bool:
        return self.cuts.reach(lambda: self._credit(arrival, transfer, batch, movements))

    def _credit(self, arrival: Arrival, transfer: Transfer, batch: Batch, movements: Movements) -> bool:
        if arrival.mark in self.marks or not self._post(arrival, transfer, batch, movements):
            return False
        self.marks[arrival.mark] = arrival.key
        self._to(arrival, Stage.LOCKED)
        return True

    def unlock(self, arrival: Arrival, movements: Movements) -> bool:
        return self.cuts.reach(lambda: self._unlock(arrival, movements))

    def _unlock(self, arrival: Arrival, movements: Movements) -> bool:
        transfer = self.transfers[arrival.transfer_id]
        if transfer.locked_units != arrival.units or self.rows[arrival.key] != arrival or not self._move(movements):
            return False
        self.transfers[arrival.transfer_id] = replace(transfer, locked_units=0)
        self._to(arrival, Stage.FREE)
        return True

    def reverse(self, arrival: Arrival, transfer: Transfer, batch: Batch, movements: Movements) -> bool:
        return self.cuts.reach(lambda: self._reverse(arrival, transfer, batch, movements))

    def _reverse(self, arrival: Arrival, transfer: Transfer, batch: Batch, movements: Movements) -> bool:
        if self.marks.get(arrival.mark) != arrival.key or not self._post(arrival, transfer, batch, movements):
            return False
        undone = self.transfers[arrival.transfer_id]
        self.transfers[arrival.transfer_id] = replace(undone, locked_units=0, reversed_by=transfer.transfer_id)
        del self.marks[arrival.mark]
        self._to(arrival, Stage.REVERSED)
        return True

    def _post(self, arrival: Arrival, transfer: Transfer, batch: Batch, movements: Movements) -> bool:
        late = batch.number != self.head("").number + 1 or self.rows[arrival.key] != arrival
        if late or transfer.transfer_id in self.transfers or not self._move(movements):
            return False
        self.transfers[transfer.transfer_id] = transfer
        self.chain.append(batch)
        return True

    def _move(self, movements: Movements) -> bool:
        rows = movements.moving()
        for account, asset, move in rows:
            poor = self.available[account, asset] + move.available < 0 or self.held[account, asset] + move.held < 0
            if poor and not may_be_negative(account):
                return False
        for account, asset, move in rows:
            self.available[account, asset] += move.available
            self.held[account, asset] += move.held
        return True

    def spend(self, account_id: int, asset: str, taken: Callable[[int], int]) -> None:
        """The customer gives something of what is available to somebody else."""
        had = self.available[str(account_id), asset]
        units = taken(had)
        self.available[str(account_id), asset] -= units
        self.available["9", asset] += units
