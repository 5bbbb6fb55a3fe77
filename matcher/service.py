"""The container: reads its settings, reaches out to AWS, and reigns until it is told to stop."""

import os
import secrets
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config
from exchange.aws.dynamodb import bind
from exchange.aws.settings import SettingsError
from exchange.instruments.store import InstrumentItem, InstrumentStore

from matcher.checkpoints import Pace
from matcher.engine import COMPILED
from matcher.engines import ProductEngines
from matcher.fan_out import FanOutReader
from matcher.health import HealthServer
from matcher.lease_store import LeaseItem, LeaseStore
from matcher.listings import ListingItem, ListingStore
from matcher.metrics import Meter
from matcher.publisher import StreamSink
from matcher.quarantine import QuarantineBucket
from matcher.releases import ReleaseItem, ReleaseStore
from matcher.settings import Settings
from matcher.shards import ShardList
from matcher.snapshots import SnapshotBucket
from matcher.standby import Standby
from matcher.stream_reader import PollingReader, RecordReader
from matcher.supervisor import Supervisor
from matcher.worker import ShardWorker
from matcher.world import World

METRICS_SECONDS: Final = 10.0
SAVERS_MAX: Final = 4

# One try: the loop tries again by itself, and asks before each whether the lease still holds.
_STREAMS: Final = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1})
# A subscription is silent while nobody trades.
_SUBSCRIPTIONS: Final = Config(connect_timeout=2, read_timeout=60, retries={"total_max_attempts": 1})
_BUCKETS: Final = Config(
    connect_timeout=2, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3}, max_pool_connections=8
)

logger = Logger(service="matcher")


def main() -> int:
    """Run until SIGTERM or SIGINT. Returns the exit code: 0 after an orderly end.

    Raises:   SettingsError naming the variable that is missing, or where the engine is.
    """
    settings = Settings.load()
    if settings.engine_required and not COMPILED:
        raise SettingsError("the engine is not compiled here; unset ENGINE_REQUIRED to run the plain one")
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    world, shards = connect(settings)
    supervisor = Supervisor(
        world.leases,
        shards,
        lambda shard, lease, standby: ShardWorker(shard, lease, world, standby=standby),
        follow=(lambda shard, record: Standby(shard, record, world)) if settings.follow_seconds else None,
        owner=_owner(),
        lease_seconds=settings.lease_seconds,
        monotonic=time.monotonic,
    )
    health = HealthServer(settings.health_port, supervisor.report)
    health.start()
    logger.info(
        "started", extra={"health_port": health.port, "orders_stream": settings.orders_stream, "compiled": COMPILED}
    )
    reporter = threading.Thread(target=_report_metrics, args=(world.meter, stop), name="metrics", daemon=True)
    reporter.start()
    code = supervisor.run(stop)
    health.stop()
    _print_metrics(world.meter, METRICS_SECONDS)
    logger.info("ended", extra={"exit_code": code})
    return code


def connect(settings: Settings) -> tuple[World, ShardList]:
    """Everything outside, as the settings name it."""
    bind(InstrumentItem, settings.instruments_table)
    for model in (LeaseItem, ListingItem, ReleaseItem):
        bind(model, settings.leases_table)
        _hurry(model, settings.lease_seconds)
    streams, buckets = boto3.client("kinesis", config=_STREAMS), boto3.client("s3", config=_BUCKETS)

    subscriptions = boto3.client("kinesis", config=_SUBSCRIPTIONS)
    poll_seconds, consumer_arn = settings.poll_milliseconds / 1000, settings.enhanced_fan_out_consumer_arn

    def open_reader(shard_id: str, after: str | None) -> RecordReader:
        if not consumer_arn:
            return PollingReader(streams, settings.orders_stream, shard_id, after=after)
        return FanOutReader(
            subscriptions, consumer_arn, shard_id, after=after, wait_seconds=poll_seconds, sleep=time.sleep
        )

    world = World(
        leases=LeaseStore(),
        listings=ListingStore(InstrumentStore()),
        engines=ProductEngines(),
        releases=ReleaseStore(),
        open_reader=open_reader,
        open_reader_at=lambda shard_id, at: PollingReader(streams, settings.orders_stream, shard_id, at=at),
        follow_reader=lambda shard_id, after: PollingReader(streams, settings.orders_stream, shard_id, after=after),
        orders=StreamSink(streams, settings.orders_stream),
        executions=StreamSink(streams, settings.executions_stream),
        snapshots=SnapshotBucket(buckets, settings.snapshots_bucket),
        quarantine=QuarantineBucket(buckets, settings.quarantine_bucket),
        saver=ThreadPoolExecutor(max_workers=SAVERS_MAX, thread_name_prefix="saver"),
        meter=Meter(),
        pace=Pace(settings.snapshot_seconds, settings.snapshot_commands),
        # A subscription's read waits by itself.
        poll_seconds=0.0 if consumer_arn else poll_seconds,
        follow_seconds=settings.follow_seconds,
        tick_seconds=settings.tick_seconds,
        monotonic=time.monotonic,
        wall_ns=time.time_ns,
        sleep=time.sleep,
    )
    return world, ShardList(streams, settings.orders_stream)


def _hurry(model: Any, lease_seconds: float) -> None:
    """A renewal that takes longer than a third of the lease had better be asked again."""
    model.Meta.connect_timeout_seconds = model.Meta.read_timeout_seconds = max(lease_seconds / 3, 0.2)
    model.Meta.max_retry_attempts = 0


def _owner() -> str:
    # Random, because a restarted container may get the same host and process number: it must not mistake the lease of
    # the one before for its own.
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(8)}"


def _report_metrics(meter: Meter, stop: threading.Event) -> None:
    while not stop.wait(METRICS_SECONDS):
        _print_metrics(meter, METRICS_SECONDS)


def _print_metrics(meter: Meter, seconds: float) -> None:
    for line in meter.lines(time_ms=time.time_ns() // 1_000_000, seconds=seconds):
        print(line, flush=True)  # noqa: T201 - CloudWatch reads these lines off the log
