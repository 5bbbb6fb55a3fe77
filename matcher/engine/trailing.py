"""Trailing stops: their stop prices follow the best trade at a distance.

A stop's *peak* is the best trade since it began to wait; its stop price is the peak less its trail. (Best means highest
for a loss, lowest for an entry; of an entry every price is negated here, so that there is one rule.) A trade above some
peaks makes all of them one and the same for ever, so stops are kept in groups of one peak, and groups only ever merge,
the smaller into the larger. Raising a group's peak moves every stop in it at once; within a group the least trail fires
first. So a trade costs a few steps for each group that it fires from or merges, each the logarithm of what is there,
and every group was made by a command.

All order is kept in heaps, from which nothing is taken but the first: what has gone or moved is left where it stands,
known as stale when it comes first, and swept out once there is more of it than of the rest.
"""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final, Generic, NamedTuple, TypeVar

NEVER: Final = 2**62
_STALE_KEPT: Final = 64

_Item = TypeVar("_Item")
_Stop = tuple[int, int, _Item]


class Trailed(NamedTuple, Generic[_Item]):
    """A trailing stop as it is now: what its owner calls it, its distance, and where it would fire."""

    item: _Item
    trail: int
    stop_price: int


class _Group(Generic[_Item]):
    """The `live` stops of one peak: a heap by trail, then by activation, with stale ones in it but never first."""

    __slots__ = ("live", "number", "peak", "stops")

    def __init__(self, number: int, peak: int, stop: _Stop[_Item]) -> None:
        self.number = number
        self.peak = peak
        self.stops = [stop]
        self.live = 1

    @property
    def stop_price(self) -> int:
        """Where the first of it fires."""
        return self.peak - self.stops[0][0]


class TrailingStops(Generic[_Item]):
    """Trailing losses (`sign` 1) or entries (-1), each known by its activation.

    Shape:    a trade above `near` and not above `far` fires nothing and moves nothing (prices negated for entries).
    """

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._numbers = count()
        self._groups: dict[int, _Group[_Item]] = {}
        self._group_of: dict[int, _Group[_Item]] = {}
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
        self._group_of[activation] = self._groups[group.number] = group
        heappush(self._by_peak, (group.peak, group.number, group))
        heappush(self._by_stop, (-group.stop_price, group.number, group))
        self._bound()

    def remove(self, activation: int) -> None:
        """Take a stop out, be it that a trade has fired it since `take_fired` was asked last."""
        if self._fired.pop(activation, None) is None:
            group = self._group_of.pop(activation)
            group.live -= 1
            self._tidy(group)
            self._bound()

    def follow(self, price: int) -> None:
        """A trade: fire what it reaches, then move what it leaves behind."""
        level = self._sign * price
        if self.near < level <= self.far:
            return
        while self.near >= level:
            self._fire(self._by_stop[0][2], level)
            self._bound()
        raised = []
        while self.far < level:
            group = heappop(self._by_peak)[2]
            group.peak = level
            raised.append(group)
            self._bound()
        if raised:
            self._merge(raised)
            self._bound()

    def take_fired(self) -> Iterator[Trailed[_Item]]:
        """Take out the stops that trades have fired, each with the price it fired at."""
        fired, self._fired = self._fired, {}
        return iter(fired.values())

    def stops(self) -> Iterator[Trailed[_Item]]:
        """Every stop that waits, in no order."""
        for group in self._groups.values():
            for trail, activation, item in group.stops:
                if activation in self._group_of:
                    yield Trailed(item, trail, self._sign * (group.peak - trail))

    def _fire(self, group: _Group[_Item], level: int) -> None:
        while group.live and group.stop_price >= level:
            trail, activation, item = group.stops[0]
            self._fired[activation] = Trailed(item, trail, self._sign * group.stop_price)
            del self._group_of[activation]
            group.live -= 1
            self._tidy(group)

    def _tidy(self, group: _Group[_Item]) -> None:
        """Let a live stop come first in a group that has lost one, and forget a group that has lost its last."""
        if not group.live:
            del self._groups[group.number]
            return
        first = group.stops[0]
        if len(group.stops) > 2 * group.live + _STALE_KEPT:
            group.stops = [stop for stop in group.stops if stop[1] in self._group_of]
            heapify(group.stops)
        while group.stops[0][1] not in self._group_of:
            heappop(group.stops)
        if group.stops[0] is not first:
            heappush(self._by_stop, (-group.stop_price, group.number, group))

    def _merge(self, groups: list[_Group[_Item]]) -> None:
        """Make one group of those that now have one peak."""
        largest = max(groups, key=lambda group: group.live)
        for group in groups:
            if group is not largest:
                for stop in group.stops:
                    if stop[1] in self._group_of:
                        heappush(largest.stops, stop)
                        self._group_of[stop[1]] = largest
                largest.live += group.live
                group.live = 0
                del self._groups[group.number]
        heappush(self._by_peak, (largest.peak, largest.number, largest))
        heappush(self._by_stop, (-largest.stop_price, largest.number, largest))

    def _bound(self) -> None:
        """Note the nearest prices at which something happens, past what is stale."""
        kept = 2 * len(self._groups) + _STALE_KEPT
        if len(self._by_peak) > kept:
            self._by_peak = [(group.peak, group.number, group) for group in self._groups.values()]
            heapify(self._by_peak)
        if len(self._by_stop) > kept:
            self._by_stop = [(-group.stop_price, group.number, group) for group in self._groups.values()]
            heapify(self._by_stop)
        by_peak, by_stop = self._by_peak, self._by_stop
        while by_peak and not (by_peak[0][2].live and by_peak[0][2].peak == by_peak[0][0]):
            heappop(by_peak)
        while by_stop and not (by_stop[0][2].live and by_stop[0][2].stop_price == -by_stop[0][0]):
            heappop(by_stop)
        self.far = by_peak[0][0] if by_peak else NEVER
        self.near = -by_stop[0][0] if by_stop else -NEVER
