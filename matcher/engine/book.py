"""The order book: prices in order, and at each price a queue in order of time."""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from exchange.messages import OrderType, Side


@dataclass(slots=True, eq=False)
class Order:
    """A live order: resting in the book, or waiting for its stop.

    Units:    prices in ticks, sizes in lots, funds in funds units.
    Shape:    `remaining` is in full, `shown` what the book displays of it; an order by funds has `funds` left instead.
              `rank` numbers the orders as they were received, `activation` the stops as they began to wait.
              `partner` is the id of the order it is paired with; `trail` is 0 but of trailing stops that wait, whose
              `stop_price` then is what they began with (see WaitingStops.orders for what it is now).
    """

    order_id: int
    account_id: int
    side: int
    order_type: int
    time_in_force: int
    stop: int
    self_trade_prevention: int
    post_only: bool
    price: int
    stop_price: int
    cap_price: int
    expire_time_ns: int
    display_size: int
    remaining: int
    funds: int
    traded: int
    rank: int
    by_funds: bool = False
    shown: int = 0
    activation: int = 0
    is_waiting: bool = False
    trail: int = 0
    partner: int = 0

    @property
    def is_buy(self) -> bool:
        """Whether it buys the base currency."""
        return self.side == Side.BUY

    @property
    def is_limit(self) -> bool:
        """Whether it names its price."""
        return self.order_type == OrderType.LIMIT

    def display(self) -> None:
        """Show the next part: all of it, or of an iceberg its display size."""
        self.shown = min(self.display_size, self.remaining) if self.display_size else self.remaining


class BookSide:
    """All resting orders of one side.

    Prices are kept as keys that grow with priority (a bid's price, an ask's price negated), so that the best is always
    last, and taking it away moves nothing.
    """

    def __init__(self, side: int) -> None:
        self._sign = 1 if side == Side.BUY else -1
        self._keys: list[int] = []
        self._queues: dict[int, OrderedDict[int, Order]] = {}

    def __bool__(self) -> bool:
        return bool(self._keys)

    @property
    def best_price(self) -> int:
        """The price of the next maker; the side must not be empty."""
        return self._sign * self._keys[-1]

    @property
    def first(self) -> Order:
        """The next maker; the side must not be empty."""
        return next(iter(self._queues[self._keys[-1]].values()))

    def reaches(self, price: int) -> bool:
        """Whether some order here trades at `price`: a bid as high, an ask as low."""
        return bool(self._keys) and self._keys[-1] >= self._sign * price

    def append(self, order: Order) -> None:
        """Put an order at the back of its price's queue."""
        key = self._sign * order.price
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = OrderedDict()
            insort(self._keys, key)
        queue[order.order_id] = order

    def load(self, orders: list[Order]) -> None:
        """Fill an empty side with orders that come by priority."""
        for order in orders:
            self._queues.setdefault(self._sign * order.price, OrderedDict())[order.order_id] = order
        self._keys = sorted(self._queues)

    def remove(self, order: Order) -> None:
        """Take an order out."""
        key = self._sign * order.price
        queue = self._queues[key]
        del queue[order.order_id]
        if not queue:
            del self._queues[key]
            del self._keys[bisect_left(self._keys, key)]

    def requeue(self, order: Order) -> None:
        """Send an order to the back of its price's queue."""
        self._queues[self._sign * order.price].move_to_end(order.order_id)

    def levels(self) -> Iterator[tuple[int, list[Order]]]:
        """Each price, best first, with its orders in order of time."""
        for key in reversed(self._keys):
            yield self._sign * key, list(self._queues[key].values())

    def orders(self) -> Iterator[Order]:
        """Every order by priority."""
        for _, queue in self.levels():
            yield from queue


class Book:
    """Both sides."""

    def __init__(self) -> None:
        self.bids = BookSide(Side.BUY)
        self.asks = BookSide(Side.SELL)

    @property
    def is_crossed(self) -> bool:
        """Whether a bid is as high as an ask."""
        return bool(self.bids) and bool(self.asks) and self.bids.best_price >= self.asks.best_price

    def side_of(self, order: Order) -> BookSide:
        """Where the order rests."""
        return self.bids if order.is_buy else self.asks

    def against(self, order: Order) -> BookSide:
        """Where the order finds its makers."""
        return self.asks if order.is_buy else self.bids
