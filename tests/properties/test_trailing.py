"""Groups that merge find what looking at every stop would find, however many come, go and are swept out."""

from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.engine.trailing import TrailingStops


@dataclass
class Plain:
    """A trailing stop by itself."""

    trail: int
    stop_price: int


class PlainStops:
    """The rule, word by word."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self.waiting: dict[int, Plain] = {}
        self.fired: dict[int, int] = {}

    def follow(self, price: int) -> None:
        """A trade."""
        for activation, stop in list(self.waiting.items()):
            if self._sign * price <= self._sign * stop.stop_price:
                self.fired[activation] = self.waiting.pop(activation).stop_price
            else:
                moved = self._sign * price - stop.trail
                stop.stop_price = self._sign * max(self._sign * stop.stop_price, moved)


@pytest.mark.parametrize("sign", [1, -1], ids=["losses", "entries"])
@given(
    seed=st.integers(0, 2**32),
    width=st.sampled_from([3, 20, 400]),
    shares=st.sampled_from([(0.2, 0.1), (0.5, 0.1), (0.5, 0.42), (0.8, 0.1)]),
)
@settings(max_examples=15, deadline=None)
def test_they_fire_and_move_as_each_would_by_itself(
    seed: int, width: int, shares: tuple[float, float], sign: int
) -> None:
    random, (placed, canceled) = Random(seed), shares
    stops: TrailingStops[int] = TrailingStops(sign)
    plain = PlainStops(sign)
    price = 10_000
    for activation in range(1, 1500):
        draw = random.random()
        if draw < placed:
            trail = random.randint(1, width)
            stop_price = price - sign * random.randint(1, 2 * width)
            stops.add(activation, activation, trail=trail, stop_price=stop_price)
            plain.waiting[activation] = Plain(trail, stop_price)
            # What waits has seen the last trade: the engine brings a new stop after it.
            stops.follow(price)
            plain.follow(price)
        elif draw < placed + canceled and plain.waiting:
            gone = random.choice(list(plain.waiting))
            stops.remove(gone)
            del plain.waiting[gone]
        elif draw < placed + canceled + 0.02 and plain.fired:
            gone = random.choice(list(plain.fired))
            stops.remove(gone)
            del plain.fired[gone]
        else:
            price += random.choice((1, -1)) * random.randint(0, max(1, width // 4))
            stops.follow(price)
            plain.follow(price)
        assert len(stops) == len(plain.waiting) + len(plain.fired)
        if activation % 50 == 0:
            assert {stop.item: stop.stop_price for stop in stops.take_fired()} == plain.fired
            plain.fired = {}
            waiting = {stop.item: (stop.trail, stop.stop_price) for stop in stops.stops()}
            assert waiting == {key: (stop.trail, stop.stop_price) for key, stop in plain.waiting.items()}


@pytest.mark.parametrize("removed", range(198))
def test_the_next_fires_where_the_first_of_a_group_has_gone_among_many(removed: int) -> None:
    stops: TrailingStops[int] = TrailingStops(1)
    for trail in range(1, 200):
        stops.add(trail, trail, trail=trail, stop_price=10_000 - trail)
    stops.follow(10_001)
    for trail in range(199, 199 - removed, -1):
        stops.remove(trail)
    stops.remove(1)
    stops.follow(9_999)
    assert [stop.item for stop in stops.take_fired()] == [2]
