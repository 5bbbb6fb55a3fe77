"""Bringing the executions stream to the settlement machine, product by product, in order.

A record that can't be settled is kept whole with all that follow it, and its product waits, a row in the fail queue;
the shard's other products go on. An outage raises, and the stream keeps its place and tries again, for a minute: what
fails so long is kept too, so that it holds up no other product.
"""

import base64
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from exchange.kernel.clock import Clock
from exchange.kernel.errors import OutageError, UnavailableError
from exchange.messages import MalformedRecordError
from exchange.messages.event_records import EVENT_RECORD_LENGTH_MAX, EVENTS_MAGIC
from exchange.settlement.failures import Failure, Stop, failed_again, new_failure

# An Express input is at most 256 KB; records travel as base64 inside it.
INPUT_CHARACTERS_MAX = 240_000
# Shorter ones gain nothing that is worth the work.
_PACKED_BYTES_MIN = 2_000
POISON = "poison"
# The task's name for events that are missing: where they are kept, they come.
GAP = "GapError"
# For so long the stream itself tries an outage again, and the products beside wait for it.
STREAM_TRIES_NS = 60 * 1_000_000_000


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
    """One record of the executions stream: where it stands in the shard, its bytes as base64, and when it came there
    (0 where nobody says)."""

    product_id: str
    sequence_number: str
    data: str
    arrived_at_ns: int = 0


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

    def holds(self, product_id: str) -> bool:
        """Whether a record or a mark of a product is there, asked anew."""
        ...

    def settled(self, record: StreamRecord) -> None:
        """Forget a kept record."""
        ...

    def release(self, product_id: str) -> None:
        """Let a product settle from the stream again."""
        ...


class Failures(Protocol):
    """The fail queue."""

    def newest(self, product_id: str) -> Failure | None:
        """A product's newest failure. An older one is open for a moment only, and a try of it finds nothing."""
        ...

    def put(self, failure: Failure) -> bool:
        """Write a failure in the place of the version before it; False where that is not there any more."""
        ...


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a batch: trades settled by product, and why a product was paused by it."""

    trades: Mapping[str, int]
    paused: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Released:
    """What became of a product's kept records: how many were settled, and why not all; None where all were."""

    records: int
    stop: Stop | None


def deliver(
    records: Iterable[StreamRecord],
    *,
    machine: SettlementMachine,
    quarantine: KeptRecords,
    failures: Failures,
    clock: Clock,
    stream_tries_ns: int = STREAM_TRIES_NS,
) -> Delivered:
    """Settle a batch of records; what an outage has hindered for `stream_tries_ns` goes into the fail queue.

    Raises:   OutageError where the whole batch must be tried again, which is safe.
    """
    by_product: dict[str, list[StreamRecord]] = {}
    for record in records:
        by_product.setdefault(record.product_id, []).append(record)
    trades: dict[str, int] = {}
    paused: dict[str, str] = {}
    for product_id, own in by_product.items():
        now_ns = clock.now_ns()
        if quarantine.is_paused(product_id):
            _keep(own, quarantine)
            _note(own[0], Stop("kept behind a failure", passing=True), quarantine, failures, now_ns)
            continue
        trades[product_id], unsettled, stop = _settle(own, machine, given_up_ns=now_ns - stream_tries_ns)
        if stop is not None:
            # The row first, for what nobody knows of nobody tries again; then the records: a mark without them would
            # pause a product that has nothing to be released by.
            _note(unsettled[0], stop, quarantine, failures, now_ns)
            _keep(unsettled, quarantine)
            quarantine.pause(product_id, stop.error)
            # A retry may have found nothing kept yet and closed the row; whoever closes one looks behind it as well.
            _note(unsettled[0], stop, quarantine, failures, clock.now_ns())
            paused[product_id] = stop.error
    return Delivered(trades, paused)


def release(product_id: str, *, machine: SettlementMachine, quarantine: KeptRecords) -> Released:
    """Settle what was kept of a product, in order, and let it go on.

    The mark stays until nothing is kept, so what the stream brings meanwhile queues up behind. An outage is told, not
    raised.
    """
    count = 0
    while True:
        while kept := list(quarantine.kept(product_id)):
            for record in kept:
                try:
                    _, _, stop = _settle([record], machine, given_up_ns=0)
                except OutageError as error:
                    stop = Stop(str(error), passing=True)
                if stop is not None:
                    return Released(count, stop)
                quarantine.settled(record)
                count += 1
        quarantine.release(product_id)
        # The stream may have kept one more between the look and the release.
        if next(iter(quarantine.kept(product_id)), None) is None:
            return Released(count, None)


def _settle(
    records: Sequence[StreamRecord], machine: SettlementMachine, *, given_up_ns: int
) -> tuple[int, Sequence[StreamRecord], Stop | None]:
    """Trades settled, the records from the first that could not be, and why.

    Raises:   OutageError while the record that it hinders came after `given_up_ns`, or nobody knows when.
    """
    trades = done = 0
    for chunk in _chunks(packed(record.data) for record in records):
        try:
            output = machine.run({"product_id": records[0].product_id, "records": chunk})
        except OutageError as error:
            first = records[done]
            if not 0 < first.arrived_at_ns <= given_up_ns:
                raise
            return trades, records[done:], Stop(str(error), passing=True)
        if output["outcome"] == POISON:
            return trades, records[done:], Stop(str(output["reason"]), passing=False)
        trades += int(output["trades"])
        done += len(chunk)
    return trades, (), None


def _note(record: StreamRecord, stop: Stop, quarantine: KeptRecords, failures: Failures, now_ns: int) -> None:
    """Put a failure into the queue, but for one that stands behind another; what is kept is always behind one.

    Raises:   OutageError.
    """
    newest = failures.newest(record.product_id)
    if newest is not None and newest.open:
        return
    if stop.error.startswith(GAP) and next(iter(quarantine.kept(record.product_id)), None) is not None:
        stop = Stop(stop.error, passing=True)  # What is missing is what was kept.
    if newest is not None and int(newest.position) >= int(record.sequence_number):
        failure = failed_again(newest, stop, records_settled=0, now_ns=now_ns)  # It was closed too early.
    else:
        failure = new_failure(record.product_id, record.sequence_number, stop, now_ns)
    # Somebody beside us may have noted it. Where nobody has, the product must not wait: nobody would try it again.
    if not failures.put(failure) and not ((newest := failures.newest(record.product_id)) and newest.open):
        raise UnavailableError(f"{record.product_id}: its failure could not be noted")


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
