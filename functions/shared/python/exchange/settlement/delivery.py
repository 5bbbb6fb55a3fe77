"""Bringing the executions stream to the settlement machine, product by product, in order.

A record that can't be settled is kept whole with all that follow it, and its product is paused; the shard's other
products go on. An outage raises: the stream keeps its place and tries again.
"""

import base64
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from exchange.messages import MalformedRecordError
from exchange.messages.event_records import EVENT_RECORD_LENGTH_MAX, EVENTS_MAGIC

# An Express input is at most 256 KB; records travel as base64 inside it.
INPUT_CHARACTERS_MAX = 240_000
# Shorter ones gain nothing that is worth the work.
_PACKED_BYTES_MIN = 2_000
POISON = "poison"


def packed(data: str) -> str:
    """A record's bytes as an execution takes them: deflated where that is shorter, for each execution costs a hop."""
    if len(data) < _PACKED_BYTES_MIN:
        return data
    return min(data, base64.b64encode(zlib.compress(base64.b64decode(data), 1)).decode(), key=len)


def unpacked(data: str) -> bytes:
    """The bytes of a record that was `packed`, or was not. Raises MalformedRecordError."""
    raw = base64.b64decode(data)
    if raw.startswith(EVENTS_MAGIC):
        return raw
    try:
        return zlib.decompressobj().decompress(raw, EVENT_RECORD_LENGTH_MAX + 1)
    except zlib.error as error:
        raise MalformedRecordError(f"neither a record nor a packed one: {error}") from error


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """One record of the executions stream: where it stands in the shard, and its bytes as base64."""

    product_id: str
    sequence_number: str
    data: str


class SettlementMachine(Protocol):
    """The settlement state machine."""

    def run(self, payload: dict[str, Any]) -> Any:
        """Run it to its end and return its output. Raises OutageError."""
        ...


class KeptRecords(Protocol):
    """The quarantine."""

    def is_paused(self, product_id: str) -> bool:
        """Whether a product waits to be released."""
        ...

    def pause(self, product_id: str, reason: str) -> None:
        """Stop settling a product."""
        ...

    def keep(self, record: StreamRecord) -> None:
        """Keep a record whole."""
        ...

    def kept(self, product_id: str) -> Iterator[StreamRecord]:
        """A product's kept records in the stream's order."""
        ...

    def settled(self, record: StreamRecord) -> None:
        """Forget a kept record."""
        ...

    def release(self, product_id: str) -> None:
        """Let a product settle from the stream again."""
        ...


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a batch: trades settled by product, and why a product was paused by it."""

    trades: Mapping[str, int]
    paused: Mapping[str, str]


def deliver(records: Iterable[StreamRecord], *, machine: SettlementMachine, quarantine: KeptRecords) -> Delivered:
    """Settle a batch of records. Raises OutageError where the whole batch must be tried again, which is safe."""
    by_product: dict[str, list[StreamRecord]] = {}
    for record in records:
        by_product.setdefault(record.product_id, []).append(record)
    trades: dict[str, int] = {}
    paused: dict[str, str] = {}
    for product_id, own in by_product.items():
        if quarantine.is_paused(product_id):
            _keep(own, quarantine)
            continue
        trades[product_id], unsettled, reason = _settle(own, machine)
        if unsettled:
            # The records first: a mark without them would pause a product that nobody could release.
            _keep(unsettled, quarantine)
            quarantine.pause(product_id, reason)
            paused[product_id] = reason
    return Delivered(trades, paused)


def release(product_id: str, *, machine: SettlementMachine, quarantine: KeptRecords) -> tuple[int, str]:
    """Settle what was kept of a product, in order, and let it go on; returns how many, and why not ("" where all).

    The mark stays until nothing is kept, so what the stream brings meanwhile queues up behind.
    """
    count = 0
    while kept := list(quarantine.kept(product_id)):
        for record in kept:
            _, unsettled, reason = _settle([record], machine)
            if unsettled:
                return count, reason
            quarantine.settled(record)
            count += 1
    quarantine.release(product_id)
    return count, ""


def _settle(records: Sequence[StreamRecord], machine: SettlementMachine) -> tuple[int, Sequence[StreamRecord], str]:
    """Trades settled, the records from the first that could not be, and why."""
    trades = done = 0
    for chunk in _chunks(packed(record.data) for record in records):
        output = machine.run({"product_id": records[0].product_id, "records": chunk})
        if output["outcome"] == POISON:
            return trades, records[done:], str(output["reason"])
        trades += int(output["trades"])
        done += len(chunk)
    return trades, (), ""


def _keep(records: Iterable[StreamRecord], quarantine: KeptRecords) -> None:
    for record in records:
        quarantine.keep(record)


def _chunks(records: Iterable[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    length = 0
    for data in records:
        if chunk and length + len(data) > INPUT_CHARACTERS_MAX:
            yield chunk
            chunk, length = [], 0
        chunk.append(data)
        length += len(data) + 4
    if chunk:
        yield chunk
