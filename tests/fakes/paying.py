"""A chain that takes nonces, forgets what waits and thinks again; departures in memory; a crash wherever wanted."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from exchange.chains.departures import Departure, Fees, Mined, Unswept, Version
from exchange.chains.model import Block, Listing, Place, Token
from exchange.ledger.model import Batch, Movements

from tests.fakes.wallets import Cuts, FakeBooks, FakeTransfers

HOT, COLD, TOKEN = "0x40", "0xc01d", "0xc0"
COIN = Token("ETH", 8, 18, hot_min_units=10**7, hot_max_units=11 * 10**8)
GOLD = Token("BTC", 8, 8, TOKEN, network_fee_units=7, hot_max_units=11 * 10**8)
LISTING = Listing(
    "testchain", 1, 2, 4, (COIN, GOLD), hot_address=HOT, cold_address=COLD, raise_after_seconds=60, fee_max=10**12
)
GAS = 21_000
SWEPT = ["0xa1", "0xa2"]


@dataclass(frozen=True)
class Sent:
    """What a version says, as a node reads it from the bytes."""

    name: str
    sender: str
    nonce: int
    recipient: str
    contract: str
    base_units: int
    fee: int
    refused: bool = False


@dataclass
class FakeChain:
    """Blocks of payments. A nonce is taken once, in order, by whatever offers enough; what waits may be forgotten."""

    cuts: Cuts = field(default_factory=Cuts)
    blocks: list[tuple[Block, list[Sent]]] = field(default_factory=lambda: [(Block(0, "0xb0"), [])])
    waiting: dict[str, Sent] = field(default_factory=dict)
    base_fee: int = 10**9
    known: dict[str, Sent] = field(default_factory=dict)
    funds: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    refuses: set[str] = field(default_factory=set)  # recipients that take nothing, from now on
    rejects: set[str] = field(default_factory=set)  # recipients whose payments fail when they are mined
    count: int = 0

    def height(self) -> int:
        return self.cuts.reach(lambda: self.blocks[-1][0].number)

    def block(self, number: int) -> Block | None:
        return self.cuts.reach(lambda: self.blocks[number][0] if number < len(self.blocks) else None)

    def fees(self) -> Fees:
        return self.cuts.reach(lambda: Fees(self.base_fee, 10**8))

    def gas(self, departure: Departure) -> int | None:
        return self.cuts.reach(lambda: None if departure.recipient in self.refuses else GAS)

    def broadcast(self, version: Version) -> None:
        self.cuts.reach(lambda: self._take(self.known[version.hash]))

    def _take(self, sent: Sent) -> None:
        rivals = [each for each in self.waiting.values() if (each.sender, each.nonce) == (sent.sender, sent.nonce)]
        if sent.nonce < self.used(sent.sender) or any(each.fee * 11 > sent.fee * 10 for each in rivals):
            return
        for rival in rivals:
            del self.waiting[rival.name]
        self.waiting[sent.name] = sent

    def mined(self, versions: Sequence[Version]) -> Mined | None:
        return self.cuts.reach(lambda: self._mined({version.hash for version in versions}))

    def _mined(self, names: set[str]) -> Mined | None:
        for block, payments in self.blocks:
            for sent in payments:
                if sent.name in names:
                    return Mined(sent.name, block, not sent.refused, self.cost(sent))
        return None

    def nonce_user(self, address: str, nonce: int, *, until: Block) -> Mined | None:
        return self.cuts.reach(lambda: self._nonce_user(address, nonce, until.number))

    def _nonce_user(self, address: str, nonce: int, until: int) -> Mined | None:
        for block, payments in self.blocks[: until + 1]:
            for sent in payments:
                if (sent.sender, sent.nonce) == (address, nonce):
                    return Mined(sent.name, block, not sent.refused, self.cost(sent))
        return None

    def balance(self, address: str, contract: str, block: Block | None) -> int:
        return self.cuts.reach(lambda: self.has(address, contract))

    # What the test does and sees.

    def has(self, address: str, contract: str) -> int:
        """What an address has now."""
        units = self.funds[address, contract]
        for _, payments in self.blocks:
            for sent in payments:
                if sent.contract == contract and not sent.refused:
                    units += sent.base_units * ((sent.recipient == address) - (sent.sender == address))
                if not contract and sent.sender == address:
                    units -= self.cost(sent)
        return units

    @staticmethod
    def cost(sent: Sent) -> int:
        """What it cost: not a whole number of our units."""
        return GAS * min(sent.fee, 10**9 + 1)

    def used(self, address: str) -> int:
        """How many nonces of an address are used."""
        return sum(sent.sender == address for _, payments in self.blocks for sent in payments)

    def mine(self, *, room: int = 10) -> None:
        """One more block, with what offers enough, each sender's in the order of its nonces."""
        payments: list[Sent] = []
        for sent in sorted(self.waiting.values(), key=lambda each: (each.sender, each.nonce)):
            due = self.used(sent.sender) + sum(each.sender == sent.sender for each in payments)
            if sent.nonce == due and sent.fee >= self.base_fee and len(payments) < room:
                payments.append(replace(sent, refused=sent.recipient in self.rejects))
        for sent in payments:
            del self.waiting[sent.name]
        self.count += 1
        self.blocks.append((Block(len(self.blocks), f"0xb{self.count}"), payments))

    def cut(self, depth: int) -> None:
        """Drop the newest blocks; what they had waits again."""
        for _ in range(min(depth, len(self.blocks) - 1)):
            _, payments = self.blocks.pop()
            for sent in payments:
                self.waiting[sent.name] = replace(sent, refused=False)

    def forget(self) -> None:
        """What waits is lost, as where a node starts anew."""
        self.waiting.clear()


@dataclass
class FakeWallet:
    """Signs, and remembers what."""

    chain: FakeChain

    def sign(self, departure: Departure, *, fee: int, tip: int, at_ns: int) -> Version:
        name = f"0x{departure.sender}:{departure.nonce}:{departure.recipient}:{departure.base_units}:{fee}:{tip}"
        parts = departure.recipient, departure.contract, departure.base_units
        self.chain.known[name] = Sent(name, departure.sender, departure.nonce, *parts, fee)
        return Version(name, name, fee, tip, at_ns)


@dataclass
class FakeDepartures:
    """The writes of departures, with the conditions of the real ones; what is posted goes to the books."""

    books: FakeBooks
    cuts: Cuts = field(default_factory=Cuts)
    rows: dict[str, Departure] = field(default_factory=dict)
    nonces: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    may_be_swept: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    history: dict[str, list[Departure]] = field(default_factory=lambda: defaultdict(list))

    def open(self, chain: str, place: Place, *, limit: int) -> Sequence[Departure]:
        rows = sorted(self.rows.values(), key=lambda row: (row.asked_at_ns, row.departure_id))
        return [row for row in rows if row.place is place and not row.posted][:limit]

    def departure(self, chain: str, departure_id: str) -> Departure | None:
        return self.rows.get(departure_id)

    def next_nonce(self, chain: str, address: str) -> int:
        return self.nonces[address]

    def unswept(self, chain: str) -> Mapping[str, Mapping[str, int]]:
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for (address, contract), units in self.may_be_swept.items():
            found[address][contract] = units
        return found

    def ask(self, departure: Departure, unswept: Unswept) -> bool:
        return self.cuts.reach(lambda: self._ask(departure, unswept))

    def _ask(self, departure: Departure, unswept: Unswept) -> bool:
        short = any(self.may_be_swept[key] + change < 0 for key, change in unswept.items())
        if departure.departure_id in self.rows or short:
            return False
        self._put(departure)
        self._sweepable(unswept)
        return True

    def bind(self, due: Departure, signed: Departure) -> bool:
        return self.cuts.reach(lambda: self._bind(due, signed))

    def _bind(self, due: Departure, signed: Departure) -> bool:
        if self.rows[due.departure_id] != due or self.nonces[due.sender] != signed.nonce:
            return False
        self.nonces[due.sender] += 1
        self._put(signed)
        return True

    def replace(self, before: Departure, after: Departure) -> bool:
        return self.cuts.reach(lambda: self._replace(before, after))

    def _replace(self, before: Departure, after: Departure) -> bool:
        if self.rows[before.departure_id] != before:
            return False
        self._put(after)
        return True

    def post(self, decided: Departure, batch: Batch | None, movements: Movements, unswept: Unswept) -> bool:
        return self.cuts.reach(lambda: self._post(decided, batch, movements, unswept))

    def _post(self, decided: Departure, batch: Batch | None, movements: Movements, unswept: Unswept) -> bool:
        chain = self.books.chains[batch.partition] if batch else []
        if self.rows[decided.departure_id] != decided or (batch and batch.number != len(chain) + 1):
            return False
        if batch:
            chain.append(batch)
        for account, asset, move in movements.moving():
            self.books.balances[account, asset] += move.available
        self._put(decided.closed())
        self._sweepable(unswept)
        return True

    def note_fees(self, chain: str, fees: Fees, *, at_ns: int) -> None:
        return None

    def _put(self, departure: Departure) -> None:
        self.rows[departure.departure_id] = departure
        self.history[departure.departure_id].append(departure)

    def _sweepable(self, unswept: Unswept) -> None:
        for key, change in unswept.items():
            self.may_be_swept[key] += change


@dataclass
class FakePayees(FakeTransfers):
    """The transfers table, with the hash that a withdrawal is paid by."""

    def note_sent(self, transfer_id: str, crypto_transaction: str) -> None:
        """Note it."""
        self.cuts.reach(lambda: self._note_sent(transfer_id, crypto_transaction))

    def _note_sent(self, transfer_id: str, crypto_transaction: str) -> None:
        row = self.rows[transfer_id]
        if row.status == "pending":
            self.rows[transfer_id] = replace(row, crypto_transaction=crypto_transaction)
