"""What settlement does with records that repeat, contradict, or leave something out."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from exchange.audit import check
from exchange.fees.model import Rates
from exchange.messages import (
    EventRecord,
    EventType,
    OrderType,
    RejectReason,
    Side,
    decode_events,
    encode_commands,
    encode_event_records,
)
from exchange.orders.model import Order
from exchange.risk.model import OrderTerms
from exchange.settlement.model import PART_ITEMS_MAX, Cursor, GapError, SplitBrainError, fresh_results, plan_parts
from exchange.settlement.service import settle
from exchange.trading.model import place_command
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.executors import InlineExecutor
from tests.fakes.markets import acme_usd
from tests.fakes.venue import Tables, Venue


def traded_venue(makers: int = 3) -> Venue:
    """One taker has bought from `makers` sellers; nothing is settled yet."""
    venue = Venue(acme_usd(open_orders_max=100_000), Rates(maker_ppm=1_000, taker_ppm=2_000))
    venue.deposit(1, "USD", 10**15)
    for seller in range(2, makers + 2):
        venue.deposit(seller, "ACME", 10**9)
        venue.place(seller, OrderTerms(Side.SELL, OrderType.LIMIT, "100", "1"))
    venue.place(1, OrderTerms(Side.BUY, OrderType.LIMIT, "100", str(makers)))
    venue.match()
    return venue


def records_of(venue: Venue) -> list[EventRecord]:
    return [decode_events(data) for data in venue.executions]


def test_settled_records_change_nothing() -> None:
    venue = traded_venue()
    venue.settle()
    before = dict(venue.tables.balances)
    again = venue.settle()
    assert (again.parts, again.trades) == (0, 0)
    assert venue.tables.balances == before


def test_who_reads_orders_behind_its_cursor_looks_again() -> None:
    """Another settled the same records between the read of the cursor and the read of the orders."""
    venue = traded_venue()
    read = venue.tables.orders

    class Overtaken(Tables):
        """Tables that somebody else settles in just before the first read of orders."""

        overtaken = False

        def orders(self, order_ids: Iterable[int]) -> Sequence[Order]:
            """The orders, settled by then."""
            if not self.overtaken:
                self.overtaken = True
                venue.settle()
            return read(order_ids)

    tables = venue.tables
    late = Overtaken(tables.balances, tables.stored, tables.written, tables.batches, tables.cursors)
    done = settle(
        venue.product,
        records_of(venue),
        store=late,
        clock=venue.clock,
        executor=InlineExecutor(),
        pause=lambda _: None,
    )
    assert done.parts == 0
    assert [breach for finding in check(venue.world()) for breach in finding.breaches] == []


def test_a_missing_record_stops_settlement() -> None:
    venue = traded_venue()
    [record] = records_of(venue)
    late = replace(record, results=record.results[1:], first_sequence=record.results[1].events[0].sequence)
    with pytest.raises(GapError, match="expected sequence 1"):
        fresh_results(Cursor.start("ACME-USD"), [replace(late, hash_before=record.results[0].hash_after)])


def test_other_bytes_under_a_settled_sequence_are_a_split_brain() -> None:
    venue, other = traded_venue(), traded_venue(makers=2)
    venue.settle()
    cursor = venue.tables.cursor("ACME-USD")
    [record] = records_of(other)
    same_end = replace(cursor, hash_sequence=record.last_sequence)
    with pytest.raises(SplitBrainError, match="other bytes"):
        fresh_results(same_end, [record])


def test_a_record_that_does_not_follow_the_settled_bytes_is_a_split_brain() -> None:
    venue = traded_venue()
    [record] = records_of(venue)
    with pytest.raises(SplitBrainError, match="other bytes"):
        fresh_results(replace(Cursor.start("ACME-USD"), hash=bytes(32)), [record])


def test_a_duplicate_place_ends_no_order() -> None:
    """The engine may have forgotten a command's id and still know the order's: the order lives on."""
    venue = traded_venue()
    order = venue.place(2, OrderTerms(Side.SELL, OrderType.LIMIT, "101", "1"))
    assert isinstance(order, Order)
    again = replace(place_command(order), command_id=bytes(15) + b"x")
    venue.stream.records.append(encode_commands("ACME-USD", [again]))
    venue.match()
    rejected = [e for r in records_of(venue) for x in r.results for e in x.events if e.type == EventType.REJECTED]
    assert [event.reason for event in rejected] == [RejectReason.DUPLICATE_ORDER_ID]
    venue.settle()
    stored = venue.tables.order(order.order_id)
    assert stored is not None
    assert stored.live
    assert [breach for finding in check(venue.world()) for breach in finding.breaches] == []


def test_one_taker_over_many_makers_is_settled_in_parts_that_fit() -> None:
    venue = traded_venue(makers=400)
    records = records_of(venue)
    results, epoch = fresh_results(Cursor.start("ACME-USD"), records)
    parts = list(
        plan_parts(venue.product, Cursor.start("ACME-USD"), results, dict(venue.tables.stored), epoch=epoch, now_ns=1)
    )
    assert len(parts) > 15
    assert max(part.items for part in parts) <= PART_ITEMS_MAX
    assert all(later.before == earlier.after for earlier, later in pairwise(parts))
    venue.settle()
    assert [breach for finding in check(venue.world()) for breach in finding.breaches] == []


@given(cut=st.integers(min_value=1, max_value=12))
def test_another_matchers_cuts_settle_to_the_same_end(cut: int) -> None:
    """A failover cuts records elsewhere, in a later epoch, and says the same."""
    venue = traded_venue()
    [record] = records_of(venue)
    first, rest = record.results[:cut], record.results[cut:]
    pieces = encode_event_records("ACME-USD", 1, first, hash_before=record.hash_before)
    if rest:
        pieces += encode_event_records("ACME-USD", 2, rest, hash_before=first[-1].hash_after)
    venue.executions = [*pieces, *venue.executions]
    venue.settle()
    assert venue.tables.cursor("ACME-USD").hash == record.hash_at_end
    assert [b for f in check(venue.world()) if f.name != "R7" for b in f.breaches] == []
