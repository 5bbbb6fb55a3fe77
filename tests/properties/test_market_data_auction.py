"""What the public is told of an auction is what the engine would do, wherever nothing is hidden."""

from exchange.market_data.auction import Indication, clear
from hypothesis import given
from hypothesis import strategies as st

from matcher.engine.auction import choose_price

LOTS = st.dictionaries(st.integers(1, 12), st.integers(1, 9), max_size=8)


@given(LOTS, LOTS, st.integers(0, 14))
def test_the_indication_is_the_engines_choice(bids: dict[int, int], asks: dict[int, int], reference: int) -> None:
    is_crossed = bool(bids and asks) and max(bids) >= min(asks)
    if not is_crossed:
        assert clear(bids, asks, reference) == Indication()
        return
    assert clear(bids, asks, reference) == Indication(*choose_price(bids, asks, (reference, 1) if reference else None))
