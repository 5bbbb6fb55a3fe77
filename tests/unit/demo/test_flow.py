"""The generated flow is repeatable, well formed and has the habits of real flow."""

from collections import Counter
from itertools import pairwise
from statistics import mean, variance

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.demo.flow import Action, Cancel, Flow, Place, Repeat
from infra.demo.market import Market

BALANCES = {"USD": "1000000", "EUR": "1000000", "BTC": "100", "ACME": "100000", "ETH": "1000", "GOOG": "100000"}


def a_market(product_id: str = "ACME-USD", *, lot: str = "0.001", tick: str = "0.01", price: str = "100") -> Market:
    base, _, quote = product_id.partition("-")
    product = {
        "id": product_id,
        "base_currency": base,
        "quote_currency": quote,
        "quote_increment": tick,
        "base_increment": lot,
        "base_min_size": lot,
        "reference_price": price,
    }
    return Market.read(product, None)


MARKETS = [
    a_market(),
    a_market("BTC-USD", lot="0.0001", price="50000"),
    a_market("EUR-USD", lot="0.01", tick="0.0001", price="1.1"),
    a_market("ETH-BTC", lot="0.001", tick="0.00001", price="0.05"),
    a_market("GOOG-USD", lot="1", tick="0.0001", price="580"),
]


def a_flow(
    seed: int = 1, *, orders: int = 2_000, rate: float = 50.0, markets: list[Market] | None = None
) -> list[Action]:
    flow = Flow(seed, markets or MARKETS, orders=orders, traders=3, rate=rate, balances=BALANCES)
    return list(flow.actions())


def places(actions: list[Action]) -> list[Place]:
    return [action for action in actions if isinstance(action, Place)]


def test_the_same_seed_sends_the_same_flow() -> None:
    assert a_flow(7) == a_flow(7)
    assert a_flow(7) != a_flow(8)


def test_a_shorter_flow_is_the_beginning_of_a_longer_one() -> None:
    assert places(a_flow(orders=50)) == places(a_flow(orders=400))[:50]


@given(seed=st.integers(0, 10_000), rate=st.floats(0.5, 5_000))
@settings(max_examples=20, deadline=None)
def test_time_never_runs_back_and_every_order_comes_before_its_sequels(seed: int, rate: float) -> None:
    actions = a_flow(seed, orders=200, rate=rate)
    assert all(first.at_seconds <= second.at_seconds for first, second in pairwise(actions))
    placed: dict[int, Place] = {}
    for action in actions:
        if isinstance(action, Place):
            assert action.number == len(placed)
            placed[action.number] = action
        else:
            assert action.trader == placed[action.number].trader
            assert not isinstance(action, Repeat) or action.fields == placed[action.number].fields


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_all_but_the_mistakes_fit_the_product(seed: int) -> None:
    markets = {market.product_id: market for market in MARKETS}
    unfit = 0
    for place in places(a_flow(seed, orders=300)):
        fields, market = place.fields, markets[place.fields["product_id"]]
        fits = all(
            market.price(market.ticks(fields[name])) == fields[name] for name in ("price", "funds") if name in fields
        )
        fits = fits and ("size" not in fields or market.size(market.lots(fields["size"])) == fields["size"] != "0")
        unfit += not (fits and fields.get("price") != "0")
    assert unfit <= 15


def test_most_orders_are_cancelled_and_few_are_market_orders() -> None:
    actions = a_flow(orders=5_000)
    kinds = Counter(place.fields["type"] for place in places(actions))
    cancels = sum(isinstance(action, Cancel) for action in actions)
    assert 0.02 < kinds["market"] / 5_000 < 0.08
    assert cancels / 5_000 > 0.6


def test_arrivals_come_in_clusters() -> None:
    """The count in a window varies more than its mean: of independent arrivals both are equal."""
    times = [place.at_seconds for place in places(a_flow(orders=5_000, rate=50))]
    counts = Counter(int(at) for at in times)
    windows = [counts[second] for second in range(int(times[-1]))]
    assert variance(windows) > 2 * mean(windows)
    assert 35 < mean(windows) < 70


def test_prices_lie_near_the_touch_with_a_long_tail() -> None:
    market = a_market(price="1000")
    away = sorted(
        abs(market.ticks(place.fields["price"]) - market.start_ticks)
        for place in places(a_flow(orders=4_000, markets=[market]))
        if place.fields["type"] == "limit" and place.fields["price"] not in {"0", "10000"}
    )
    middle, far = away[len(away) // 2], away[len(away) * 99 // 100]
    assert far > 5 * middle
    assert far < market.start_ticks // 10


def test_every_trader_and_both_sides_take_part() -> None:
    sent = places(a_flow())
    assert {place.trader for place in sent} == {0, 1, 2}
    sides = Counter(place.fields["side"] for place in sent)
    assert min(sides.values()) > 700
    assert {place.fields["product_id"] for place in sent} == {market.product_id for market in MARKETS}


@pytest.mark.parametrize("price", ["0.00001", "0.05", "100000000"])
def test_extreme_prices_make_a_flow_too(price: str) -> None:
    market = a_market("ETH-BTC", tick="0.00001", price=price)
    for place in places(a_flow(orders=200, markets=[market])):
        assert not place.fields.get("price", "1").startswith("-")
