"""What few orders have: a partner, or a stop price that follows the trades. Orders are handles here.

Plain Python, compiled or not: an order without ties never comes here, a trade only where one of them stands.
"""

from collections.abc import Iterator
from itertools import chain

from matcher.engine.trailing import NEVER, TrailingStops


class Ties:
    """The pairs and the trailing stops of one market.

    Shape:    a trade from `low` to `high` fires no trailing stop and moves none.
    """

    def __init__(self) -> None:
        self._partners: dict[int, int] = {}
        self._losses: TrailingStops[int] = TrailingStops(1)
        self._entries: TrailingStops[int] = TrailingStops(-1)
        self.low = -NEVER
        self.high = NEVER

    def pair(self, order: int, partner: int) -> None:
        """Make two orders one pair."""
        self._partners[order] = partner
        self._partners[partner] = order

    def part(self, order: int) -> int:
        """Make a pair two orders again; return the other."""
        partner = self._partners.pop(order)
        del self._partners[partner]
        return partner

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Each paired order with its partner."""
        return iter(self._partners.items())

    def trail(self, order: int, activation: int, *, is_loss: bool, trail: int, stop_price: int) -> None:
        """Let a trailing stop wait."""
        self._side(is_loss).add(activation, order, trail=trail, stop_price=stop_price)
        self._bound()

    def remove(self, activation: int, *, is_loss: bool) -> None:
        """Take a trailing stop out before it runs."""
        self._side(is_loss).remove(activation)
        self._bound()

    def count(self) -> int:
        """How many trailing stops wait or have fired since `take_fired`."""
        return len(self._losses) + len(self._entries)

    def follow(self, price: int) -> None:
        """Let the trailing stops see a trade."""
        self._losses.follow(price)
        self._entries.follow(price)
        self._bound()

    def take_fired(self) -> list[tuple[int, int]]:
        """Take out the stops that trades have fired, each with the price it fired at."""
        fired = chain(self._losses.take_fired(), self._entries.take_fired())
        return [(order, stop_price) for order, _, stop_price in fired]

    def trailing(self) -> Iterator[tuple[int, int, int]]:
        """Each trailing stop that waits, with its trail and the stop price it has now."""
        return chain(self._losses.stops(), self._entries.stops())

    def _side(self, is_loss: bool) -> TrailingStops[int]:
        return self._losses if is_loss else self._entries

    def _bound(self) -> None:
        self.low = max(self._losses.near + 1, -self._entries.far)
        self.high = min(self._losses.far, -self._entries.near - 1)
