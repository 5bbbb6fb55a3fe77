"""Events: what an engine answers to one command, and the chain of hashes over the answers.

Format, version 2, little-endian:

    result   16s command_id | i64 order_id, account_id, time_ns, first_sequence | u32 number of events | u8 op | 3 NUL
             | u32 first_index | u32 count                                                                 64 bytes
             then `count` of its events, from `first_index` on: all of them, unless a record cuts it (event_records).
             Events are numbered from first_sequence on and all bear the result's time.
    event    u8 type | u8 side | u8 order_type | u8 reason | u8 done_reason | u8 phase | u8 stop | u8 extra   8 bytes
             then the i64 fields of its type, in the order of BODIES. `extra` is the op that was rejected, or
             1 where a change or done speaks of funds instead of size.

The chain: hash_after = sha256(hash_before + the packed results of a whole *group*), starting from
`genesis_hash(product)`. A group is what one record of commands did, or one command that came alone: where groups end
is fixed by the log. Only what the engine said is in the chain. The epoch and where the stream's records are cut are
not, because another matcher that takes over cuts elsewhere and says the same. A record of commands without events
leaves the chain as it is.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from struct import Struct
from typing import Final

from exchange.messages.errors import MalformedRecordError
from exchange.messages.vocabulary import CancelReason, ChangeReason, EventType, Op, RejectReason

RESULT_STRUCT: Final = Struct("<16s4qIB3xII")
HEAD_STRUCT: Final = Struct("<8B")

# The i64 fields of each type, in the order they are packed.
BODIES: Final[dict[int, tuple[str, ...]]] = {
    EventType.RECEIVED: ("order_id", "account_id", "price", "size", "funds", "display_size"),
    EventType.REJECTED: ("order_id", "account_id"),
    EventType.ACTIVATE: ("order_id", "account_id", "stop_price"),
    EventType.TRIGGERED: ("order_id", "account_id"),
    EventType.OPEN: ("order_id", "account_id", "price", "size", "remaining_size"),
    EventType.MATCH: ("order_id", "account_id", "maker_order_id", "maker_account_id", "trade_id", "price", "size"),
    EventType.CHANGE: (
        "order_id",
        "account_id",
        "price",
        "old_size",
        "new_size",
        "old_price",
        "new_price",
        "old_funds",
        "new_funds",
    ),
    EventType.DONE: ("order_id", "account_id", "price", "remaining_size", "remaining_funds"),
    EventType.PHASE: (),
    EventType.AUCTION: ("price", "size"),
}
EVENT_STRUCTS: Final[dict[int, Struct]] = {
    event_type: Struct(f"<8B{len(fields)}q") for event_type, fields in BODIES.items()
}
_REASONS: Final = {
    EventType.REJECTED: RejectReason,
    EventType.CHANGE: ChangeReason,
    EventType.DONE: CancelReason,
}


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a product. Which fields speak is a matter of its type; the others are zero.

    Units:    prices in ticks, sizes in lots, funds as in Command.
    RECEIVED  side, order_type, price, size or funds, display_size (an iceberg's; never for the public)
    REJECTED  op (what was refused), reason
    ACTIVATE  stop, stop_price
    OPEN      side, price, size (displayed), remaining_size (in full)
    MATCH     order_id, account_id are the taker's; side is the maker's
    CHANGE    reason, side, price (the new one), old_/new_size (in full) or old_/new_funds;
              old_price, new_price where it changed
    DONE      done_reason, reason (0 unless canceled), side, order_type, price, remaining_size, remaining_funds
    by_funds  whether the order of a RECEIVED, CHANGE or DONE is measured in funds and not in size
    """

    type: int
    sequence: int
    time_ns: int
    order_id: int = 0
    account_id: int = 0
    maker_order_id: int = 0
    maker_account_id: int = 0
    trade_id: int = 0
    side: int = 0
    order_type: int = 0
    price: int = 0
    size: int = 0
    funds: int = 0
    remaining_size: int = 0
    remaining_funds: int = 0
    old_size: int = 0
    new_size: int = 0
    old_price: int = 0
    new_price: int = 0
    old_funds: int = 0
    new_funds: int = 0
    reason: int = 0
    done_reason: int = 0
    phase: int = 0
    stop: int = 0
    stop_price: int = 0
    display_size: int = 0
    op: int = 0
    by_funds: bool = False


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What one command did: all its events, or (read from a record that was cut) a run of them.

    Shape:    `events` starts at `first_index` of `total_events`. `hash_after` is the chain behind its last event where
              a group ends there, and empty elsewhere.
              order_id and account_id are the command's own; its time is the engine's, which never runs backward.
    """

    command_id: bytes
    op: int
    order_id: int
    account_id: int
    time_ns: int
    events: tuple[Event, ...]
    hash_after: bytes = b""
    first_index: int = 0
    total_events: int = 0

    def __post_init__(self) -> None:
        """Take a result without `total_events` as a whole one."""
        if not self.total_events:
            object.__setattr__(self, "total_events", self.first_index + len(self.events))

    @property
    def is_whole(self) -> bool:
        """Whether every event of the command is here."""
        return self.first_index == 0 and len(self.events) == self.total_events

    @property
    def is_last_part(self) -> bool:
        """Whether the command's last event is here."""
        return self.first_index + len(self.events) == self.total_events


def genesis_hash(product_id: str) -> bytes:
    """Where the chain of a product starts."""
    return hashlib.sha256(b"exchange events|" + product_id.encode("ascii")).digest()


def chain_hash(hash_before: bytes, packed_results: bytes) -> bytes:
    """The chain after one more group: its whole results, one after the other."""
    chain = hashlib.sha256(hash_before)
    chain.update(packed_results)
    return chain.digest()


def pack_event(event: Event) -> bytes:
    """One event's bytes, without its sequence and time: those follow from its result.

    Raises:   MalformedRecordError when a value does not fit.
    """
    fields = BODIES.get(event.type)
    if fields is None:
        raise MalformedRecordError(f"{event.type} is no type of event")
    extra = event.op if event.type == EventType.REJECTED else int(event.by_funds)
    try:
        return EVENT_STRUCTS[event.type].pack(
            event.type,
            event.side,
            event.order_type,
            event.reason,
            event.done_reason,
            event.phase,
            event.stop,
            extra,
            *[getattr(event, field) for field in fields],
        )
    except (struct.error, TypeError) as error:
        raise MalformedRecordError(f"a value does not fit its field: {error}") from error


def pack_result(result: CommandResult) -> bytes:
    """The bytes of a whole result: what the chain is made over.

    Raises:   MalformedRecordError for a part of a result, an empty one, or one whose sequences have gaps.
    """
    if not result.events or not result.is_whole:
        raise MalformedRecordError("only a whole result with events can be packed")
    first = result.events[0].sequence
    if [event.sequence for event in result.events] != list(range(first, first + len(result.events))):
        raise MalformedRecordError("the events of a result are numbered without gaps")
    return pack_head(result) + b"".join(map(pack_event, result.events))


def pack_head(result: CommandResult) -> bytes:
    """The head of the whole result that this is, or is a part of.

    Raises:   MalformedRecordError when a value does not fit.
    """
    try:
        return RESULT_STRUCT.pack(
            result.command_id,
            result.order_id,
            result.account_id,
            result.time_ns,
            result.events[0].sequence - result.first_index,
            result.total_events,
            result.op,
            0,
            result.total_events,
        )
    except (struct.error, TypeError) as error:
        raise MalformedRecordError(f"a value does not fit its field: {error}") from error


def unpack_result(packed: bytes, hash_after: bytes = b"") -> CommandResult:
    """Read a whole packed result.

    Raises:   MalformedRecordError.
    """
    if len(packed) < RESULT_STRUCT.size:
        raise MalformedRecordError(f"{len(packed)} bytes are too few for a result")
    result, end = unpack_part(packed, 0)
    if end != len(packed) or not result.is_whole:
        raise MalformedRecordError(f"{len(packed)} bytes don't hold exactly one whole result")
    return replace(result, hash_after=hash_after)


def unpack_part(data: bytes, offset: int) -> tuple[CommandResult, int]:
    """Read the result, or the part of one, that starts at `offset`; return it and where its last event ends.

    Raises:   MalformedRecordError.
    """
    if offset + RESULT_STRUCT.size > len(data):
        raise MalformedRecordError("the bytes end within a result")
    fields = RESULT_STRUCT.unpack_from(data, offset)
    command_id, order_id, account_id, time_ns, first, total, op, first_index, count = fields
    if not 0 < count <= total - first_index:
        raise MalformedRecordError(f"{count} events from {first_index} on are no part of {total}")
    events, end = unpack_events(
        data, offset + RESULT_STRUCT.size, count, first_sequence=first + first_index, time_ns=time_ns
    )
    return CommandResult(command_id, op, order_id, account_id, time_ns, events, b"", first_index, total), end


def unpack_events(
    data: bytes, offset: int, count: int, *, first_sequence: int, time_ns: int
) -> tuple[tuple[Event, ...], int]:
    """Read `count` events; return them and where the last one ends.

    Raises:   MalformedRecordError.
    """
    if count > len(data) // HEAD_STRUCT.size:
        raise MalformedRecordError(f"{count} events are more than the bytes can hold")
    events = []
    for sequence in range(first_sequence, first_sequence + count):
        if offset + HEAD_STRUCT.size > len(data):
            raise MalformedRecordError("the bytes end within a result")
        body = EVENT_STRUCTS.get(data[offset])
        if body is None:
            raise MalformedRecordError(f"{data[offset]} is no type of event")
        if offset + body.size > len(data):
            raise MalformedRecordError("the bytes end within an event")
        events.append(_read_event(body.unpack_from(data, offset), sequence, time_ns))
        offset += body.size
    return tuple(events), offset


def event_end(data: "bytes | memoryview", offset: int) -> int:
    """Where the event that starts at `offset` ends."""
    return offset + EVENT_STRUCTS[data[offset]].size


def reason_name(event: Event) -> str:
    """The wire's word for an event's reason: "price_band", "stp", ...; empty where it has none."""
    reasons = _REASONS.get(EventType(event.type))
    return reasons(event.reason).name.lower() if reasons is not None and event.reason else ""


def _read_event(fields: Sequence[int], sequence: int, time_ns: int) -> Event:
    event_type, side, order_type, reason, done_reason, phase, stop, extra = fields[:8]
    is_rejection = event_type == EventType.REJECTED
    return Event(
        type=EventType(event_type),
        sequence=sequence,
        time_ns=time_ns,
        side=side,
        order_type=order_type,
        reason=reason,
        done_reason=done_reason,
        phase=phase,
        stop=stop,
        op=extra if is_rejection else 0,
        by_funds=bool(extra) and not is_rejection,
        **dict(zip(BODIES[event_type], fields[8:], strict=True)),
    )


def op_name(op: int) -> str:
    """The wire's word for an op: "place", "cancel", ..."""
    return Op(op).name.lower()
