"""Amends as customers meet them: what they hold, when it comes back, and what a repeat does."""

import pytest
from exchange.fees.model import Rates
from exchange.kernel.errors import Code, Refused
from exchange.kernel.ids import to_uuid
from exchange.messages import OrderType, Side
from exchange.orders.amends import ANSWERED_KEPT, VALID_NS, WAITING_MAX, Amend, worst_value
from exchange.orders.model import Order
from exchange.risk.model import OrderTerms
from exchange.trading.model import order_json
from exchange.trading.service import sweep
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.markets import acme_usd
from tests.fakes.venue import Venue

BUY = OrderTerms(Side.BUY, OrderType.LIMIT, "100", "1")
SELL = OrderTerms(Side.SELL, OrderType.LIMIT, "100", "1")
NAME = "client:mine"


@pytest.fixture
def venue() -> Venue:
    """Two customers with money and shares; the first has an open buy of 1 at 100."""
    opened = Venue(acme_usd(price_band="0.5"), Rates(maker_ppm=0, taker_ppm=0))
    for account in (1, 2):
        opened.deposit(account, "USD", 1_000_000_000)
        opened.deposit(account, "ACME", 100_000)
    opened.place(1, BUY, "mine")
    answer(opened)
    return opened


def answer(venue: Venue) -> None:
    """Let the market answer, and settle what it says."""
    venue.match()
    venue.settle()


def held(venue: Venue) -> int:
    """What the first customer holds, in cents."""
    return venue.tables.balance(1, "USD").held // 10_000


def mine(venue: Venue) -> Order:
    """The order as it is stored."""
    [order] = [order for order in venue.tables.stored.values() if order.client_oid == "mine"]
    return order


def refusal(answered: Order | Refused) -> Code:
    """The code of a refusal."""
    assert isinstance(answered, Refused)
    return answered.code


def test_a_dearer_amend_holds_the_difference_at_once_and_a_cheaper_one_frees_it_with_its_answer(venue: Venue) -> None:
    venue.amend(1, NAME, "2", "110")
    assert held(venue) == 22_000
    answer(venue)
    assert (held(venue), mine(venue).size_lots, mine(venue).price_ticks) == (22_000, 2_000, 11_000)
    venue.amend(1, NAME, "1", "90")
    assert held(venue) == 22_000
    answer(venue)
    assert (held(venue), mine(venue).size_lots, mine(venue).price_ticks) == (9_000, 1_000, 9_000)


def test_an_amend_that_costs_more_than_there_is_changes_nothing(venue: Venue) -> None:
    before = mine(venue)
    assert refusal(venue.amend(1, NAME, "11")) is Code.RISK_INSUFFICIENT_FUNDS
    assert (mine(venue), held(venue)) == (before, 10_000)


def test_a_refused_amend_gives_back_what_it_held_and_says_why(venue: Venue) -> None:
    venue.amend(1, NAME, "3")
    venue.cancel(1, NAME)
    assert held(venue) == 30_000
    venue.stream.records[-2:] = venue.stream.records[:-3:-1]
    answer(venue)
    shown = order_json(mine(venue), venue.product)
    assert held(venue) == 0
    assert [(a["status"], a["reject_reason"]) for a in shown["amends"]] == [("rejected", "unknown_order")]


def test_a_fill_on_the_way_counts_into_the_new_total(venue: Venue) -> None:
    venue.place(2, OrderTerms(Side.SELL, OrderType.LIMIT, "100", "0.4"))
    venue.amend(1, NAME, "2")
    answer(venue)
    order = mine(venue)
    assert (order.filled_lots, order.remaining_lots, order.size_lots, held(venue)) == (400, 1_600, 2_000, 16_000)


def test_an_amend_below_what_is_filled_is_refused(venue: Venue) -> None:
    venue.place(2, OrderTerms(Side.SELL, OrderType.LIMIT, "100", "0.4"))
    answer(venue)
    assert refusal(venue.amend(1, NAME, "0.4")) is Code.RISK_SIZE_TOO_SMALL


def test_the_same_token_is_the_same_amend(venue: Venue) -> None:
    first = venue.amend(1, NAME, "2", "", "t")
    sent = len(venue.stream.records)
    assert venue.amend(1, NAME, "2.000", "", "t") == first
    assert venue.stream.records[sent:] == venue.stream.records[sent - 1 : sent]
    assert refusal(venue.amend(1, NAME, "3", "", "t")) is Code.ORDER_AMEND_REUSED
    answer(venue)
    venue.amend(1, NAME, "1", "", "u")
    answer(venue)
    venue.amend(1, NAME, "2", "", "t")
    answer(venue)
    assert mine(venue).size_lots == 1_000


def test_a_token_that_the_order_has_forgotten_is_a_new_amend_and_answered(venue: Venue) -> None:
    venue.amend(1, NAME, "2", "", "t")
    answer(venue)
    for number in range(ANSWERED_KEPT):
        venue.amend(1, NAME, "1", "", f"later {number}")
        answer(venue)
    venue.amend(1, NAME, "2", "", "t")
    assert held(venue) == 20_000
    answer(venue)
    assert (mine(venue).size_lots, [amend.waits for amend in mine(venue).amends]) == (2_000, [False] * ANSWERED_KEPT)


def test_few_amends_of_one_order_may_be_under_way_and_few_answered_ones_are_kept(venue: Venue) -> None:
    answers = [venue.amend(1, NAME, "2") for _ in range(WAITING_MAX + 1)]
    assert refusal(answers.pop()) is Code.ORDER_AMENDS_WAITING
    assert held(venue) == 20_000
    answer(venue)
    assert len(mine(venue).amends) == ANSWERED_KEPT
    assert isinstance(venue.amend(1, NAME, "1"), Order)


def test_a_lost_amend_is_refused_once_the_sweeper_has_sent_it_again_and_can_not_undo_a_later_one(venue: Venue) -> None:
    venue.stream.failing = True
    assert isinstance(venue.amend(1, NAME, "5"), Order)
    venue.stream.failing = False
    venue.clock.time_ns += VALID_NS
    assert sweep(venue.tables, venue.stream, venue.clock) == 1
    answer(venue)
    assert (mine(venue).size_lots, held(venue)) == (1_000, 10_000)
    assert mine(venue).amends[-1].answer == "expired"
    assert sweep(venue.tables, venue.stream, venue.clock) == 0


def test_an_amend_between_what_settlement_read_and_wrote_is_kept(venue: Venue) -> None:
    venue.place(2, OrderTerms(Side.SELL, OrderType.LIMIT, "100", "0.4"))
    venue.match()
    venue.tables.interruption = lambda: venue.amend(1, NAME, "2")
    venue.settle()
    assert (mine(venue).filled_lots, len(mine(venue).amends), held(venue)) == (400, 1, 16_000)
    answer(venue)
    assert (mine(venue).remaining_lots, held(venue)) == (1_600, 16_000)


def test_orders_that_have_ended_or_go_by_funds_are_not_amended(venue: Venue) -> None:
    venue.place(2, SELL)
    answer(venue)
    assert refusal(venue.amend(1, NAME, "2")) is Code.ORDER_DONE
    assert refusal(venue.amend(2, NAME, "2")) is Code.ORDER_NOT_FOUND
    funds = venue.place(1, OrderTerms(Side.BUY, OrderType.MARKET, funds="50"))
    assert isinstance(funds, Order)
    assert refusal(venue.amend(1, to_uuid(funds.order_id), "2")) is Code.REQUEST_FIELD_INVALID


@given(
    terms=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=4),
    remaining=st.integers(0, 9),
    price=st.integers(1, 9),
    data=st.data(),
)
def test_no_way_through_the_terms_costs_more_than_is_held(
    terms: list[tuple[int, int]], remaining: int, price: int, data: st.DataObject
) -> None:
    """Lot by lot the order trades or takes another of its terms, in any order; what it paid and needs always fits."""
    waiting = [Amend(f"{number}", lots, ticks, 0) for number, (lots, ticks) in enumerate(terms)]
    hold = worst_value(remaining, price, 0, waiting)
    filled = spent = 0
    while remaining or waiting:
        if waiting and (not remaining or data.draw(st.booleans())):
            amend = waiting.pop(data.draw(st.integers(0, len(waiting) - 1)))
            if amend.size_lots > filled and remaining:
                remaining, price = amend.size_lots - filled, amend.price_ticks or price
        else:
            filled, remaining, spent = filled + 1, remaining - 1, spent + price
        assert spent + worst_value(remaining, price, filled, waiting if remaining else []) <= hold
