"""The whole state of one product's engine, and the few moves that every rule is made of."""

from collections import OrderedDict
from heapq import heapify, heappop, heappush

from exchange.messages import CancelReason, ChangeReason, Phase, genesis_hash

from matcher.engine.book import Book, Order
from matcher.engine.memory import CommandIds, OrderIds
from matcher.engine.product import ProductSpec
from matcher.engine.stops import WaitingStops, follow, holds
from matcher.engine.writer import EventWriter

# Beyond every price that can exist: the edges of a product without a band.
PRICE_LOWEST = -(2**62)
PRICE_HIGHEST = 2**62
_EXPIRIES_KEPT = 1024


class State:
    """What the rules read and write."""

    def __init__(self, product: ProductSpec) -> None:
        self.product = product
        self.phase = Phase.CONTINUOUS
        self.now_ns = 0
        self.rules_version = 1
        self.last_price = 0
        self.trade_id = 0
        self.activations = 0
        self.chain_hash = genesis_hash(product.product_id)
        self.writer = EventWriter()
        self.book = Book()
        self.stops = WaitingStops()
        self.orders: dict[int, Order] = {}
        self.order_ids = OrderIds()
        self.command_ids = CommandIds()
        self.fired: OrderedDict[int, Order] = OrderedDict()
        self.lower = PRICE_LOWEST
        self.upper = PRICE_HIGHEST
        self._traded_low = 0
        self._traded_high = 0
        self._expiries: list[tuple[int, int, int]] = []

    # The price band.

    @property
    def reference(self) -> tuple[int, int] | None:
        """The reference price in ticks as a fraction: the last trade's, else the product's own."""
        if self.last_price:
            return self.last_price, 1
        own = self.product.reference_price
        return own.as_integer_ratio() if own is not None else None

    def set_edges(self) -> None:
        """Take the reference once, at the start of a command or of a triggered stop's run."""
        band, reference = self.product.band, self.reference
        if band is None or reference is None:
            self.lower, self.upper = PRICE_LOWEST, PRICE_HIGHEST
            return
        numerator, denominator = reference
        part, whole = band.as_integer_ratio()
        self.upper = numerator * (whole + part) // (denominator * whole)
        self.lower = -(-numerator * (whole - part) // (denominator * whole))

    # Orders come, rest, change and go.

    def load_orders(self, *, bids: list[Order], asks: list[Order], waiting: list[Order]) -> None:
        """Put a snapshot's orders where they stood: each side by priority, the stops by activation."""
        self.book.bids.load(bids)
        self.book.asks.load(asks)
        self.stops.load(waiting)
        for order in (*bids, *asks, *waiting):
            self.orders[order.order_id] = order
            if order.expire_time_ns:
                self._expiries.append((order.expire_time_ns, order.rank, order.order_id))
        heapify(self._expiries)

    def admit(self, order: Order) -> None:
        """Make an order live."""
        self.orders[order.order_id] = order
        if order.expire_time_ns:
            heappush(self._expiries, (order.expire_time_ns, order.rank, order.order_id))
            self._forget_dead_expiries()

    def rest(self, order: Order) -> None:
        """Put an order at the back of its price's queue."""
        order.display()
        self.book.side_of(order).append(order)
        self.writer.open(order)

    def wait(self, order: Order) -> None:
        """Let a stop order wait, or fire it at once where its condition holds already."""
        self.activations += 1
        order.activation = self.activations
        if order.trail and self.last_price:
            follow(order, self.last_price)
        self.writer.activate(order)
        if self.last_price and holds(order, self.last_price):
            order.trail = 0
            self.fired[order.order_id] = order
        else:
            order.is_waiting = True
            self.stops.add(order)

    def withdraw(self, order: Order) -> None:
        """Take a resting, waiting or fired order from where it stands."""
        if order.is_waiting:
            self.stops.remove(order)
        elif order.order_id in self.fired:
            del self.fired[order.order_id]
        else:
            self.book.side_of(order).remove(order)

    def finish(self, order: Order, cancel_reason: int = 0) -> None:
        """End an order that stands nowhere any more; without a reason it is filled."""
        self.writer.done(order, cancel_reason)
        del self.orders[order.order_id]
        self.order_ids.retire(order.order_id, order.rank, self.orders)
        self.cancel_partner(order)

    def cancel(self, order: Order, cancel_reason: int) -> None:
        """End a resting or waiting order."""
        self.withdraw(order)
        self.finish(order, cancel_reason)

    def pair(self, order: Order) -> None:
        """Tie an admitted order to the live one that it names."""
        if order.partner:
            self.orders[order.partner].partner = order.order_id

    def cancel_partner(self, order: Order) -> None:
        """One has traded, fired or ended, so it cancels the other: the two are a pair no longer."""
        if order.partner:
            partner = self.orders[order.partner]
            order.partner = partner.partner = 0
            self.cancel(partner, CancelReason.OCO)

    def reduce(self, order: Order, *, size: int = 0, funds: int = 0) -> None:
        """Take from an order what self-trade prevention decrements; the hidden part goes first."""
        old_size, old_funds = order.remaining, order.funds
        order.remaining -= size
        order.funds -= funds
        order.shown = min(order.shown, order.remaining)
        self.writer.change(order, ChangeReason.STP, old_size=old_size, old_price=order.price, old_funds=old_funds)

    # Trades, and the stops that they fire.

    def trade(self, maker: Order, taker: Order, price: int, size: int) -> None:
        """Exchange `size` lots; the caller ends, refreshes or goes on with the two orders."""
        self.trade_id += 1
        self.last_price = price
        self._traded_low = min(self._traded_low, price) if self._traded_low else price
        self._traded_high = max(self._traded_high, price)
        self.stops.follow(price)
        self.writer.match(maker, taker, trade_id=self.trade_id, price=price, size=size)
        for order in (maker, taker):
            order.traded += size
            if order.by_funds:
                order.funds -= price * size * self.product.funds_per_value
            else:
                order.remaining -= size

    def after_fill(self, order: Order, size: int) -> None:
        """Settle what a fill did to a resting order: it is done, or an iceberg shows its next part."""
        order.shown -= size
        if not order.remaining:
            self.book.side_of(order).remove(order)
            self.finish(order)
        elif not order.shown:
            order.display()
            self.book.side_of(order).requeue(order)
            self.writer.open(order)
        self.cancel_partner(order)

    def fire_stops(self) -> None:
        """Queue the stops whose condition held at any trade since this was asked last."""
        if not self._traded_high:
            return
        for order in self.stops.take_fired(low=self._traded_low, high=self._traded_high):
            order.is_waiting = False
            self.fired[order.order_id] = order
        self._traded_low = self._traded_high = 0

    # Time.

    def next_expired(self) -> Order | None:
        """The next order whose time has come: by expiry time, then by the order received."""
        while self._expiries and self._expiries[0][0] <= self.now_ns:
            _, rank, order_id = heappop(self._expiries)
            order = self.orders.get(order_id)
            if order is not None and order.rank == rank:
                return order
        return None

    def _forget_dead_expiries(self) -> None:
        """Keep the heap in proportion to the live orders: those that ended early stay in it till their time."""
        if len(self._expiries) <= max(_EXPIRIES_KEPT, 2 * len(self.orders)):
            return
        self._expiries = [(time, rank, key) for time, rank, key in self._expiries if self._is_alive(key, rank)]
        heapify(self._expiries)

    def _is_alive(self, order_id: int, rank: int) -> bool:
        order = self.orders.get(order_id)
        return order is not None and order.rank == rank
