"""Confirmations: every settled trade is in one of them, each names its batch, and what was not taken is told again."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from exchange.aws.event_bus import ENTRIES_MAX, EventBus
from exchange.kernel.errors import UnavailableError
from exchange.ledger.model import GENESIS, Batch, Entry, EntryKind
from exchange.settlement.confirming import SOURCE, TRADE_BUSTED, TRADES_SETTLED, Detail, confirm, confirmation

from bench.settlement_flow import traded


@dataclass
class Heard:
    """A bus that remembers."""

    events: list[tuple[str, Detail]] = field(default_factory=list)

    def publish(self, kind: str, details: Any) -> None:
        self.events += [(kind, detail) for detail in details]


@dataclass
class Service:
    """EventBridge, which takes everything, or leaves the last entry of a request, or is away."""

    leaves: int = 0
    requests: list[list[dict[str, str]]] = field(default_factory=list)

    def put_events(self, **request: list[dict[str, str]]) -> Any:
        self.requests.append(request["Entries"])
        return {"FailedEntryCount": self.leaves}


def entries(trade_id: str = "7") -> tuple[Entry, ...]:
    return (Entry("1", "USD", -5, EntryKind.MATCH, trade_id), Entry("2", "USD", 5, EntryKind.MATCH, trade_id))


def test_every_trade_of_a_day_is_confirmed_once_by_the_batches_that_settled_it() -> None:
    venue = traded(0, 60, one_maker=True)
    venue.settle()
    heard = Heard()
    batches = [batch for batch, _ in venue.tables.batches["product:A0-USD"]]
    assert confirm(batches, heard) == len(batches) > 1
    trades = Counter(trade for _, detail in heard.events for trade in detail["trade_ids"])  # type: ignore[union-attr]
    assert trades == Counter(range(1, 61))
    assert len({detail["id"] for _, detail in heard.events}) == len(batches)
    sequences = [detail["sequence"] for _, detail in heard.events]
    assert sequences == sorted(sequences)
    again = Heard()
    confirm(batches, again)
    assert again == heard, "the same batches say the same, so a repeat is known by its id"


def test_a_bust_is_told_by_its_trade_and_a_transfer_not_at_all() -> None:
    bust = confirmation(Batch("busts:A0-USD", 1, GENESIS, 10**18, "7", entries()))
    assert bust is not None
    assert (bust.kind, bust.detail["trade_id"], bust.detail["id"]) == (TRADE_BUSTED, 7, "busts:A0-USD/1")
    for partition in ("rail:sandbox-bank", "profiles:1", "rail:chain-ethereum"):
        assert confirmation(Batch(partition, 1, GENESIS, 10**18, "a transfer", entries())) is None


def test_a_request_takes_as_many_as_it_may() -> None:
    service = Service()
    EventBus(service, "bus", SOURCE).publish(TRADES_SETTLED, [{"id": str(n)} for n in range(2 * ENTRIES_MAX + 1)])
    assert [len(request) for request in service.requests] == [ENTRIES_MAX, ENTRIES_MAX, 1]
    assert service.requests[0][0] == {
        "EventBusName": "bus",
        "Source": SOURCE,
        "DetailType": TRADES_SETTLED,
        "Detail": '{"id": "0"}',
    }


def test_what_was_not_taken_is_an_outage() -> None:
    with pytest.raises(UnavailableError):
        EventBus(Service(leaves=1), "bus", SOURCE).publish(TRADES_SETTLED, [{"id": "0"}])
