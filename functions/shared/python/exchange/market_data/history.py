"""Public events as compact bytes, kept for a day: what a gap is filled from.

chunk    u8 version, then deflated: i64 first sequence, then the events, numbered from it on without a gap
event    u8 type, is_private, side, order_type, reason, phase | i64 time_ns and the other numbers, in PublicEvent's
         order
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final

from exchange.kernel.errors import require
from exchange.market_data.bars import SECOND_NS
from exchange.market_data.model import PublicEvent
from exchange.messages import EventType, UnknownVersionError

VERSION: Final = 1
CHUNK_EVENTS_MAX: Final = 500
KEPT_SECONDS: Final = 24 * 60 * 60
_FIRST: Final = Struct("<q")
_EVENT: Final = Struct("<6B10q")
_FAST: Final = 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of public events without a gap. Who folds in other batches cuts elsewhere and says the same."""

    events: Sequence[PublicEvent]

    @property
    def last(self) -> int:
        """The last sequence in it."""
        return self.events[-1].sequence

    @property
    def expires_at(self) -> int:
        """When it may be forgotten, in seconds since 1970: a day after its last event happened."""
        return self.events[-1].time_ns // SECOND_NS + KEPT_SECONDS


def cut(events: Sequence[PublicEvent]) -> Iterator[Chunk]:
    """The events in chunks."""
    for start in range(0, len(events), CHUNK_EVENTS_MAX):
        yield Chunk(events[start : start + CHUNK_EVENTS_MAX])


def encode_chunk(chunk: Chunk) -> bytes:
    """A chunk as bytes."""
    rows = [_EVENT.pack(*_fields(event)) for event in chunk.events]
    return bytes([VERSION]) + zlib.compress(_FIRST.pack(chunk.events[0].sequence) + b"".join(rows), _FAST)


def decode_chunk(data: bytes) -> Chunk:
    """Read a chunk back.

    Raises:   UnknownVersionError.
    """
    if not data or data[0] != VERSION:
        raise UnknownVersionError(f"version {data[:1].hex()} of the stored events is unknown here")
    body = zlib.decompress(data[1:])
    (first,) = _FIRST.unpack_from(body)
    require((len(body) - _FIRST.size) % _EVENT.size == 0, "the stored events end within one")
    rows = _EVENT.iter_unpack(body[_FIRST.size :])
    return Chunk([_event(first + index, fields) for index, fields in enumerate(rows)])


def _fields(event: PublicEvent) -> tuple[int, ...]:
    return (
        event.type,
        event.is_private,
        event.side,
        event.order_type,
        event.reason,
        event.phase,
        event.time_ns,
        event.order_id,
        event.maker_order_id,
        event.trade_id,
        event.price,
        event.size,
        event.funds,
        event.old_size,
        event.new_size,
        event.old_price,
    )


def _event(sequence: int, fields: tuple[int, ...]) -> PublicEvent:
    kind, is_private, side, order_type, reason, phase, time_ns = fields[:7]
    order_id, maker_order_id, trade_id, price, size, funds, old_size, new_size, old_price = fields[7:]
    return PublicEvent(
        EventType(kind),
        sequence,
        time_ns,
        is_private=bool(is_private),
        order_id=order_id,
        maker_order_id=maker_order_id,
        trade_id=trade_id,
        side=side,
        order_type=order_type,
        price=price,
        size=size,
        funds=funds,
        old_size=old_size,
        new_size=new_size,
        old_price=old_price,
        reason=reason,
        phase=phase,
    )
