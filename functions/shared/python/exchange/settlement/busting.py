"""A trade undone: every entry of it is posted again with the opposite sign, its fees among them.

The trade and its fills stay where they are; a bust stands beside them. Who has spent meanwhile what they must give back
gives what is available, and owes the rest. The tape of trades and the engine's log say what was traded, and still do.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from exchange.ledger.model import (
    HOUSE_PREFIX,
    Batch,
    Entry,
    EntryKind,
    Head,
    Movements,
    next_batch,
    receivable_account,
)
from exchange.messages import Side
from exchange.settlement.model import journal_partition

BUST = "trade.bust"
ENTRIES_A_TRADE_MIN = 4


@dataclass(frozen=True, slots=True)
class Bust:
    """What undoing one trade writes. `sides` has the account of each, whose fill is marked."""

    product_id: str
    trade_id: int
    sides: Mapping[Side, int]
    batch: Batch

    @property
    def movements(self) -> Movements:
        """What it does to balances."""
        movements = Movements()
        for entry in self.batch.entries:
            movements.of(entry.account, entry.asset).available += entry.units
        return movements


class Journal(Protocol):
    """Where trades are posted, and busts."""

    def head(self, partition: str) -> Head:
        """The last batch of a partition, as it is now."""
        ...

    def batch(self, partition: str, number: int) -> Batch | None:
        """One batch; None where there is none with this number."""
        ...


def busts_partition(product_id: str) -> str:
    """The journal's chain of a product's busts: the product's own is its settlement's, whose cursor has its end."""
    return f"busts:{product_id}"


def plan_bust(
    product_id: str, trade_id: int, *, journal: Journal, available: Callable[[str, str], int], posted_at_ns: int
) -> Bust | None:
    """Undo one settled trade; None where the product has settled no such trade. `available` is what an account has now.

    Raises:   UnavailableError.
    """
    entries = trade_entries(product_id, trade_id, journal)
    if len(entries) < ENTRIES_A_TRADE_MIN:
        return None
    partition = busts_partition(product_id)
    batch = next_batch(
        journal.head(partition),
        partition=partition,
        posted_at_ns=posted_at_ns,
        reference=str(trade_id),
        entries=opposite(entries, available),
    )
    return Bust(product_id, trade_id, _sides(product_id, entries), batch)


def opposite(entries: Iterable[Entry], available: Callable[[str, str], int]) -> list[Entry]:
    """The entries that undo others, and what their customers owe after it because they have too little available."""
    undone = [Entry(e.account, e.asset, -e.units, EntryKind.REVERSAL, e.reference) for e in entries]
    nets: dict[tuple[str, str], int] = {}
    for entry in undone:
        if not entry.account.startswith(HOUSE_PREFIX):
            nets[entry.account, entry.asset] = nets.get((entry.account, entry.asset), 0) + entry.units
    owed: list[Entry] = []
    for (account, asset), net in nets.items():
        missing = -net - max(available(account, asset), 0) if net < 0 else 0
        if missing > 0:
            reference = undone[0].reference
            owed.append(Entry(account, asset, missing, EntryKind.REVERSAL, reference))
            owed.append(Entry(receivable_account(int(account)), asset, -missing, EntryKind.REVERSAL, reference))
    return [*undone, *owed]


def _sides(product_id: str, entries: Iterable[Entry]) -> dict[Side, int]:
    base = product_id.split("-", maxsplit=1)[0]
    return {
        Side.BUY if entry.units > 0 else Side.SELL: int(entry.account)
        for entry in entries
        if entry.kind is EntryKind.MATCH and entry.asset == base
    }


def trade_entries(product_id: str, trade_id: int, journal: Journal) -> Sequence[Entry]:
    """The entries of a settled trade, none where there is no such. Raises UnavailableError."""
    batch = trade_batch(product_id, trade_id, journal)
    return [entry for entry in batch.entries if entry.reference == str(trade_id)] if batch else []


def trade_batch(product_id: str, trade_id: int, journal: Journal) -> Batch | None:
    """The batch that has a settled trade, or would have it; None where there is none. Trade ids rise along a product's
    chain.

    Raises:   UnavailableError.
    """
    partition = journal_partition(product_id)
    low, high = 1, journal.head(partition).number
    while low <= high:
        middle = (low + high) // 2
        batch = journal.batch(partition, middle)
        trades = [int(entry.reference) for entry in batch.entries] if batch else []
        if not trades or max(trades) < trade_id:
            low = middle + 1
        elif min(trades) > trade_id:
            high = middle - 1
        else:
            return batch
    return None
