"""The order book as the public sees it: every resting order's displayed size, in time order at its price."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from exchange.kernel.errors import require, unreachable
from exchange.messages import Side

Level = dict[int, int]  # order id -> displayed size in lots; a dict keeps the order of arrival


@dataclass(frozen=True, slots=True)
class Resting:
    """One order in the book. Price in ticks, displayed size in lots."""

    order_id: int
    side: Side
    price: int
    size: int


@dataclass(slots=True)
class OrderBook:
    """Two sides of price levels. `touched` collects the levels that changed since somebody last took it."""

    bids: dict[int, Level] = field(default_factory=dict)
    asks: dict[int, Level] = field(default_factory=dict)
    touched: set[tuple[Side, int]] = field(default_factory=set)
    _places: dict[int, tuple[Side, int]] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many orders rest."""
        return len(self._places)

    def __contains__(self, order_id: int) -> bool:
        """Whether an order rests."""
        return order_id in self._places

    def find(self, order_id: int) -> Resting | None:
        """A resting order; None where it does not rest."""
        place = self._places.get(order_id)
        if place is None:
            return None
        side, price = place
        return Resting(order_id, side, price, self._side(side)[price][order_id])

    def add(self, order: Resting) -> None:
        """Put an order at the back of its price's queue."""
        require(order.order_id not in self._places, f"order {order.order_id} opens while it rests")
        require(order.size > 0 and order.price > 0, f"order {order.order_id} opens without size or price")
        self._side(order.side).setdefault(order.price, {})[order.order_id] = order.size
        self._places[order.order_id] = (order.side, order.price)
        self.touched.add((order.side, order.price))

    def reduce(self, order_id: int, by: int) -> None:
        """Take a traded size off an order; at zero it leaves."""
        order = self._resting(order_id)
        require(0 < by <= order.size, f"order {order_id} trades {by} of {order.size} displayed")
        self.resize(order_id, order.size - by)

    def resize(self, order_id: int, size: int) -> None:
        """Show another size at the same place in the queue; zero removes the order."""
        order = self._resting(order_id)
        if size == 0:
            self.remove(order_id)
            return
        self._side(order.side)[order.price][order_id] = size
        self.touched.add((order.side, order.price))

    def remove(self, order_id: int) -> None:
        """Take an order out."""
        order = self._resting(order_id)
        levels = self._side(order.side)
        del levels[order.price][order_id]
        if not levels[order.price]:
            del levels[order.price]
        del self._places[order_id]
        self.touched.add((order.side, order.price))

    def levels(self, side: Side) -> Iterator[tuple[int, Level]]:
        """Price and orders of each level, best price first."""
        levels = self._side(side)
        for price in sorted(levels, reverse=side is Side.BUY):
            yield price, levels[price]

    def level(self, side: Side, price: int) -> Level:
        """The orders at one price; empty where there are none."""
        return self._side(side).get(price, {})

    def best(self, side: Side) -> tuple[int, int]:
        """Best price in ticks and the lots displayed there; (0, 0) where the side is empty."""
        levels = self._side(side)
        if not levels:
            return 0, 0
        price = max(levels) if side is Side.BUY else min(levels)
        return price, sum(levels[price].values())

    def take_touched(self) -> frozenset[tuple[Side, int]]:
        """The levels that changed since the last call."""
        touched = frozenset(self.touched)
        self.touched.clear()
        return touched

    def _side(self, side: Side) -> dict[int, Level]:
        return self.bids if side is Side.BUY else self.asks

    def _resting(self, order_id: int) -> Resting:
        return self.find(order_id) or unreachable(f"order {order_id} is changed but does not rest")
