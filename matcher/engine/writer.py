"""Writes the events of one command as the packed bytes that the stream carries."""

from typing import Final

from exchange.messages import Command, DoneReason, EventType, Phase
from exchange.messages.events import EVENT_STRUCTS, RESULT_STRUCT

from matcher.engine.book import Order

_RECEIVED: Final = EVENT_STRUCTS[EventType.RECEIVED].pack
_REJECTED: Final = EVENT_STRUCTS[EventType.REJECTED].pack
_ACTIVATE: Final = EVENT_STRUCTS[EventType.ACTIVATE].pack
_TRIGGERED: Final = EVENT_STRUCTS[EventType.TRIGGERED].pack
_OPEN: Final = EVENT_STRUCTS[EventType.OPEN].pack
_MATCH: Final = EVENT_STRUCTS[EventType.MATCH].pack
_CHANGE: Final = EVENT_STRUCTS[EventType.CHANGE].pack
_DONE: Final = EVENT_STRUCTS[EventType.DONE].pack
_PHASE: Final = EVENT_STRUCTS[EventType.PHASE].pack
_AUCTION: Final = EVENT_STRUCTS[EventType.AUCTION].pack
# Command fields come from outside and may hold anything that fits their own field; these fit the events' fields too.
_BYTE: Final = 0xFF


class EventWriter:
    """Collects one command's events; `sequence` is that of the last event written, over all commands."""

    def __init__(self, sequence: int = 0) -> None:
        self.sequence = sequence
        self._events: list[bytes] = []

    def take(self, command: Command, time_ns: int) -> bytes | None:
        """Return the packed result of the command that has ended, and start afresh. None where nothing happened."""
        if not self._events:
            return None
        count = len(self._events)
        head = RESULT_STRUCT.pack(
            command.command_id,
            command.order_id,
            command.account_id,
            time_ns,
            self.sequence - count + 1,
            count,
            command.op & _BYTE,
            0,
            count,
        )
        packed = head + b"".join(self._events)
        self._events.clear()
        return packed

    def _add(self, event: bytes) -> None:
        self._events.append(event)
        self.sequence += 1

    def received(self, order: Order) -> None:
        """The command was accepted; what follows is what it does."""
        size = 0 if order.by_funds else order.remaining
        self._add(
            _RECEIVED(
                EventType.RECEIVED, order.side, order.order_type, 0, 0, 0, order.stop, order.by_funds,
                order.order_id, order.account_id, order.price, size, order.funds, order.display_size,
            )
        )  # fmt: skip

    def rejected(self, op: int, order_id: int, account_id: int, reason: int) -> None:
        """The command was refused."""
        self._add(_REJECTED(EventType.REJECTED, 0, 0, reason, 0, 0, 0, op & _BYTE, order_id, account_id))

    def activate(self, order: Order) -> None:
        """A stop order waits."""
        self._add(
            _ACTIVATE(
                EventType.ACTIVATE, order.side, order.order_type, 0, 0, 0, order.stop, 0,
                order.order_id, order.account_id, order.stop_price,
            )
        )  # fmt: skip

    def triggered(self, order: Order) -> None:
        """A stop order wakes."""
        self._add(
            _TRIGGERED(
                EventType.TRIGGERED, order.side, order.order_type, 0, 0, 0, order.stop, 0,
                order.order_id, order.account_id,
            )
        )  # fmt: skip

    def open(self, order: Order) -> None:
        """An order rests, or shows its next part."""
        self._add(
            _OPEN(
                EventType.OPEN, order.side, order.order_type, 0, 0, 0, 0, 0,
                order.order_id, order.account_id, order.price, order.shown, order.remaining,
            )
        )  # fmt: skip

    def match(self, maker: Order, taker: Order, *, trade_id: int, price: int, size: int) -> None:
        """Two orders traded."""
        self._add(
            _MATCH(
                EventType.MATCH, maker.side, 0, 0, 0, 0, 0, 0,
                taker.order_id, taker.account_id, maker.order_id, maker.account_id, trade_id, price, size,
            )
        )  # fmt: skip

    def change(self, order: Order, reason: int, *, old_size: int, old_price: int, old_funds: int) -> None:
        """An order became what it is now."""
        moved = order.price != old_price
        self._add(
            _CHANGE(
                EventType.CHANGE, order.side, order.order_type, reason, 0, 0, 0, order.by_funds,
                order.order_id, order.account_id, order.price, old_size, order.remaining,
                old_price if moved else 0, order.price if moved else 0, old_funds, order.funds,
            )
        )  # fmt: skip

    def done(self, order: Order, cancel_reason: int) -> None:
        """An order ended; `cancel_reason` 0 means filled."""
        done_reason = DoneReason.CANCELED if cancel_reason else DoneReason.FILLED
        self._add(
            _DONE(
                EventType.DONE, order.side, order.order_type, cancel_reason, done_reason, 0, 0, order.by_funds,
                order.order_id, order.account_id, order.price, order.remaining, order.funds,
            )
        )  # fmt: skip

    def phase(self, phase: Phase) -> None:
        """The product is in this phase now."""
        self._add(_PHASE(EventType.PHASE, 0, 0, 0, 0, phase, 0, 0))

    def auction(self, price: int, size: int) -> None:
        """The book uncrosses at one price."""
        self._add(_AUCTION(EventType.AUCTION, 0, 0, 0, 0, 0, 0, 0, price, size))
