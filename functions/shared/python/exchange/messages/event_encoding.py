"""Making records of the executions stream: slices of what the engine packed, copied once.

A record is cut between two results. Only a result that no record can hold is cut within, between two events.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from struct import Struct
from typing import Final

from exchange.messages.commands import pack_product_id
from exchange.messages.errors import MalformedRecordError
from exchange.messages.event_records import (
    BEGINS_WITHIN,
    EVENT_RECORD_LENGTH_MAX,
    EVENTS_MAGIC,
    EVENTS_VERSION,
    RECORD_HEADER,
    RECORD_POINT,
)
from exchange.messages.events import RESULT_STRUCT, CommandResult, chain_hash, event_end, pack_result

# Of a result's head: first_sequence, number of events, first_index, count.
_NUMBERS: Final = Struct("<40xqI4xII")
_CUT: Final = Struct("<II")
Packed = memoryview | bytes
_BODY_LENGTH_MAX: Final = EVENT_RECORD_LENGTH_MAX - RECORD_HEADER.size - RECORD_POINT.size


@dataclass(frozen=True, slots=True)
class PackedGroup:
    """What one record of commands did, as an engine packs it.

    Shape:    whole results one after the other, where each of them ends, and the chain behind the last.
    """

    data: bytes
    ends: Sequence[int]
    hash_after: bytes


def encode_event_records(
    product_id: str, epoch: int, results: Iterable[CommandResult], *, hash_before: bytes
) -> list[bytes]:
    """Pack whole results into as few records as hold them.

    Shape:    a result with a `hash_after` ends its group, and so does the last; the chain itself is computed here.
    Raises:   MalformedRecordError.
    """
    return encode_packed_groups(product_id, epoch, _packed_groups(results, hash_before), hash_before=hash_before)


def encode_packed_groups(
    product_id: str, epoch: int, groups: Iterable[PackedGroup], *, hash_before: bytes
) -> list[bytes]:
    """Pack groups, each with the chain that its engine gives, into as few records as hold them.

    Raises:   MalformedRecordError.
    """
    writer = _RecordWriter(product_id, epoch, hash_before)
    for group in groups:
        writer.add(group)
    writer.close()
    return writer.records


def _packed_groups(results: Iterable[CommandResult], chain: bytes) -> Iterator[PackedGroup]:
    packed: list[bytes] = []
    for result in results:
        packed.append(pack_result(result))
        if result.hash_after:
            group = _packed_group(packed, chain)
            yield group
            packed, chain = [], group.hash_after
    if packed:
        yield _packed_group(packed, chain)


def _packed_group(packed: list[bytes], hash_before: bytes) -> PackedGroup:
    data = b"".join(packed)
    return PackedGroup(data, list(accumulate(map(len, packed))), chain_hash(hash_before, data))


class _RecordWriter:
    """Fills records one group at a time."""

    def __init__(self, product_id: str, epoch: int, hash_before: bytes) -> None:
        self.records: list[bytes] = []
        self._product = pack_product_id(product_id)
        self._epoch = epoch
        self._chain = hash_before
        self._is_within = False
        self._open()

    def _open(self) -> None:
        self._slices: list[Packed] = []
        self._points: list[bytes] = []
        self._parts = 0
        self._length = 0
        self._hash_before = self._chain
        self._begins_within = self._is_within

    def add(self, group: PackedGroup) -> None:
        """Take one group, completing records as they fill up."""
        ends = group.ends
        if ends and self._length + ends[-1] <= _BODY_LENGTH_MAX:
            self._put(group.data, len(ends), last=(group.data, ends[-2] if len(ends) > 1 else 0))
        else:
            self._divide(memoryview(group.data), ends)
        if ends:
            self._points.append(RECORD_POINT.pack(self._parts, group.hash_after))
            self._length += RECORD_POINT.size
            self._chain, self._is_within = group.hash_after, False

    def _divide(self, data: memoryview, ends: Sequence[int]) -> None:
        """Take a group that does not fit into the record begun."""
        start = index = 0
        while index < len(ends):
            until = bisect_right(ends, start + _BODY_LENGTH_MAX - self._length, index)
            if until > index:
                end = ends[until - 1]
                last = ends[until - 2] if until - 1 > index else start
                self._put(data[start:end], until - index, last=(data, last))
            elif self._parts:
                self.close()
                continue
            else:
                until, end = index + 1, ends[index]
                self._cut(data[start:end])
            start, index = end, until

    def close(self) -> None:
        """Complete the record begun, if any."""
        if not self._parts:
            return
        first_sequence, _, first_index, _ = _NUMBERS.unpack_from(self._slices[0])
        last_sequence, _, last_index, count = _NUMBERS.unpack_from(*self._last)
        try:
            header = RECORD_HEADER.pack(
                EVENTS_MAGIC,
                EVENTS_VERSION,
                self._parts,
                len(self._points),
                BEGINS_WITHIN if self._begins_within else 0,
                self._product,
                self._epoch,
                first_sequence + first_index,
                last_sequence + last_index + count - 1,
                self._hash_before,
            )
        except struct.error as error:
            raise MalformedRecordError(f"a value does not fit its field: {error}") from error
        self.records.append(b"".join((header, *self._slices, *self._points)))
        self._open()

    def _put(self, data: Packed, parts: int, *, last: tuple[Packed, int]) -> None:
        """Add whole parts; `last` is where the last of them begins."""
        self._slices.append(data)
        self._last = last
        self._parts += parts
        self._length += len(data)
        self._is_within = True

    def _cut(self, result: memoryview) -> None:
        """Spread one result over records of its own; the last of them stays open."""
        _, total, _, _ = _NUMBERS.unpack_from(result)
        head = bytes(result[: RESULT_STRUCT.size - _CUT.size])
        offset, index = RESULT_STRUCT.size, 0
        while index < total:
            end, count = _fit(result, offset, total - index, _BODY_LENGTH_MAX - RESULT_STRUCT.size)
            part = head + _CUT.pack(index, count) + result[offset:end]
            self._put(part, 1, last=(part, 0))
            offset, index = end, index + count
            if index < total:
                self.close()


def _fit(result: memoryview, offset: int, count: int, room: int) -> tuple[int, int]:
    """Where to cut: the end and the number of the next events that fit into `room` bytes."""
    if len(result) - offset <= room:
        return len(result), count
    end = offset
    for fitted in range(count):
        next_end = event_end(result, end)
        if next_end - offset > room:
            return end, fitted
        end = next_end
    return end, count
