"""The clearing price is the one that trying every price would choose."""

from collections.abc import Mapping
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from matcher.engine.auction import choose_price

QUEUES = st.dictionaries(st.integers(1, 12), st.integers(1, 6), min_size=1, max_size=6)


def _tried(bids: Mapping[int, int], asks: Mapping[int, int], reference: Fraction | None) -> tuple[int, int]:
    """The contract's sentence, word by word."""
    demand = {price: sum(size for at, size in bids.items() if at >= price) for price in {*bids, *asks}}
    supply = {price: sum(size for at, size in asks.items() if at <= price) for price in {*bids, *asks}}
    volume = {price: min(demand[price], supply[price]) for price in demand}
    surplus = {price: demand[price] - supply[price] for price in demand}
    left = [price for price in volume if volume[price] == max(volume.values())]
    least = min(abs(surplus[price]) for price in left)
    left = [price for price in left if abs(surplus[price]) == least]
    if all(surplus[price] > 0 for price in left):
        chosen = max(left)
    elif all(surplus[price] < 0 for price in left):
        chosen = min(left)
    elif reference is None:
        chosen = max(left)
    else:
        chosen = min(left, key=lambda price: (abs(price - reference), -price))
    return chosen, volume[chosen]


@given(bids=QUEUES, asks=QUEUES, reference=st.none() | st.fractions(0, 14, max_denominator=4))
def test_the_chosen_price_is_the_best_of_all(
    bids: dict[int, int], asks: dict[int, int], reference: Fraction | None
) -> None:
    assume(max(bids) >= min(asks))
    ratio = reference.as_integer_ratio() if reference is not None else None
    assert choose_price(bids, asks, ratio) == _tried(bids, asks, reference)
