"""What a matcher works with: everything outside of it."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from matcher.checkpoints import Pace
from matcher.lease import LeaseTable
from matcher.markets import Engines, Listings
from matcher.metrics import Meter
from matcher.publisher import RecordSink
from matcher.quarantine import Quarantine
from matcher.releases import Releases
from matcher.snapshots import SnapshotStore
from matcher.stream_reader import RecordReader


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside that a reign touches, and how often it does.

    `open_reader` takes a shard and the record to start behind, `open_reader_at` the record to start with;
    `follow_reader` is for standing by: it takes nothing from the leader's reading.
    """

    leases: LeaseTable
    listings: Listings
    engines: Engines
    releases: Releases
    open_reader: Callable[[str, str | None], RecordReader]
    open_reader_at: Callable[[str, str], RecordReader]
    follow_reader: Callable[[str, str | None], RecordReader]
    orders: RecordSink
    executions: RecordSink
    snapshots: SnapshotStore
    quarantine: Quarantine
    saver: Executor
    meter: Meter
    pace: Pace
    poll_seconds: float
    follow_seconds: float
    tick_seconds: float
    monotonic: Callable[[], float]
    wall_ns: Callable[[], int]
    sleep: Callable[[float], object]
