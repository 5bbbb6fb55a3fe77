"""The executions stream's way to settlement: a source that repeats until a batch is through, and the real delivery."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from exchange.aws.state_machines import ExpressMachine
from exchange.kernel.errors import InvariantError, OutageError, require
from exchange.ledger.store import JournalStore
from exchange.messages import MalformedRecordError, decode_events
from exchange.settlement.delivery import GAP, StreamRecord, deliver, unpacked
from exchange.settlement.failure_store import FailureStore
from exchange.settlement.failures import FailureState, hurried
from exchange.settlement.model import GapError, SplitBrainError
from exchange.settlement.quarantine import Quarantine
from exchange.settlement.retrying import retry_due
from exchange.settlement.service import settle
from exchange.settlement.store import DynamoSettlementStore
from exchange.statements.service import bring_up
from exchange.statements.store import StatementStore

from tests.fakes.cloud.kinesis import FakeShard
from tests.fakes.executors import InlineExecutor
from tests.simulation.cloud import QUARANTINE, Cloud, FunctionLostError, ProcessClock
from tests.simulation.faults import Fault
from tests.simulation.machines import StepFunctions, TaskError
from tests.simulation.scheduler import Process

BATCH_RECORDS_MAX: Final = 100
FUNCTION_SECONDS: Final = 300.0
# Shorter than on AWS, so that outages come to the fail queue; there somebody hurries them.
STREAM_TRIES_NS: Final = 4 * 1_000_000_000
RETRY_SECONDS: Final = 7.0


class Settlement:
    """The event source, the function behind it, and the statements' writer."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.machines: StepFunctions | None = None
        self.poisons: list[str] = []
        self._source = Process("event-source", cloud.scheduler)
        self._source.mortal = False
        self._read: dict[str, int] = {}
        self._finished: set[str] = set()

    def start(self) -> None:
        """Begin to read."""
        self.cloud.scheduler.spawn(self._source, self._watch)
        self.cloud.scheduler.spawn(self._source, self._retry)

    def stop(self) -> None:
        """Read no more."""
        self._source.kill()

    @property
    def has_read_all(self) -> bool:
        """Whether every record was through."""
        shards = self.cloud.kinesis.streams["executions"].shards
        return all(self._read.get(shard.shard_id, 0) == len(shard.records) for shard in shards)

    @property
    def has_failures(self) -> bool:
        """Whether something waits in the fail queue."""
        items = self.cloud.dynamodb.tables["settlement_failures"].items.values()
        return any(item["state"]["S"] != "settled" for item in items)

    @property
    def contradictions(self) -> list[str]:
        """What settlement said it can't be. Events that are missing may be kept: if they are not, nothing drains."""
        return [poison for poison in self.poisons if not poison.startswith(GAP)]

    def settle_task(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The settlement machine's one step, composed as functions/settlement/tasks.py is."""
        cloud = self.cloud
        product = cloud.plan.products[payload["product_id"]]
        try:
            records = [decode_events(unpacked(record)) for record in payload["records"]]
            require(all(record.product_id == product.product_id for record in records), "a record of another product")
            done = settle(
                product,
                records,
                store=DynamoSettlementStore(cloud.connection, InlineExecutor()),
                clock=ProcessClock(self._source),
                executor=InlineExecutor(),
                pause=cloud.pause,
            )
        except (InvariantError, GapError, SplitBrainError, MalformedRecordError) as defect:
            self.poisons.append(f"{type(defect).__name__}: {defect}")
            return {"outcome": "poison", "product_id": product.product_id, "reason": self.poisons[-1]}
        return {"outcome": "settled", "trades": done.trades}

    def write_statements(self) -> None:
        """Bring every statement up to the journal, as functions/ledger/stream.py does."""
        products = [f"product:{product_id}" for product_id in self.cloud.plan.products]
        partitions = dict.fromkeys(key[0] for key in self.cloud.dynamodb.tables["journal"].items)
        for partition in [*products, *(p for p in partitions if p not in products)]:
            bring_up(partition, journal=JournalStore(), statements=StatementStore(), pause=self.cloud.pause)

    def _watch(self) -> None:
        started: set[str] = set()
        while True:
            for shard in self.cloud.kinesis.streams["executions"].shards:
                if shard.shard_id not in started and (not shard.parent or shard.parent in self._finished):
                    started.add(shard.shard_id)
                    self.cloud.scheduler.spawn(self._source, lambda shard=shard: self._pump(shard))  # type: ignore[misc]
            self.cloud.scheduler.sleep(2.0)

    def _pump(self, shard: FakeShard) -> None:
        scheduler, faults = self.cloud.scheduler, self.cloud.faults
        position, pause = 0, 0.5
        while not (shard.closed and position == len(shard.records)):
            rows = shard.records[position : position + BATCH_RECORDS_MAX]
            if not rows:
                scheduler.sleep(0.6)
                continue
            if faults.hits(Fault.DOUBLE_INVOCATION):
                scheduler.spawn(self._source, lambda rows=rows: self._deliver(rows))  # type: ignore[misc]
            if not self._deliver(rows):
                scheduler.sleep(pause)
                pause = min(2 * pause, 8.0)
                continue
            pause = 0.5
            if not faults.hits(Fault.DOUBLE_DELIVERY):
                position += len(rows)
                self._read[shard.shard_id] = position
        self._finished.add(shard.shard_id)

    def _deliver(self, rows: Sequence[dict[str, Any]]) -> bool:
        cloud = self.cloud
        records = [_record(row) for row in rows]

        def work(process: Process) -> None:
            deliver(
                records,
                machine=ExpressMachine(self.machines, "settlement"),
                quarantine=Quarantine(cloud.s3, QUARANTINE),
                failures=FailureStore(cloud.connection),
                clock=ProcessClock(process),
                stream_tries_ns=STREAM_TRIES_NS,
            )

        return self._invoked("settlement-stream", work)

    def _retry(self) -> None:
        """The fail queue's schedule, with somebody who hurries."""

        def work(process: Process) -> None:
            failures, clock = FailureStore(self.cloud.connection), ProcessClock(process)
            for failure in list(failures.every_open()):
                if failure.state is FailureState.RETRYING:
                    failures.put(hurried(failure, clock.now_ns()))
            machine = ExpressMachine(self.machines, "settlement")
            retry_due(failures=failures, machine=machine, quarantine=Quarantine(self.cloud.s3, QUARANTINE), clock=clock)

        while True:
            self.cloud.scheduler.sleep(RETRY_SECONDS)
            if self.has_failures:
                self._invoked("settlement-schedule", work)

    def _invoked(self, name: str, work: Callable[[Process], Any]) -> bool:
        try:
            self.cloud.invoke(name, work, seconds=FUNCTION_SECONDS)
        except (OutageError, FunctionLostError, BotoCoreError, ClientError, TaskError):
            return False
        return True


def _record(row: dict[str, Any]) -> StreamRecord:
    arrived_at_ns = int(row["ApproximateArrivalTimestamp"].timestamp() * 1_000) * 1_000_000
    data = base64.b64encode(row["Data"]).decode()
    return StreamRecord(row["PartitionKey"], row["SequenceNumber"], data, arrived_at_ns)
