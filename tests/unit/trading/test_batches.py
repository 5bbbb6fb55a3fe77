"""Many orders at once, and dry runs: what becomes of each, and what is left behind."""

import pytest
from exchange.fees.model import Rates
from exchange.kernel.errors import Code, Refused
from exchange.kernel.ids import order_id_for, to_uuid
from exchange.messages import Op, OrderType, Side, StopKind, decode_commands
from exchange.orders.model import Order
from exchange.risk.model import OrderTerms
from exchange.trading.model import Intent, Trader
from exchange.trading.placing import try_order
from exchange.trading.service import cancel_orders

from tests.fakes.markets import acme_usd
from tests.fakes.venue import Venue


def buy(size: str, price: str = "100") -> OrderTerms:
    """A limit buy."""
    return OrderTerms(Side.BUY, OrderType.LIMIT, price, size)


def sell(size: str, price: str = "101") -> OrderTerms:
    """A limit sell."""
    return OrderTerms(Side.SELL, OrderType.LIMIT, price, size)


@pytest.fixture
def venue() -> Venue:
    """A customer with 1,000 USD and 5 ACME, who may have four orders open on each."""
    opened = Venue(acme_usd(open_orders_max=4), Rates(maker_ppm=0, taker_ppm=0))
    opened.deposit(1, "USD", 1_000_000_000)
    opened.deposit(1, "ACME", 50_000)
    return opened


def codes(placed: list[Order | Refused] | Refused) -> list[Code | None]:
    """The refusals in a batch's answer; None for an order."""
    assert isinstance(placed, list)
    return [answer.code if isinstance(answer, Refused) else None for answer in placed]


def test_a_batch_is_one_record_with_a_command_for_each_order(venue: Venue) -> None:
    placed = venue.place_batch(1, [(buy("1"), "a"), (sell("2"), "b"), (buy("3"), "")])
    assert codes(placed) == [None] * 3
    [record] = venue.stream.records
    assert isinstance(placed, list)
    ids = [order.order_id for order in placed if isinstance(order, Order)]
    assert [command.order_id for command in decode_commands(record).commands] == ids
    assert venue.tables.balance(1, "USD").held == 400_000_000
    assert venue.tables.balance(1, "ACME").held == 20_000


def test_each_order_is_answered_for_itself(venue: Venue) -> None:
    asked = [(buy("1"), "a"), (buy("0.0001"), "b"), (buy("20"), "c"), (buy("9"), "d"), (buy("0.001"), "e")]
    assert codes(venue.place_batch(1, asked)) == [
        None,
        Code.RISK_SIZE_TOO_SMALL,
        Code.RISK_INSUFFICIENT_FUNDS,
        None,
        Code.RISK_INSUFFICIENT_FUNDS,
    ]
    assert venue.tables.balance(1, "USD").available == 0
    assert len(venue.tables.stored) == 2


def test_all_or_none_leaves_nothing_where_one_is_refused(venue: Venue) -> None:
    for bad in (buy("0.0001"), buy("20")):
        refused = venue.place_batch(1, [(buy("1"), "a"), (bad, "b")], whole=True)
        assert isinstance(refused, Refused)
        assert refused.message.startswith("orders.1: ")
    assert not venue.tables.stored
    assert not venue.stream.records
    assert codes(venue.place_batch(1, [(buy("1"), "a"), (sell("1"), "b")], whole=True)) == [None, None]


def test_a_repeated_batch_answers_with_its_first_orders_and_places_the_rest(venue: Venue) -> None:
    first = venue.place_batch(1, [(buy("1"), "a"), (buy("2"), "b")])
    again = venue.place_batch(1, [(buy("1"), "a"), (buy("2"), "b"), (sell("1"), "c"), (sell("1"), "a")])
    assert isinstance(first, list)
    assert isinstance(again, list)
    assert again[:2] == first
    assert codes(again) == [None, None, None, Code.ORDER_CLIENT_OID_REUSED]
    assert len(venue.tables.stored) == 3
    assert len(decode_commands(venue.stream.records[-1]).commands) == 1


def test_two_of_a_batch_with_one_name_are_one_order_or_a_refusal(venue: Venue) -> None:
    placed = venue.place_batch(1, [(buy("1"), "a"), (buy("1"), "a"), (buy("2"), "a")])
    assert isinstance(placed, list)
    assert placed[0] == placed[1]
    assert codes(placed) == [None, None, Code.ORDER_CLIENT_OID_REUSED]
    assert len(venue.tables.stored) == 1


def test_a_batch_opens_no_more_orders_than_a_balance_may_have(venue: Venue) -> None:
    placed = venue.place_batch(1, [(buy("1"), "") for _ in range(6)])
    assert codes(placed) == [None] * 4 + [Code.RISK_TOO_MANY_OPEN_ORDERS] * 2


def test_a_batch_whose_record_was_lost_is_not_refused(venue: Venue) -> None:
    venue.stream.failing = True
    assert codes(venue.place_batch(1, [(buy("1"), "a"), (buy("2"), "b")])) == [None, None]


def test_a_dry_run_answers_as_placing_would_and_leaves_no_trace(venue: Venue) -> None:
    trader = Trader("user-1", 1, None)

    def tried(terms: OrderTerms, client_oid: str = "") -> Order | Refused:
        return try_order(venue.desk, trader, "ACME-USD", terms, Intent(client_oid, repr(terms)))

    found = tried(buy("1"))
    assert isinstance(found, Order)
    assert found.hold_units == 100_000_000
    for terms, code in (
        (buy("0.0001"), Code.RISK_SIZE_TOO_SMALL),
        (buy("11"), Code.RISK_INSUFFICIENT_FUNDS),
        (sell("6"), Code.RISK_INSUFFICIENT_FUNDS),
        (buy("2000", "0.01"), Code.RISK_SIZE_TOO_LARGE),
    ):
        refused = tried(terms)
        assert isinstance(refused, Refused)
        assert refused.code is code
    assert not venue.tables.stored
    assert not venue.stream.records
    placed = venue.place(1, buy("1"), "mine")
    assert tried(buy("1"), "mine") == placed
    assert isinstance(tried(buy("2"), "mine"), Refused)


def test_named_cancels_of_one_market_are_one_record_and_leave_others_alone(venue: Venue) -> None:
    for name in ("a", "b", "c"):
        venue.place(1, buy("1"), name)
    venue.match()
    venue.settle()
    before = len(venue.stream.records)
    canceled = venue.cancel_named(1, ["client:a", "client:b", "client:nobody", to_uuid(7)])
    assert isinstance(canceled, list)
    assert sorted(order.client_oid for order in canceled) == ["a", "b"]
    [record] = venue.stream.records[before:]
    assert [command.op for command in decode_commands(record).commands] == [Op.CANCEL, Op.CANCEL]
    assert venue.cancel_named(2, ["client:a"]) == []
    assert isinstance(venue.cancel_named(1, ["client:c", "nonsense"]), Refused)


def test_cancels_of_one_side_leave_the_other(venue: Venue) -> None:
    venue.place_batch(1, [(buy("1"), "a"), (sell("1"), "b")])
    venue.match()
    venue.settle()
    canceled = cancel_orders(venue.desk, 1, None, Side.BUY)
    assert isinstance(canceled, list)
    assert [order.client_oid for order in canceled] == ["a"]
    venue.match()
    venue.settle()
    assert [order.client_oid for order in venue.tables.stored.values() if order.live] == ["b"]


def test_a_mass_cancel_reaches_orders_that_the_list_does_not_show_yet(venue: Venue) -> None:
    placed = venue.place(1, buy("1"), "a")
    assert isinstance(placed, Order)
    venue.match()
    venue.settle()
    listed = venue.tables.stored.pop(placed.order_id)
    assert cancel_orders(venue.desk, 1, None) == []
    venue.tables.stored[placed.order_id] = listed
    venue.match()
    venue.settle()
    assert not venue.tables.stored[placed.order_id].live


def test_two_of_one_batch_may_be_a_pair(venue: Venue) -> None:
    stop = OrderTerms(Side.SELL, OrderType.MARKET, "", "2", stop=StopKind.LOSS, stop_price="95", oco_order="client:a")
    placed = venue.place_batch(1, [(sell("2"), "a"), (stop, "b")])
    assert codes(placed) == [None, None]
    venue.match()
    venue.cancel(1, "client:a")
    venue.match()
    venue.settle()
    ended = venue.tables.order(order_id_for(1, "b"))
    assert ended is not None
    assert ended.cancel_reason == "oco"
    assert venue.tables.balance(1, "ACME").held == 0


def test_a_pair_whose_first_is_refused_has_no_second(venue: Venue) -> None:
    stop = OrderTerms(Side.SELL, OrderType.MARKET, "", "2", stop=StopKind.LOSS, stop_price="95", oco_order="client:a")
    placed = venue.place_batch(1, [(sell("0.0001"), "a"), (stop, "b")])
    assert codes(placed) == [Code.RISK_SIZE_TOO_SMALL, Code.REQUEST_FIELD_INVALID]
    assert venue.tables.balance(1, "ACME").held == 0
