"""Stop orders that wait for a trade at their price."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import replace

from exchange.messages import StopKind

from matcher.engine.book import Order
from matcher.engine.trailing import TrailingStops


def holds(order: Order, price: int) -> bool:
    """Whether a trade at `price` fires the stop."""
    return price <= order.stop_price if order.stop == StopKind.LOSS else price >= order.stop_price


def follow(order: Order, price: int) -> None:
    """Bring the stop price of a trailing stop that is about to wait after the last trade's price."""
    if order.stop == StopKind.LOSS:
        order.stop_price = max(order.stop_price, price - order.trail)
    else:
        order.stop_price = min(order.stop_price, price + order.trail)


class WaitingStops:
    """Waiting stops by price, so that finding those a trade fires costs only what it finds.

    Losses fire from the highest stop price down, entries from the lowest up: keys grow in that direction, and the next
    to fire stands last. Trailing stops, for which every trade counts in its turn, wait apart.
    """

    def __init__(self) -> None:
        self._losses: list[tuple[int, int, Order]] = []
        self._entries: list[tuple[int, int, Order]] = []
        self._trailing_losses: TrailingStops[Order] = TrailingStops(1)
        self._trailing_entries: TrailingStops[Order] = TrailingStops(-1)

    def add(self, order: Order) -> None:
        """Let an order wait."""
        if order.trail:
            self._trailing_of(order).add(order.activation, order, trail=order.trail, stop_price=order.stop_price)
        else:
            insort(self._queue_of(order), _entry(order))

    def load(self, orders: list[Order]) -> None:
        """Fill an empty place with waiting orders."""
        for order in orders:
            if order.trail:
                self.add(order)
            else:
                self._queue_of(order).append(_entry(order))
        self._losses.sort()
        self._entries.sort()

    def remove(self, order: Order) -> None:
        """Take an order out before it fires."""
        if order.trail:
            self._trailing_of(order).remove(order.activation)
            return
        queue = self._queue_of(order)
        del queue[bisect_left(queue, _entry(order))]

    def follow(self, price: int) -> None:
        """Let the trailing stops see a trade."""
        self._trailing_losses.follow(price)
        self._trailing_entries.follow(price)

    def take_fired(self, *, low: int, high: int) -> list[Order]:
        """Take out the stops that trades between `low` and `high` fired, in the order of their activation."""
        fired = _take_from(self._losses, low) + _take_from(self._entries, -high)
        for trailing in (self._trailing_losses, self._trailing_entries):
            for order, _, stop_price in trailing.take_fired():
                order.stop_price, order.trail = stop_price, 0
                fired.append(order)
        return sorted(fired, key=lambda order: order.activation)

    def orders(self) -> Iterator[Order]:
        """Every waiting stop, in the order of activation; trailing ones with the stop prices they have now."""
        waiting = [order for _, _, order in self._losses + self._entries]
        for trailing in (self._trailing_losses, self._trailing_entries):
            waiting += [replace(order, stop_price=stop_price) for order, _, stop_price in trailing.stops()]
        yield from sorted(waiting, key=lambda order: order.activation)

    def _trailing_of(self, order: Order) -> TrailingStops[Order]:
        return self._trailing_losses if order.stop == StopKind.LOSS else self._trailing_entries

    def _queue_of(self, order: Order) -> list[tuple[int, int, Order]]:
        return self._losses if order.stop == StopKind.LOSS else self._entries


def _entry(order: Order) -> tuple[int, int, Order]:
    # Activations are unique, so a comparison never gets as far as the order itself.
    return (order.stop_price if order.stop == StopKind.LOSS else -order.stop_price, order.activation, order)


def _take_from(queue: list[tuple[int, int, Order]], key: int) -> list[Order]:
    start = bisect_left(queue, key, key=lambda entry: entry[0])
    fired = [order for _, _, order in queue[start:]]
    del queue[start:]
    return fired
