"""Records of the executions stream: results, cut at 128 KiB between two events.

Format, version 1, little-endian:

    header   4s magic "XEVT" | u16 version | u16 count of parts | 24s product id | i64 epoch, first_sequence,
             last_sequence | 32s hash_before                                                               88 bytes
    part     the result's 56 bytes (of the whole result) | u32 first_index | u32 count | 32s hash_after, then
             `count` events                                                                                 96 bytes

`hash_before` is the chain before the result that the record's first part belongs to, also when that result began in an
earlier record. So a consumer holds one cursor: the last sequence it has applied, and `EventRecord.hash_at_end`.

    last_sequence <= cursor           seen: drop the record (two matchers said the same)
    first_sequence <= cursor          seen in part: apply the events behind the cursor
    first_sequence == cursor + 1      next: `hash_before` must be the cursor's hash, or two engines disagree: halt
    first_sequence > cursor + 1       a gap: records are missing, stop

`verify_record` recomputes the chain over every whole result; a result cut over several records can be recomputed only
by who has all its parts (`join_parts`).
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from struct import Struct
from typing import Final

from exchange.messages.commands import pack_product_id, unpack_product_id
from exchange.messages.errors import MalformedRecordError, UnknownVersionError
from exchange.messages.events import (
    EVENT_LENGTH_MAX,
    RESULT_STRUCT,
    CommandResult,
    chain_hash,
    event_end,
    pack_result,
    unpack_events,
)

EVENTS_MAGIC: Final = b"XEVT"
EVENTS_VERSION: Final = 1
EVENT_RECORD_LENGTH_MAX: Final = 128 * 1024

_HEADER: Final = Struct("<4sHH24s3q32s")
_PART: Final = Struct("<II32s")
_PART_LENGTH: Final = RESULT_STRUCT.size + _PART.size
_PARTS_PER_RECORD_MAX: Final = 2**16 - 1


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One Kinesis record of the executions stream."""

    product_id: str
    epoch: int
    first_sequence: int
    last_sequence: int
    hash_before: bytes
    results: tuple[CommandResult, ...]

    @property
    def hash_at_end(self) -> bytes:
        """What the next record's `hash_before` must be."""
        last = self.results[-1]
        if last.is_last_part:
            return last.hash_after
        return self.results[-2].hash_after if len(self.results) > 1 else self.hash_before


def encode_event_records(
    product_id: str, epoch: int, results: Iterable[CommandResult], *, hash_before: bytes
) -> list[bytes]:
    """Pack whole results into as few records as hold them; the chain is computed, not believed.

    Raises:   MalformedRecordError.
    """
    return encode_packed_results(product_id, epoch, map(pack_result, results), hash_before=hash_before)


def encode_packed_results(
    product_id: str, epoch: int, packed_results: Iterable[bytes], *, hash_before: bytes
) -> list[bytes]:
    """`encode_event_records` for results that are packed already, as the engine makes them."""
    records: list[bytes] = []
    writer = _RecordWriter(product_id, epoch, hash_before)
    for packed in packed_results:
        hash_after = chain_hash(hash_before, packed)
        records.extend(writer.add(packed, hash_before, hash_after))
        hash_before = hash_after
    records.extend(writer.close())
    return records


def decode_events(data: bytes) -> EventRecord:
    """Read one record of the executions stream.

    Raises:   UnknownVersionError, MalformedRecordError.
    """
    if len(data) < _HEADER.size:
        raise MalformedRecordError(f"{len(data)} bytes are too few for a record of events")
    magic, version, count, product, epoch, first, last, hash_before = _HEADER.unpack_from(data)
    if magic != EVENTS_MAGIC:
        raise MalformedRecordError("not a record of events: the magic is wrong")
    if version != EVENTS_VERSION:
        raise UnknownVersionError(f"version {version} of the events' format is unknown here")
    product_id = unpack_product_id(product)
    offset, sequence = _HEADER.size, first
    results = []
    for _ in range(count):
        result, offset = _unpack_part(data, offset, sequence)
        sequence += len(result.events)
        results.append(result)
    if not results or offset != len(data) or sequence != last + 1:
        raise MalformedRecordError("the record's parts don't add up to what its header says")
    begun_before = any(result.first_index for result in results[1:])
    if begun_before or not all(result.is_last_part for result in results[:-1]):
        raise MalformedRecordError("a result is cut within a record")
    return EventRecord(product_id, epoch, first, last, hash_before, tuple(results))


def verify_record(record: EventRecord) -> bool:
    """Whether every whole result in the record hashes to what the record says."""
    before = record.hash_before
    for result in record.results:
        if result.is_whole and chain_hash(before, pack_result(result)) != result.hash_after:
            return False
        before = result.hash_after
    return True


def join_parts(parts: Sequence[CommandResult]) -> CommandResult:
    """Put a result together that was cut over several records.

    Raises:   MalformedRecordError when parts are missing, out of order or not of one result.
    """
    first = parts[0]
    whole = replace(first, events=tuple(event for part in parts for event in part.events))
    index = 0
    for part in parts:
        if part.first_index != index or replace(part, events=(), first_index=0) != replace(first, events=()):
            raise MalformedRecordError("these are not the parts of one result, in order")
        index += len(part.events)
    if not whole.is_whole:
        raise MalformedRecordError("parts of the result are missing")
    return whole


def _unpack_part(data: bytes, offset: int, sequence: int) -> tuple[CommandResult, int]:
    if offset + _PART_LENGTH > len(data):
        raise MalformedRecordError("the record ends within a result")
    command_id, order_id, account_id, time_ns, first_sequence, total, op = RESULT_STRUCT.unpack_from(data, offset)
    first_index, count, hash_after = _PART.unpack_from(data, offset + RESULT_STRUCT.size)
    if first_sequence + first_index != sequence or not 0 < count <= total - first_index:
        raise MalformedRecordError("a result's events are not the next in sequence")
    events, end = unpack_events(data, offset + _PART_LENGTH, count, first_sequence=sequence, time_ns=time_ns)
    result = CommandResult(command_id, op, order_id, account_id, time_ns, events, hash_after, first_index, total)
    return result, end


class _RecordWriter:
    """Fills records one result at a time."""

    def __init__(self, product_id: str, epoch: int, hash_before: bytes) -> None:
        self._product = pack_product_id(product_id)
        self._epoch = epoch
        self._hash_before = hash_before
        self._parts: list[bytes] = []
        self._count = 0
        self._length = _HEADER.size
        self._first_sequence = 0
        self._last_sequence = 0

    def add(self, packed: bytes, hash_before: bytes, hash_after: bytes) -> Iterator[bytes]:
        """Take one packed result; yield every record that it completes."""
        head = packed[: RESULT_STRUCT.size]
        _, _, _, _, first_sequence, total, _ = RESULT_STRUCT.unpack(head)
        offset, index = RESULT_STRUCT.size, 0
        while index < total:
            if self._count == _PARTS_PER_RECORD_MAX or (
                self._length + _PART_LENGTH + EVENT_LENGTH_MAX > EVENT_RECORD_LENGTH_MAX
            ):
                yield from self.close()
            if not self._count:
                self._hash_before, self._first_sequence = hash_before, first_sequence + index
            room = EVENT_RECORD_LENGTH_MAX - self._length - _PART_LENGTH
            end, count = _fit(packed, offset, total - index, room)
            self._parts += (head, _PART.pack(index, count, hash_after), packed[offset:end])
            self._length += _PART_LENGTH + end - offset
            self._count += 1
            offset, index = end, index + count
            self._last_sequence = first_sequence + index - 1

    def close(self) -> Iterator[bytes]:
        """Yield the record begun, if any."""
        if not self._count:
            return
        try:
            header = _HEADER.pack(
                EVENTS_MAGIC,
                EVENTS_VERSION,
                self._count,
                self._product,
                self._epoch,
                self._first_sequence,
                self._last_sequence,
                self._hash_before,
            )
        except struct.error as error:
            raise MalformedRecordError(f"a value does not fit its field: {error}") from error
        yield header + b"".join(self._parts)
        self._parts, self._count, self._length = [], 0, _HEADER.size


def _fit(packed: bytes, offset: int, count: int, room: int) -> tuple[int, int]:
    """Where to cut: the end and the number of the next events that fit into `room` bytes."""
    if len(packed) - offset <= room:
        return len(packed), count
    end = offset
    for fitted in range(count):
        next_end = event_end(packed, end)
        if next_end - offset > room:
            return end, fitted
        end = next_end
    return end, count
