"""The heart: read a batch, apply it, publish what it said, and only then say how far we have come.

Killed between any two steps, the next reign starts from the last snapshot, applies the same records and publishes the
same bytes again. What is published may so be published twice, which consumers see by its sequence; a snapshot ahead of
what is published would leave a hole for ever, so there is none.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aws_lambda_powertools import Logger
from exchange.messages import UnknownVersionError

from matcher.checkpoints import Checkpoints
from matcher.engine.errors import UnknownRulesError
from matcher.intake import SKIPPED, HistoryLostError, Intake
from matcher.lease import Lease
from matcher.markets import Markets
from matcher.metrics import Meter
from matcher.patience import Patience
from matcher.publisher import Publisher
from matcher.quarantine import Quarantine
from matcher.snapshots import ShardState
from matcher.stream_reader import Batch, RecordReader, StreamRecord

_MILLISECOND_NS: Final = 1_000_000
logger = Logger(service="matcher", child=True)


@dataclass(slots=True)
class _Work:
    """What a batch brought one product."""

    commands: int = 0
    oldest_arrival_ns: int = 0


class ShardLoop:
    """Works through one shard while its lease is held. Not for two threads; useless after anything but an outage."""

    def __init__(
        self,
        *,
        lease: Lease,
        state: ShardState,
        markets: Markets,
        reader: RecordReader,
        publisher: Publisher,
        checkpoints: Checkpoints,
        quarantine: Quarantine,
        patience: Patience,
        meter: Meter,
        wall_ns: Callable[[], int],
    ) -> None:
        """`state` is where to go on, `reader` reads from behind it, and `markets` were restored from it."""
        self._lease = lease
        self._markets = markets
        self._reader = reader
        self._publisher = publisher
        self._checkpoints = checkpoints
        self._patience = patience
        self._meter = meter
        self._wall_ns = wall_ns
        pointer = lease.pointer
        self._intake = Intake(
            state, markets, quarantine, patience, expected_first=pointer.first_record if pointer else ""
        )
        # What is replayed up to here is in the stream for certain and needs no publishing.
        self._published_until = lease.published_until
        markets.forget_until(self._published_until)

    @property
    def lease(self) -> Lease:
        """What this reign rests on."""
        return self._lease

    @property
    def position(self) -> str:
        """The last record applied; empty before the first."""
        return self._intake.position

    @property
    def sequences(self) -> dict[str, int]:
        """Each product's last event."""
        return {market.product_id: market.sequence for market in self._markets}

    @property
    def paused(self) -> dict[str, str]:
        """The paused products, with the record that stopped each."""
        return dict(self._markets.paused)

    def step(self) -> Batch:
        """Read once and see it through.

        Raises:   OutageError where nothing could be read: call again. LeaseLostError. UnknownVersionError,
                  UnknownRulesError and HistoryLostError, when what came before such a record is published.
        """
        self._lease.require()
        batch = self._reader.read()
        work: dict[str, _Work] = defaultdict(_Work)
        try:
            for record in batch.records:
                self._take(record, work)
        except (UnknownVersionError, UnknownRulesError, HistoryLostError):
            self._publish(work)
            raise
        self._publish(work)
        self._lease.note_published(self.position)
        if self._checkpoints.is_due():
            self._checkpoints.save(self.state)
        return batch

    def state(self) -> ShardState:
        """The state as of the last record applied."""
        return ShardState(
            shard_id=self._lease.shard_id,
            position=self._intake.position,
            first_record=self._intake.first_record,
            markets=self._markets.snapshot(),
            paused=dict(self._markets.paused),
        )

    def finish(self, *, is_end: bool) -> None:
        """Publish what is left, and save the last state of this reign.

        `is_end`: the shard was read to its end, its children may begin.

        Raises:   LeaseLostError, OutageError.
        """
        self._publish({})
        self._checkpoints.save_last(self.state(), finished=is_end)

    def go_on(self, product_id: str, reader: RecordReader) -> bool:
        """End a product's pause: apply all that came behind the record that stopped it; `reader` starts at that record.

        Returns whether it could: not when the stream has lost that record. Raises as `step` does; an OutageError only
        before anything was done.
        """
        poison = self._markets.paused[product_id]
        batch = reader.read()
        if not batch.records or batch.records[0].sequence_number != poison:
            logger.error("a pause can't end: its record is no longer in this shard", extra={"product": product_id})
            return False
        del self._markets.paused[product_id]
        end = int(self._intake.position)
        while batch.records:
            work: dict[str, _Work] = defaultdict(_Work)
            for record in batch.records:
                is_behind = int(poison) < int(record.sequence_number) <= end
                if is_behind and record.partition_key == product_id and product_id not in self._markets.paused:
                    _count(record, self._intake.apply(record), work)
            self._publish(work)
            if int(batch.records[-1].sequence_number) >= end:
                break
            batch = self._patience.insist(reader.read)
        return True

    def _take(self, record: StreamRecord, work: dict[str, _Work]) -> None:
        _count(record, self._intake.take(record), work)
        if int(record.sequence_number) <= self._published_until:
            market = self._markets.get(record.partition_key)
            if market is not None:
                market.forget()

    def _publish(self, work: dict[str, _Work]) -> None:
        before = {market.product_id: market.published_sequence for market in self._markets}
        output = {market.product_id: market.drain(self._lease.epoch) for market in self._markets if market.has_spoken}
        began_ns = self._wall_ns()
        self._publisher.publish(output)
        now_ns = self._wall_ns()
        for market in self._markets:
            tally = work.get(market.product_id)
            if tally is None:
                continue
            self._checkpoints.note(commands=tally.commands, spoke=market.product_id in output)
            self._meter.batch(
                market.product_id,
                commands=tally.commands,
                events=market.published_sequence - before[market.product_id],
                lag_milliseconds=(now_ns - tally.oldest_arrival_ns) // _MILLISECOND_NS,
                publish_milliseconds=(now_ns - began_ns) // _MILLISECOND_NS,
                book_orders=market.live_orders,
            )


def _count(record: StreamRecord, commands: int, work: dict[str, _Work]) -> None:
    if commands == SKIPPED:
        return
    tally = work[record.partition_key]
    tally.commands += commands
    tally.oldest_arrival_ns = tally.oldest_arrival_ns or record.arrival_ns
