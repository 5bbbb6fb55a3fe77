"""The fold: events in, the public state of one market and its public events out. No clock, no I/O, no chance.

What an iceberg hides never enters: the book holds displayed sizes, and the public events are masked here, once,
so that nothing behind this module can tell more than the public may know.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from exchange.kernel.errors import UnavailableError, require
from exchange.market_data.bars import Bars, Page
from exchange.market_data.book import OrderBook, Resting
from exchange.messages import (
    ChangeReason,
    CommandResult,
    DoneReason,
    Event,
    EventRecord,
    EventType,
    Phase,
    Side,
    genesis_hash,
)

UNTOLD = -1  # A size that is the owner's business.


class FeedError(RuntimeError):
    """The stream does not continue what we hold. Stop, never guess."""


class SequenceGapError(FeedError):
    """Events are missing between what we hold and what came."""


class HistoryForkError(FeedError):
    """The stream speaks of another past than ours: two engines disagree."""


class StaleStateError(UnavailableError):
    """Somebody else has committed since our state was loaded. Nothing was changed; load again."""


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade. Price in ticks, size in lots; `side` is the maker's."""

    trade_id: int
    sequence: int
    time_ns: int
    price: int
    size: int
    side: Side
    maker_order_id: int
    taker_order_id: int


@dataclass(frozen=True, slots=True)
class PublicEvent:
    """What everybody may know of an event. Of a private one that is its type, sequence and time.

    Units:    prices in ticks, sizes in lots, funds in tick x lot units; 0 where the event has none.
    Shape:    `size` is what was received, opened or traded, or what remained when done (UNTOLD: the owner's business).
    """

    type: EventType
    sequence: int
    time_ns: int
    is_private: bool = False
    order_id: int = 0
    maker_order_id: int = 0
    trade_id: int = 0
    side: int = 0
    order_type: int = 0
    price: int = 0
    size: int = 0
    funds: int = 0
    old_size: int = 0
    new_size: int = 0
    old_price: int = 0
    reason: int = 0
    phase: int = 0


@dataclass(slots=True)
class MarketState:
    """One market after `sequence`. `chain` is the hash that the next record must name.

    `edition` counts how often the market was rebuilt from the log: who holds a state of an older one must load again.
    """

    product_id: str
    chain: bytes
    sequence: int = 0
    time_ns: int = 0
    phase: Phase = Phase.CONTINUOUS
    book: OrderBook = field(default_factory=OrderBook)
    waiting_stops: set[int] = field(default_factory=set)
    last_trade: Trade | None = None
    bars: Bars = field(default_factory=Bars)
    edition: int = 0

    @classmethod
    def genesis(cls, product_id: str) -> "MarketState":
        """A market in which nothing has happened."""
        return cls(product_id, genesis_hash(product_id))

    def apply_record(self, record: EventRecord) -> list[PublicEvent]:
        """Fold one record of the stream; what the cursor covers is dropped.

        Raises:   SequenceGapError, HistoryForkError, InvariantError; the state is then of no more use.
        """
        require(record.product_id == self.product_id, f"{record.product_id} is folded into {self.product_id}")
        if record.first_sequence > self.sequence + 1:
            raise SequenceGapError(
                f"{self.product_id}: events {self.sequence + 1} to {record.first_sequence - 1} are missing"
            )
        if record.hash_at(self.sequence) not in {None, self.chain}:
            raise HistoryForkError(f"{self.product_id}: another past than ours up to {self.sequence}")
        told: list[PublicEvent] = []
        for result in record.results:
            if result.events[-1].sequence > self.sequence:
                told += self.apply(result)
        return told

    def apply(self, result: CommandResult) -> list[PublicEvent]:
        """Fold one command's events, or the part of them behind the cursor.

        Raises:   SequenceGapError, InvariantError; the state is then of no more use.
        """
        if result.events[0].sequence > self.sequence + 1:
            raise SequenceGapError(
                f"{self.product_id}: no event {self.sequence + 1} before {result.events[0].sequence}"
            )
        plain = {event.order_id for event in result.events if _is_plain_arrival(event)}
        told = []
        for index, event in enumerate(result.events):
            if event.sequence <= self.sequence:
                continue
            following = result.events[index + 1] if index + 1 < len(result.events) else None
            told.append(self._apply(event, following=following, is_plain=event.order_id in plain))
            self.sequence, self.time_ns = event.sequence, event.time_ns
        if result.hash_after:
            self.chain = result.hash_after
        return told

    def _apply(self, event: Event, *, following: Event | None, is_plain: bool) -> PublicEvent:
        if event.type == EventType.RECEIVED:
            waits = following is not None and (following.type, following.order_id) == (
                EventType.ACTIVATE,
                event.order_id,
            )
            return _private(event) if waits or event.stop else _received(event)
        if event.type == EventType.DONE:
            return self._done(event, is_plain=is_plain)
        if event.type == EventType.CHANGE:
            return self._changed(event, is_plain=is_plain)
        return _RULES[EventType(event.type)](self, event)

    def _activated(self, event: Event) -> PublicEvent:
        self.waiting_stops.add(event.order_id)
        return _private(event)

    def _triggered(self, event: Event) -> PublicEvent:
        self.waiting_stops.discard(event.order_id)
        return _private(event)

    def _opened(self, event: Event) -> PublicEvent:
        side = Side(event.side)
        self.book.add(Resting(event.order_id, side, event.price, event.size))
        return _public(event, order_id=event.order_id, side=side, price=event.price, size=event.size)

    def _matched(self, event: Event) -> PublicEvent:
        last_id = self.last_trade.trade_id if self.last_trade else 0
        if event.trade_id != last_id + 1:
            raise SequenceGapError(f"{self.product_id}: trade {event.trade_id} follows trade {last_id}")
        self.book.reduce(event.maker_order_id, event.size)
        if event.order_id in self.book:  # An uncrossing pairs two orders that both rest.
            self.book.reduce(event.order_id, event.size)
        self.bars.add(event.time_ns, event.price, event.size)
        told = _public(
            event,
            order_id=event.order_id,
            maker_order_id=event.maker_order_id,
            trade_id=event.trade_id,
            side=event.side,
            price=event.price,
            size=event.size,
        )
        (self.last_trade,) = trades_of([told])
        return told

    def _changed(self, event: Event, *, is_plain: bool) -> PublicEvent:
        shown = self.book.find(event.order_id)
        if shown is None:
            return _changed_outside_the_book(event) if is_plain else _private(event)
        loses_place = bool(event.new_price) or event.new_size > event.old_size
        if event.reason == ChangeReason.AMEND and loses_place:
            # Clients' books stay right when it leaves here; if it rests again an `open` follows.
            self.book.remove(event.order_id)
            return _left(event, shown, DoneReason.CANCELED)
        size = min(shown.size, event.new_size)  # What an iceberg hides goes first.
        self.book.resize(event.order_id, size)
        return _public(
            event,
            order_id=event.order_id,
            side=shown.side,
            price=shown.price,
            old_size=shown.size,
            new_size=size,
            reason=event.reason,
        )

    def _done(self, event: Event, *, is_plain: bool) -> PublicEvent:
        if event.order_id in self.waiting_stops:
            self.waiting_stops.remove(event.order_id)
            return _public(event, order_id=event.order_id, reason=event.done_reason, size=UNTOLD)
        shown = self.book.find(event.order_id)
        if shown is not None:
            self.book.remove(event.order_id)
            return _left(event, shown, event.done_reason)
        is_told = is_plain or event.done_reason == DoneReason.FILLED
        return _public(
            event,
            order_id=event.order_id,
            side=event.side,
            order_type=event.order_type,
            price=event.price,
            size=event.remaining_size if is_told and not event.by_funds else UNTOLD,
            reason=event.done_reason,
        )

    def _phased(self, event: Event) -> PublicEvent:
        self.phase = Phase(event.phase)
        return _public(event, phase=event.phase)


@dataclass(frozen=True, slots=True)
class Batch:
    """What was folded at once: the state after it, the sequence before it, its events, the pages of bars it closed."""

    state: MarketState
    begun_at: int
    events: Sequence[PublicEvent]
    pages: Sequence[Page]


def trades_of(events: Iterable[PublicEvent]) -> list[Trade]:
    """The trades among public events."""
    return [
        Trade(
            trade_id=event.trade_id,
            sequence=event.sequence,
            time_ns=event.time_ns,
            price=event.price,
            size=event.size,
            side=Side(event.side),
            maker_order_id=event.maker_order_id,
            taker_order_id=event.order_id,
        )
        for event in events
        if event.type == EventType.MATCH
    ]


def _is_plain_arrival(event: Event) -> bool:
    return event.type == EventType.RECEIVED and not event.display_size


def _private(event: Event) -> PublicEvent:
    return PublicEvent(EventType(event.type), event.sequence, event.time_ns, is_private=True)


def _public(event: Event, **told: int) -> PublicEvent:
    return PublicEvent(EventType(event.type), event.sequence, event.time_ns, **told)  # type: ignore[arg-type]


def _received(event: Event) -> PublicEvent:
    shown = min(event.size, event.display_size) if event.display_size else event.size
    return _public(
        event,
        order_id=event.order_id,
        side=event.side,
        order_type=event.order_type,
        price=event.price,
        size=shown,
        funds=event.funds,
    )


def _changed_outside_the_book(event: Event) -> PublicEvent:
    return _public(
        event,
        order_id=event.order_id,
        side=event.side,
        price=event.price,
        old_size=event.old_size,
        new_size=event.new_size,
        reason=event.reason,
    )


def _left(event: Event, shown: Resting, reason: int) -> PublicEvent:
    return PublicEvent(
        EventType.DONE,
        event.sequence,
        event.time_ns,
        order_id=shown.order_id,
        side=shown.side,
        price=shown.price,
        size=shown.size,
        reason=reason,
    )


def _auctioned(_state: MarketState, event: Event) -> PublicEvent:
    return _public(event, price=event.price, size=event.size)


def _rejected(_state: MarketState, event: Event) -> PublicEvent:
    return _private(event)


_RULES: dict[EventType, Callable[[MarketState, Event], PublicEvent]] = {
    EventType.REJECTED: _rejected,
    EventType.ACTIVATE: MarketState._activated,  # noqa: SLF001 - the table of this class's own rules
    EventType.TRIGGERED: MarketState._triggered,  # noqa: SLF001
    EventType.OPEN: MarketState._opened,  # noqa: SLF001
    EventType.MATCH: MarketState._matched,  # noqa: SLF001
    EventType.PHASE: MarketState._phased,  # noqa: SLF001
    EventType.AUCTION: _auctioned,
}
