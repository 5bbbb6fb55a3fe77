"""Order entry as customers meet it."""

from dataclasses import replace

import pytest
from exchange.audit import check
from exchange.fees.model import Rates
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.kernel.ids import order_id_for, to_uuid
from exchange.messages import OrderType, Side, StopKind, decode_commands
from exchange.orders.model import Fill, Order, OrderStatus
from exchange.risk.model import OrderTerms
from exchange.trading.model import order_json
from exchange.trading.service import cancel_orders, find_order, order_fills, sweep

from tests.fakes.markets import acme_usd
from tests.fakes.venue import Venue

BUY = OrderTerms(Side.BUY, OrderType.LIMIT, "100", "1")
SELL = OrderTerms(Side.SELL, OrderType.LIMIT, "100", "1")
STOP_LOSS = OrderTerms(Side.SELL, OrderType.MARKET, "", "1", stop=StopKind.LOSS, stop_price="95")


@pytest.fixture
def venue() -> Venue:
    """Two customers with money and shares."""
    opened = Venue(acme_usd(open_orders_max=3), Rates(maker_ppm=1_000, taker_ppm=2_000))
    for account in (1, 2):
        opened.deposit(account, "USD", 1_000_000_000)
        opened.deposit(account, "ACME", 100_000)
    return opened


def refusal(answer: Order | Refused | list[Order]) -> Code:
    """The code of a refusal."""
    assert isinstance(answer, Refused)
    return answer.code


def test_the_same_client_oid_and_payload_answers_with_the_first_order(venue: Venue) -> None:
    first = venue.place(1, BUY, "mine")
    again = venue.place(1, BUY, "mine")
    assert first == again
    assert len(venue.stream.records) == 1
    assert venue.tables.balance(1, "USD").open_orders == 1


def test_another_payload_under_a_client_oid_is_refused(venue: Venue) -> None:
    venue.place(1, BUY, "mine")
    assert refusal(venue.place(1, SELL, "mine")) is Code.ORDER_CLIENT_OID_REUSED
    assert isinstance(venue.place(2, SELL, "mine"), Order)


def test_a_repeat_is_answered_though_its_money_is_gone(venue: Venue) -> None:
    whole = OrderTerms(Side.BUY, OrderType.LIMIT, "99", "10")
    first = venue.place(1, whole, "mine")
    assert venue.place(1, whole, "mine") == first


def test_lack_of_funds_is_told_before_the_largest_size(venue: Venue) -> None:
    assert refusal(venue.place(1, OrderTerms(Side.BUY, OrderType.LIMIT, "100", "1001"))) is Code.RISK_INSUFFICIENT_FUNDS
    assert refusal(venue.place(1, OrderTerms(Side.BUY, OrderType.LIMIT, "0.01", "1001"))) is Code.RISK_SIZE_TOO_LARGE


def test_a_fourth_open_order_is_refused_and_a_done_one_makes_room(venue: Venue) -> None:
    placed = [venue.place(1, BUY) for _ in range(4)]
    assert refusal(placed[3]) is Code.RISK_TOO_MANY_OPEN_ORDERS
    assert isinstance(placed[0], Order)
    venue.cancel(1, to_uuid(placed[0].order_id))
    venue.match()
    venue.settle()
    assert isinstance(venue.place(1, BUY), Order)


def test_an_id_of_no_shape_is_told_from_an_unknown_one(venue: Venue) -> None:
    assert refusal(find_order(venue.desk, 1, "nonsense")) is Code.ORDER_ID_INVALID
    assert refusal(find_order(venue.desk, 1, "client:")) is Code.ORDER_ID_INVALID
    assert refusal(find_order(venue.desk, 1, to_uuid(7))) is Code.ORDER_NOT_FOUND
    assert refusal(find_order(venue.desk, 1, "0" * 32)) is Code.ORDER_NOT_FOUND


def test_an_unknown_product_is_refused(venue: Venue) -> None:
    assert refusal(cancel_orders(venue.desk, 1, "NO-PE")) is Code.PRODUCT_NOT_FOUND


def test_a_foreign_order_is_as_absent_as_a_missing_one(venue: Venue) -> None:
    order = venue.place(1, BUY)
    assert isinstance(order, Order)
    assert find_order(venue.desk, 2, to_uuid(order.order_id)) == find_order(venue.desk, 2, to_uuid(12345))
    assert refusal(venue.cancel(2, to_uuid(order.order_id))) is Code.ORDER_NOT_FOUND


def test_a_failed_put_leaves_the_order_pending_and_the_sweeper_sends_it(venue: Venue) -> None:
    venue.stream.failing = True
    order = venue.place(1, BUY, "mine")
    assert isinstance(order, Order)
    assert order.status is OrderStatus.PENDING
    venue.stream.failing = False
    assert sweep(venue.tables, venue.stream, venue.clock) == 0
    venue.clock.time_ns += 6_000_000_000
    assert sweep(venue.tables, venue.stream, venue.clock) == 1
    assert sweep(venue.tables, venue.stream, venue.clock) == 1
    ids = [command.command_id for data in venue.stream.records for command in decode_commands(data).commands]
    assert len(set(ids)) == 1
    venue.match()
    venue.settle()
    stored = venue.tables.order(order_id_for(1, "mine"))
    assert stored is not None
    assert stored.status is OrderStatus.OPEN


def test_a_cancel_that_can_not_be_sent_is_no_success(venue: Venue) -> None:
    order = venue.place(1, BUY)
    assert isinstance(order, Order)
    venue.stream.failing = True
    with pytest.raises(UnavailableError):
        venue.cancel(1, to_uuid(order.order_id))


@pytest.mark.parametrize("everything", [False, True])
def test_an_order_canceled_before_it_was_published_never_lives(venue: Venue, everything: bool) -> None:
    venue.stream.failing = True
    order = venue.place(1, BUY, "mine")
    assert isinstance(order, Order)
    venue.stream.failing = False
    if everything:
        venue.cancel_all(1)
    else:
        venue.cancel(1, to_uuid(order.order_id))
    venue.clock.time_ns += 6_000_000_000
    sweep(venue.tables, venue.stream, venue.clock)
    venue.match()
    venue.settle()
    ended = venue.tables.order(order.order_id)
    assert ended is not None
    assert (ended.status, ended.done_reason, ended.cancel_reason) == (OrderStatus.DONE, "canceled", "user")
    assert venue.tables.balance(1, "USD").held == 0
    assert [breach for finding in check(venue.world()) for breach in finding.breaches] == []


def test_a_done_order_can_not_be_canceled(venue: Venue) -> None:
    order = venue.place(1, BUY)
    assert isinstance(order, Order)
    venue.cancel(1, to_uuid(order.order_id))
    venue.match()
    venue.settle()
    assert refusal(venue.cancel(1, to_uuid(order.order_id))) is Code.ORDER_DONE


def _settled(venue: Venue, order: Order | Refused) -> Order:
    venue.match()
    venue.settle()
    assert isinstance(order, Order)
    stored = venue.tables.order(order.order_id)
    assert stored is not None
    return stored


def test_the_first_of_two_to_trade_cancels_the_other_and_frees_its_hold(venue: Venue) -> None:
    target = venue.place(1, replace(SELL, price="105"), "target")
    stop = venue.place(1, replace(STOP_LOSS, oco_order="client:target"))
    assert _settled(venue, stop).status is OrderStatus.ACTIVE
    assert venue.tables.balance(1, "ACME").held == 20_000
    venue.place(2, replace(BUY, price="105", size="0.1"))
    ended, kept = _settled(venue, stop), _settled(venue, target)
    assert (ended.status, ended.cancel_reason, ended.hold_units) == (OrderStatus.DONE, "oco", 0)
    assert (kept.status, kept.remaining_lots) == (OrderStatus.OPEN, 900)
    assert venue.tables.balance(1, "ACME").held == 9_000
    assert [breach for finding in check(venue.world()) for breach in finding.breaches] == []


def test_a_trailing_stop_follows_the_trades_and_shows_what_was_asked(venue: Venue) -> None:
    stop = venue.place(1, replace(STOP_LOSS, trail_amount="2"))
    venue.place(2, replace(SELL, price="103", size="0.1"))
    venue.place(1, replace(BUY, price="103", size="0.1"))
    asked = order_json(_settled(venue, stop), venue.product)
    assert (asked["status"], asked["stop_price"], asked["trail_amount"]) == ("active", "95", "2")
    venue.place(2, replace(BUY, price="101", size="0.2"))
    venue.place(1, replace(SELL, size="0.1"))
    assert _settled(venue, stop).filled_lots == 100
    assert [breach for finding in check(venue.world()) for breach in finding.breaches] == []


def test_an_iceberg_shows_a_part_at_a_time_and_holds_for_all_of_it(venue: Venue) -> None:
    iceberg = venue.place(2, replace(SELL, price="100", size="0.5", display_size="0.2"))
    plain = venue.place(2, replace(SELL, price="100", size="0.1"))
    shown = order_json(_settled(venue, iceberg), venue.product)
    assert (shown["size"], shown["remaining_size"], shown["display_size"]) == ("0.5", "0.5", "0.2")
    assert venue.tables.balance(2, "ACME").held == 6_000
    venue.place(1, replace(BUY, price="100", size="0.25"))
    # Its part of 0.2, then the other in the queue: the next part of the iceberg stands behind it.
    assert (_settled(venue, iceberg).filled_lots, _settled(venue, plain).filled_lots) == (200, 50)
    venue.place(1, replace(BUY, price="100", size="0.35"))
    assert _settled(venue, iceberg).status is OrderStatus.DONE
    assert venue.tables.balance(2, "ACME").held == 0
    assert [breach for finding in check(venue.world()) for breach in finding.breaches] == []


def test_an_amend_can_not_cut_an_iceberg_into_too_many_parts(venue: Venue) -> None:
    iceberg = venue.place(2, replace(SELL, price="100", size="1", display_size="0.001"), "iceberg")
    _settled(venue, iceberg)
    answer = venue.amend(2, "client:iceberg", size="1.001")
    assert refusal(answer) is Code.RISK_SIZE_TOO_LARGE


def test_an_order_that_can_not_be_one_of_two_is_refused_by_name_and_remedy(venue: Venue) -> None:
    venue.place(1, BUY, "resting")
    venue.place(2, BUY, "foreign")
    done = venue.place(1, BUY, "done")
    venue.match()
    assert isinstance(done, Order)
    venue.cancel(1, to_uuid(done.order_id))
    venue.match()
    venue.settle()
    for terms, words in (
        (replace(STOP_LOSS, oco_order="client:foreign"), "name a live order"),
        (replace(STOP_LOSS, oco_order="nonsense"), "name a live order"),
        (replace(STOP_LOSS, oco_order="client:done"), "is done"),
        (replace(SELL, price="105", oco_order="client:resting"), "must be a stop"),
    ):
        answer = venue.place(1, terms)
        assert refusal(answer) is Code.REQUEST_FIELD_INVALID
        assert isinstance(answer, Refused)
        assert answer.message.startswith("oco_order_id: ")
        assert words in answer.message
    assert venue.tables.balance(1, "ACME").held == 0


def test_the_engine_refuses_a_pair_that_the_gateway_could_not_know_of(venue: Venue) -> None:
    target = venue.place(1, replace(SELL, price="105"), "target")
    venue.place(2, replace(BUY, price="105", size="0.1"))
    stop = venue.place(1, replace(STOP_LOSS, oco_order="client:target"))
    late = _settled(venue, stop)
    assert (late.status, late.reject_reason) == (OrderStatus.REJECTED, "oco")
    assert _settled(venue, target).status is OrderStatus.OPEN
    assert venue.tables.balance(1, "ACME").held == 9_000


def test_a_repeat_under_a_client_oid_is_answered_though_its_partner_is_done(venue: Venue) -> None:
    venue.place(1, replace(SELL, price="105"), "target")
    terms = replace(STOP_LOSS, oco_order="client:target")
    first = venue.place(1, terms, "stop")
    venue.match()
    venue.cancel(1, "client:target")
    ended = _settled(venue, first)
    assert venue.place(1, terms, "stop") == ended


class Fills:
    """The fills of a venue, as the store reads them."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def fills(
        self,
        account_id: int,
        product_id: str,
        *,
        before_trade: int | None,
        first_trade: int,
        limit: int,
        oldest_first: bool = False,
    ) -> list[Fill]:
        """Newest first unless said otherwise."""
        own = [
            fill
            for fill in self._venue.tables.fills
            if (fill.account_id, fill.product_id) == (account_id, product_id)
            and first_trade <= fill.trade_id < (before_trade or 10**12)
        ]
        return sorted(own, key=lambda fill: fill.trade_id, reverse=not oldest_first)[:limit]


def test_an_orders_fills_are_paged_past_the_accounts_other_fills(venue: Venue) -> None:
    first = venue.place(1, OrderTerms(Side.BUY, OrderType.LIMIT, "101", "2"))
    venue.place(1, BUY)
    for price in ("101", "100", "101"):
        venue.place(2, OrderTerms(Side.SELL, OrderType.LIMIT, price, "1"))
        venue.match()
    venue.settle()
    assert isinstance(first, Order)
    order = venue.tables.order(first.order_id)
    assert order is not None
    found = order_fills(Fills(venue), order, before_trade=None, limit=1)
    found += order_fills(Fills(venue), order, before_trade=found[-1].trade_id, limit=1)
    assert [fill.order_id for fill in found] == [order.order_id] * 2
    assert order_fills(Fills(venue), order, before_trade=found[-1].trade_id, limit=1) == []
    forward = order_fills(Fills(venue), order, before_trade=None, after_trade=0, limit=1)
    assert forward == found[-1:]
    forward += order_fills(Fills(venue), order, before_trade=None, after_trade=forward[-1].trade_id, limit=1)
    assert forward == found[::-1]
    assert order_fills(Fills(venue), order, before_trade=None, after_trade=forward[-1].trade_id, limit=1) == []
    assert order_fills(Fills(venue), order, before_trade=None, after_trade=0, limit=9) == found
