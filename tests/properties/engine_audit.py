"""What must hold after every command, checked from the events alone by something that is no engine.

It keeps its own small picture of the orders: what the events say of them, in which order they joined their queues,
which are pairs, and (moved by every trade, one by one) where each stop would fire.
"""

from dataclasses import dataclass

from exchange.messages import (
    CancelReason,
    ChangeReason,
    Command,
    CommandResult,
    DoneReason,
    Event,
    EventType,
    OrderType,
    Phase,
    Side,
    StopKind,
)


@dataclass
class Seen:
    """An order as its events show it."""

    order_id: int
    account_id: int
    side: int
    price: int
    by_funds: bool
    total: int
    remaining: int
    display_size: int
    traded: int = 0
    taken_away: int = 0
    shown: int = 0
    queued: int = 0
    is_resting: bool = False
    partner: int = 0
    is_spent: bool = False


@dataclass
class Waiting:
    """A stop as its events and the trades since show it."""

    stop: int
    stop_price: int
    trail: int
    is_due: bool = False

    def see(self, price: int) -> None:
        """A trade: it may fire the stop, else a trailing one follows it."""
        is_loss = self.stop == StopKind.LOSS
        if price <= self.stop_price if is_loss else price >= self.stop_price:
            self.is_due = True
        elif self.trail and not self.is_due:
            self.stop_price = (
                max(self.stop_price, price - self.trail) if is_loss else min(self.stop_price, price + self.trail)
            )


class Audit:
    """Follows one product's results and fails where something can't be."""

    def __init__(self, funds_per_value: int) -> None:
        self._funds_per_value = funds_per_value
        self._live: dict[int, Seen] = {}
        self._done: set[int] = set()
        self._sequence = self._trade_id = self._time_ns = self._queued = 0
        self._phase: int = Phase.CONTINUOUS
        self._auction_price = self._auction_left = 0
        self._last_price = 0
        self._waiting: dict[int, Waiting] = {}
        self._command = Command(0)

    def follow(self, command: Command, result: CommandResult | None) -> None:
        """Check one command's result."""
        self._command = command
        if result is not None:
            assert (result.command_id, result.op) == (command.command_id, command.op & 0xFF)
            for event in result.events:
                self._follow_event(event)
        assert not self._auction_left, "an auction trades its whole size"
        self._auction_price = 0
        if self._phase == Phase.CONTINUOUS:
            self._check_uncrossed()
        for order in self._live.values():
            if order.is_resting:
                assert 0 < order.shown <= order.remaining
                assert order.shown <= (order.display_size or order.remaining)
            assert not order.partner or (order.partner in self._live and not order.is_spent), "one cancels the other"
        assert not any(stop.is_due for stop in self._waiting.values()), "a stop that a trade has fired has run"

    def _check_uncrossed(self) -> None:
        bids = [order.price for order in self._live.values() if order.is_resting and order.side == Side.BUY]
        asks = [order.price for order in self._live.values() if order.is_resting and order.side == Side.SELL]
        assert not bids or not asks or max(bids) < min(asks), "crossed in continuous"

    def _follow_event(self, event: Event) -> None:
        self._sequence += 1
        assert event.sequence == self._sequence, "sequences have no gaps"
        assert event.time_ns >= self._time_ns, "time never runs backward"
        self._time_ns = event.time_ns
        if event.type == EventType.REJECTED:
            return
        assert event.order_id not in self._done, "no event for an order after its done"
        match event.type:
            case EventType.RECEIVED:
                self._receive(event)
            case EventType.OPEN:
                self._open(event)
            case EventType.MATCH:
                self._match(event)
            case EventType.CHANGE:
                self._change(event)
            case EventType.DONE:
                self._finish(event)
            case EventType.PHASE:
                self._phase = event.phase
            case EventType.AUCTION:
                self._auction_price, self._auction_left = event.price, event.size
            case EventType.ACTIVATE:
                self._activate(event)
            case _:
                self._trigger(event)

    def _receive(self, event: Event) -> None:
        assert event.order_id not in self._live
        assert bool(event.price) == (event.order_type == OrderType.LIMIT)
        assert bool(event.funds) == event.by_funds != bool(event.size)
        total = event.funds if event.by_funds else event.size
        self._live[event.order_id] = Seen(
            event.order_id, event.account_id, event.side, event.price, event.by_funds, total, total, event.display_size
        )
        partner = self._command.oco_order_id
        if partner:
            self._live[event.order_id].partner = partner
            other = self._live[partner]
            assert (other.account_id, other.partner, other.traded) == (event.account_id, 0, 0)
            assert self._command.stop or partner in self._waiting, "one of a pair is a stop"
            other.partner, other.is_spent = event.order_id, False

    def _activate(self, event: Event) -> None:
        stop = Waiting(event.stop, self._command.stop_price, self._command.trail_amount)
        assert event.stop == self._command.stop
        if self._last_price:
            stop.see(self._last_price)
        assert event.stop_price == stop.stop_price
        self._waiting[event.order_id] = stop

    def _trigger(self, event: Event) -> None:
        assert self._waiting.pop(event.order_id).is_due, "only a trade fires a stop"
        self._live[event.order_id].is_spent = True

    def _open(self, event: Event) -> None:
        order = self._live[event.order_id]
        assert (event.price, event.side, event.remaining_size) == (order.price, order.side, order.remaining)
        assert event.size == min(order.display_size or order.remaining, order.remaining)
        assert not order.is_resting or order.shown == 0, "only a refresh opens a resting order again"
        self._queued += 1
        order.queued, order.shown, order.is_resting = self._queued, event.size, True

    def _match(self, event: Event) -> None:
        self._trade_id += 1
        assert event.trade_id == self._trade_id, "trade ids have no gaps"
        maker, taker = self._live[event.maker_order_id], self._live[event.order_id]
        assert (maker.account_id, taker.account_id) == (event.maker_account_id, event.account_id)
        assert event.side == maker.side != taker.side
        assert event.size > 0
        if self._auction_left:
            assert event.price == self._auction_price
            assert maker.is_resting
            assert taker.is_resting
            self._auction_left -= event.size
            assert self._is_next(maker)
            assert self._is_next(taker)
        else:
            assert maker.account_id != taker.account_id, "no account trades with itself"
            assert event.price == maker.price, "a trade happens at the maker's price"
            assert not taker.is_resting
            assert self._is_next(maker), "price, then time"
        for order in (maker, taker):
            self._fill(order, event)
        self._last_price = event.price
        for stop in self._waiting.values():
            stop.see(event.price)

    def _is_next(self, order: Seen) -> bool:
        """Whether nobody on its side stands before it."""
        sign = -1 if order.side == Side.BUY else 1
        rivals = [other for other in self._live.values() if other.is_resting and other.side == order.side]
        return order is min(rivals, key=lambda other: (sign * other.price, other.queued))

    def _fill(self, order: Seen, event: Event) -> None:
        amount = event.size * event.price * self._funds_per_value if order.by_funds else event.size
        assert order.order_id not in self._waiting, "what waits can't trade"
        other = self._live.get(order.partner)
        assert not order.partner or (other is not None and not other.is_spent), "only one of a pair trades"
        order.is_spent = True
        order.traded += amount
        order.remaining -= amount
        assert order.remaining >= 0
        if order.is_resting:
            order.shown -= event.size
            assert order.shown >= 0
        elif order.price:
            better = event.price <= order.price if order.side == Side.BUY else event.price >= order.price
            assert better, "never worse than the order's own price"

    def _change(self, event: Event) -> None:
        order = self._live[event.order_id]
        old, new = (event.old_funds, event.new_funds) if order.by_funds else (event.old_size, event.new_size)
        assert event.by_funds == order.by_funds
        assert old == order.remaining
        assert new > 0
        if event.reason == ChangeReason.STP:
            assert new < old
            order.taken_away += old - new
        else:
            order.total += new - old
            if order.is_resting and (event.new_price or new > old):
                order.is_resting = False
        order.remaining = new
        order.shown = min(order.shown, new)
        if event.new_price:
            assert event.old_price == order.price != event.new_price
            order.price = event.new_price

    def _finish(self, event: Event) -> None:
        order = self._live.pop(event.order_id)
        self._done.add(event.order_id)
        self._waiting.pop(event.order_id, None)
        self._part(order, event.reason)
        remaining = event.remaining_funds if order.by_funds else event.remaining_size
        assert event.by_funds == order.by_funds
        assert remaining == order.remaining
        assert order.traded + order.remaining + order.taken_away == order.total
        if event.done_reason == DoneReason.FILLED and not order.by_funds:
            assert remaining == 0
        assert (event.reason == 0) == (event.done_reason == DoneReason.FILLED)

    def _part(self, order: Seen, reason: int) -> None:
        """The end of one of a pair is the other's doing, or the first that the other hears of."""
        other = self._live.get(order.partner)
        if not order.partner:
            assert reason != CancelReason.OCO
        elif reason == CancelReason.OCO:
            assert other is None or other.is_spent, "only what has happened to one cancels the other"
        elif other is None:
            assert reason == CancelReason.MASS, "but for a mass cancel, one ends by the other"
        if other is not None and reason == CancelReason.OCO:
            other.partner = 0
