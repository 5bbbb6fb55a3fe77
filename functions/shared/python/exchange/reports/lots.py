"""Lots of one product: what each buy cost, which of them a sale takes, and what it earned. All in whole units.

A buy makes a lot that costs its value and its fee. A sale earns its value less its fee. Where a sale takes part of a
lot the cost taken is rounded down and the lot keeps the rest; the proceeds of each part are rounded down and the last
part takes the rest. So nothing is lost to rounding, and at any time, in quote units,

    realised + proceeds without a lot - cost of the open lots == what the fills paid and cost in cash
"""

import heapq
from dataclasses import dataclass, field
from fractions import Fraction

from exchange.kernel.money import divide_down
from exchange.messages import Side
from exchange.orders.model import Fill
from exchange.reports.model import LotMethod


@dataclass(slots=True)
class Lot:
    """What is left of one buy. Units: lots of the product; `cost_units` in quote units, the fee included."""

    trade_id: int
    acquired_at_ns: int
    size_lots: int
    cost_units: int


@dataclass(frozen=True, slots=True)
class Disposal:
    """A part of a sale and the lot it came from; `buy_trade_id` is 0 where nothing was bought here before."""

    buy_trade_id: int
    sell_trade_id: int
    acquired_at_ns: int
    disposed_at_ns: int
    size_lots: int
    proceeds_units: int
    cost_units: int

    @property
    def gain_units(self) -> int:
        """What this part earned."""
        return self.proceeds_units - self.cost_units


@dataclass(slots=True)
class Lots:
    """The open lots of one product, and the sums of everything taken in."""

    method: LotMethod
    realised_units: int = 0
    uncovered_lots: int = 0
    uncovered_units: int = 0
    cash_units: int = 0
    fee_units: int = 0
    bought_lots: int = 0
    sold_lots: int = 0
    _heap: list[tuple[Fraction, int, Lot]] = field(default_factory=list)
    _count: int = 0

    def take(self, fill: Fill) -> list[Disposal]:
        """Take in the next fill, in the order of trades; return what a sale disposed of."""
        self.fee_units += fill.fee_units
        if fill.side is Side.SELL:
            return self._sell(fill)
        cost = fill.value_units + fill.fee_units
        self.cash_units -= cost
        self.bought_lots += fill.size_lots
        lot = Lot(fill.trade_id, fill.created_at_ns, fill.size_lots, cost)
        self._count += 1
        heapq.heappush(self._heap, (self._rank(lot), self._count, lot))
        return []

    def _rank(self, lot: Lot) -> Fraction:
        if self.method is LotMethod.HIFO:
            return Fraction(-lot.cost_units, lot.size_lots)
        return Fraction(-self._count if self.method is LotMethod.LIFO else self._count)

    def _sell(self, fill: Fill) -> list[Disposal]:
        proceeds = fill.value_units - fill.fee_units
        covered = min(fill.size_lots, self.bought_lots - self.sold_lots + self.uncovered_lots)
        self.cash_units += proceeds
        self.sold_lots += fill.size_lots
        # What no lot covers is split off first, so that it is the same by every method.
        uncovered = divide_down(proceeds * (fill.size_lots - covered), fill.size_lots)
        found = self._sell_covered(fill, covered, proceeds - uncovered)
        if covered < fill.size_lots:
            size = fill.size_lots - covered
            self.uncovered_lots += size
            self.uncovered_units += uncovered
            found.append(Disposal(0, fill.trade_id, 0, fill.created_at_ns, size, uncovered, 0))
        return found

    def _sell_covered(self, fill: Fill, size_lots: int, proceeds: int) -> list[Disposal]:
        left_lots, left_units = size_lots, proceeds
        found: list[Disposal] = []
        while left_lots:
            size = min(left_lots, self._heap[0][2].size_lots)
            part = left_units if size == left_lots else divide_down(proceeds * size, size_lots)
            found.append(self._dispose(fill, size, part))
            left_lots, left_units = left_lots - size, left_units - part
        return found

    def _dispose(self, fill: Fill, size: int, proceeds: int) -> Disposal:
        lot = self._heap[0][2]
        cost = divide_down(lot.cost_units * size, lot.size_lots)
        lot.size_lots, lot.cost_units = lot.size_lots - size, lot.cost_units - cost
        if not lot.size_lots:
            heapq.heappop(self._heap)
        self.realised_units += proceeds - cost
        return Disposal(lot.trade_id, fill.trade_id, lot.acquired_at_ns, fill.created_at_ns, size, proceeds, cost)

    def open_lots(self) -> list[Lot]:
        """What is not sold, oldest first."""
        return [lot for _, _, lot in sorted(self._heap, key=lambda entry: entry[1])]

    @property
    def open_size_lots(self) -> int:
        """The size of all that is not sold."""
        return sum(lot.size_lots for _, _, lot in self._heap)

    @property
    def open_cost_units(self) -> int:
        """The cost of all that is not sold."""
        return sum(lot.cost_units for _, _, lot in self._heap)
