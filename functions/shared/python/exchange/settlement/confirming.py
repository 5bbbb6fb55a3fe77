"""Settlement confirmations: an event on the bus for each settled part that moved money, and for each trade undone.

They are made from the journal's own stream, so behind the write that they tell of and never in it: each at least once,
in no promised order. `id` names the batch of the journal, so whoever was told twice knows. See docs/events.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from exchange.kernel.clock import iso_utc
from exchange.ledger.model import Batch, EntryKind
from exchange.settlement.busting import busts_partition
from exchange.settlement.model import journal_partition

SOURCE = "exchange.settlement"
TRADES_SETTLED, TRADE_BUSTED = "TradesSettled", "TradeBusted"
Detail = dict[str, str | int | list[int]]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One event: what happened, and its detail. It carries no amounts: whoever may see those reads them by the ids."""

    kind: str
    detail: Detail


class Bus(Protocol):
    """Where events are published."""

    def publish(self, kind: str, details: Sequence[Detail]) -> None:
        """Publish events of one kind, all or raise OutageError; again is harmless."""
        ...


def confirmation(batch: Batch) -> Confirmation | None:
    """What a batch of the journal confirms; None where it is not of trades."""
    _, _, product_id = batch.partition.partition(":")
    told: Detail = {
        "id": f"{batch.partition}/{batch.number}",
        "product_id": product_id,
        "posted_at": iso_utc(batch.posted_at_ns),
        "journal_hash": batch.hash().hex(),
    }
    if batch.partition == busts_partition(product_id):
        return Confirmation(TRADE_BUSTED, {**told, "trade_id": int(batch.reference)})
    if batch.partition != journal_partition(product_id):
        return None
    trades = sorted({int(entry.reference) for entry in batch.entries if entry.kind is EntryKind.MATCH})
    return Confirmation(TRADES_SETTLED, {**told, "sequence": int(batch.reference), "trade_ids": trades})


def confirm(batches: Iterable[Batch], bus: Bus) -> int:
    """Publish what batches confirm; return how many events. Raises OutageError; doing it again is harmless."""
    found = [each for each in map(confirmation, batches) if each is not None]
    for kind in (TRADES_SETTLED, TRADE_BUSTED):
        details = [each.detail for each in found if each.kind == kind]
        if details:
            bus.publish(kind, details)
    return len(found)
