"""Records of the executions stream: results, and the chain's points between them.

Format, version 2, little-endian:

    header   4s magic "XEVT" | u16 version | u16 count of parts | u16 count of points | u8 flags (1 = the first part
             goes on with a group that an earlier record began) | 5 NUL | 24s product id | i64 epoch, first_sequence,
             last_sequence | 32s hash_before                                                               96 bytes
    part     a whole result as the engine packed it. One that no record can hold is cut between two events: each part
             then repeats its head with the first_index and the count of its own events
    point    u32 parts | 32s hash_after: with this part a group ends, and this is the chain behind it     36 bytes
             behind the last part, in order

`hash_before` is the chain at the last point before the record. So a consumer holds one cursor: the last sequence it has
applied, and the chain at the last point up to it.

    last_sequence <= cursor           seen: drop the record (two matchers said the same)
    first_sequence <= cursor          seen in part: apply the events behind the cursor
    first_sequence == cursor + 1      next
    first_sequence > cursor + 1       a gap: records are missing, stop

In the middle two, `EventRecord.hash_at` the cursor must be the cursor's hash, or two engines disagree: halt.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from struct import Struct
from typing import Final

from exchange.messages.commands import unpack_product_id
from exchange.messages.errors import MalformedRecordError, UnknownVersionError
from exchange.messages.events import CommandResult, unpack_part

EVENTS_MAGIC: Final = b"XEVT"
EVENTS_VERSION: Final = 2
EVENT_RECORD_LENGTH_MAX: Final = 128 * 1024

RECORD_HEADER: Final = Struct("<4sHHHB5x24s3q32s")
RECORD_POINT: Final = Struct("<I32s")
BEGINS_WITHIN: Final = 1


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One Kinesis record of the executions stream.

    `begins_within`: the first result belongs to a group that an earlier record began.
    """

    product_id: str
    epoch: int
    first_sequence: int
    last_sequence: int
    hash_before: bytes
    results: tuple[CommandResult, ...]
    begins_within: bool = False

    @property
    def hash_at_end(self) -> bytes:
        """What the next record's `hash_before` must be."""
        return self._chain_until(self.last_sequence)

    def hash_at(self, sequence: int) -> bytes | None:
        """The chain at the last point up to `sequence`; None where the record doesn't reach it or follow it."""
        if not self.first_sequence - 1 <= sequence <= self.last_sequence:
            return None
        return self._chain_until(sequence)

    def points(self) -> Iterator[tuple[int, bytes]]:
        """Every chain point: the last sequence before it, and the chain there."""
        for result in self.results:
            if result.hash_after:
                yield result.events[-1].sequence, result.hash_after

    def _chain_until(self, sequence: int) -> bytes:
        chain = self.hash_before
        for at, hash_after in self.points():
            if at > sequence:
                break
            chain = hash_after
        return chain


def decode_events(data: bytes) -> EventRecord:
    """Read one record of the executions stream.

    Raises:   UnknownVersionError, MalformedRecordError.
    """
    if len(data) < RECORD_HEADER.size:
        raise MalformedRecordError(f"{len(data)} bytes are too few for a record of events")
    magic, version, count, points, flags, product, epoch, first, last, hash_before = RECORD_HEADER.unpack_from(data)
    if magic != EVENTS_MAGIC:
        raise MalformedRecordError("not a record of events: the magic is wrong")
    if version != EVENTS_VERSION:
        raise UnknownVersionError(f"version {version} of the events' format is unknown here")
    product_id = unpack_product_id(product)
    end = len(data) - points * RECORD_POINT.size
    results, offset = _unpack_parts(data, count, first)
    if not results or offset != end or results[-1].events[-1].sequence != last or flags & ~BEGINS_WITHIN:
        raise MalformedRecordError("the record's parts don't add up to what its header says")
    begins_within = bool(flags & BEGINS_WITHIN)
    if results[0].first_index and not begins_within:
        raise MalformedRecordError("a result goes on, but its group doesn't")
    _set_points(results, data, end)
    return EventRecord(product_id, epoch, first, last, hash_before, tuple(results), begins_within)


def _unpack_parts(data: bytes, count: int, sequence: int) -> tuple[list[CommandResult], int]:
    offset = RECORD_HEADER.size
    results: list[CommandResult] = []
    for _ in range(count):
        result, offset = unpack_part(data, offset)
        if result.events[0].sequence != sequence:
            raise MalformedRecordError("a result's events are not the next in sequence")
        if results and (result.first_index or not results[-1].is_last_part):
            raise MalformedRecordError("a result is cut within a record")
        sequence += len(result.events)
        results.append(result)
    return results, offset


def _set_points(results: list[CommandResult], data: bytes, offset: int) -> None:
    before = 0
    for parts, hash_after in RECORD_POINT.iter_unpack(data[offset:]):
        if not before < parts <= len(results) or not results[parts - 1].is_last_part:
            raise MalformedRecordError("a point of the chain is at the end of no result")
        results[parts - 1] = replace(results[parts - 1], hash_after=hash_after)
        before = parts
