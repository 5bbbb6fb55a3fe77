"""Stop orders that wait for a trade at their price."""

from bisect import bisect_left, insort
from collections.abc import Iterator

from exchange.messages import StopKind

from matcher.engine.book import Order


def holds(order: Order, price: int) -> bool:
    """Whether a trade at `price` fires the stop."""
    return price <= order.stop_price if order.stop == StopKind.LOSS else price >= order.stop_price


class WaitingStops:
    """Waiting stops by price, so that finding those a trade fires costs only what it finds.

    Losses fire from the highest stop price down, entries from the lowest up: keys grow in that direction, and the next
    to fire stands last.
    """

    def __init__(self) -> None:
        self._losses: list[tuple[int, int, Order]] = []
        self._entries: list[tuple[int, int, Order]] = []

    def add(self, order: Order) -> None:
        """Let an order wait."""
        insort(self._queue_of(order), _entry(order))

    def load(self, orders: list[Order]) -> None:
        """Fill an empty place with waiting orders."""
        for order in orders:
            self._queue_of(order).append(_entry(order))
        self._losses.sort()
        self._entries.sort()

    def remove(self, order: Order) -> None:
        """Take an order out before it fires."""
        queue = self._queue_of(order)
        del queue[bisect_left(queue, _entry(order))]

    def take_fired(self, *, low: int, high: int) -> list[Order]:
        """Take out the stops that trades between `low` and `high` fire, in the order of their activation."""
        fired = _take_from(self._losses, low) + _take_from(self._entries, -high)
        return sorted(fired, key=lambda order: order.activation)

    def orders(self) -> Iterator[Order]:
        """Every waiting stop, in the order of activation."""
        waiting = [order for _, _, order in self._losses + self._entries]
        yield from sorted(waiting, key=lambda order: order.activation)

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
