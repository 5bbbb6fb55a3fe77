"""Trailing stops: their stop prices follow the best trade at a distance.

A stop's *peak* is the best trade since it began to wait; its stop price is the peak less its trail. (Best means highest
for a loss, lowest for an entry; of an entry every price is negated here, so that there is one rule.) A trade above some
peaks makes all of them one and the same for ever, so stops are kept in groups of one peak, and groups only ever merge,
the smaller into the larger. Raising a group's peak moves every stop in it at once; within a group the least trail fires
first. So a trade costs a few steps for each group that it fires from or merges, and every group was made by a command.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from itertools import count
from operator import itemgetter
from typing import Final, Generic, NamedTuple, TypeVar

NEVER: Final = 2**62

_Item = TypeVar("_Item")
_Stop = tuple[int, int, _Item]
_TRAIL = itemgetter(0)
_RANK = itemgetter(0, 1)


class Trailed(NamedTuple, Generic[_Item]):
    """A trailing stop as it is now: what its owner calls it, its distance, and where it would fire."""

    item: _Item
    trail: int
    stop_price: int


class _Group(Generic[_Item]):
    """Stops of one peak, by trail, then by activation."""

    __slots__ = ("number", "peak", "stops")

    def __init__(self, number: int, peak: int, stop: _Stop[_Item]) -> None:
        self.number = number
        self.peak = peak
        self.stops = [stop]

    @property
    def peak_key(self) -> tuple[int, int]:
        """Sorts the lowest peak last."""
        return -self.peak, self.number

    @property
    def stop_key(self) -> tuple[int, int]:
        """Sorts the stop that fires first last."""
        return self.peak - self.stops[0][0], self.number


class TrailingStops(Generic[_Item]):
    """Trailing losses (`sign` 1) or entries (-1), each known by its activation.

    Shape:    a trade above `near` and not above `far` fires nothing and moves nothing (prices negated for entries).
    """

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._numbers = count()
        self._group_of: dict[int, _Group[_Item]] = {}
        self._trail_of: dict[int, int] = {}
        self._by_peak: list[tuple[int, int, _Group[_Item]]] = []
        self._by_stop: list[tuple[int, int, _Group[_Item]]] = []
        self._fired: dict[int, Trailed[_Item]] = {}
        self.near = -NEVER
        self.far = NEVER

    def __len__(self) -> int:
        return len(self._group_of) + len(self._fired)

    def add(self, activation: int, item: _Item, *, trail: int, stop_price: int) -> None:
        """Let a stop wait at `stop_price`, which moves once a trade is more than `trail` beyond it."""
        group = _Group(next(self._numbers), self._sign * stop_price + trail, (trail, activation, item))
        self._group_of[activation] = group
        self._trail_of[activation] = trail
        self._attach(group)
        self._bound()

    def remove(self, activation: int) -> None:
        """Take a stop out, be it that a trade has fired it since `take_fired` was asked last."""
        if self._fired.pop(activation, None) is not None:
            return
        group = self._group_of.pop(activation)
        self._detach(group)
        del group.stops[bisect_left(group.stops, (self._trail_of.pop(activation), activation), key=_RANK)]
        if group.stops:
            self._attach(group)
        self._bound()

    def follow(self, price: int) -> None:
        """A trade: fire what it reaches, then move what it leaves behind."""
        level = self._sign * price
        if self.near < level <= self.far:
            return
        while self._by_stop and self._by_stop[-1][0] >= level:
            self._fire(self._by_stop[-1][2], level)
        raised = []
        while self._by_peak and -self._by_peak[-1][0] < level:
            raised.append(self._by_peak[-1][2])
            self._detach(raised[-1])
        if raised:
            group = self._merged(raised)
            group.peak = level
            self._attach(group)
        self._bound()

    def take_fired(self) -> Iterator[Trailed[_Item]]:
        """Take out the stops that trades have fired, each with the price it fired at."""
        fired, self._fired = self._fired, {}
        return iter(fired.values())

    def stops(self) -> Iterator[Trailed[_Item]]:
        """Every stop that waits, in no order."""
        for _, _, group in self._by_peak:
            for trail, _, item in group.stops:
                yield Trailed(item, trail, self._sign * (group.peak - trail))

    def _fire(self, group: _Group[_Item], level: int) -> None:
        self._detach(group)
        end = bisect_right(group.stops, group.peak - level, key=_TRAIL)
        for trail, activation, item in group.stops[:end]:
            del self._group_of[activation], self._trail_of[activation]
            self._fired[activation] = Trailed(item, trail, self._sign * (group.peak - trail))
        del group.stops[:end]
        if group.stops:
            self._attach(group)

    def _merged(self, groups: list[_Group[_Item]]) -> _Group[_Item]:
        largest = max(groups, key=lambda group: len(group.stops))
        for group in groups:
            if group is not largest:
                for stop in group.stops:
                    insort(largest.stops, stop)
                    self._group_of[stop[1]] = largest
        return largest

    def _attach(self, group: _Group[_Item]) -> None:
        # Numbers are unique, so a comparison never gets as far as the group itself.
        insort(self._by_peak, (*group.peak_key, group))
        insort(self._by_stop, (*group.stop_key, group))

    def _detach(self, group: _Group[_Item]) -> None:
        del self._by_peak[bisect_left(self._by_peak, group.peak_key, key=_RANK)]
        del self._by_stop[bisect_left(self._by_stop, group.stop_key, key=_RANK)]

    def _bound(self) -> None:
        self.near = self._by_stop[-1][0] if self._by_stop else -NEVER
        self.far = -self._by_peak[-1][0] if self._by_peak else NEVER
