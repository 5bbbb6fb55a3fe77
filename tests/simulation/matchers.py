"""Matchers: the real supervisor, workers, standbys and loop on virtual time, each started again when it ends."""

from __future__ import annotations

from typing import Final

from exchange.instruments.model import Product
from exchange.kernel.errors import OutageError

from matcher.checkpoints import Pace
from matcher.engine import UnknownRulesError
from matcher.lease import Lease, LeaseRecord
from matcher.lease_store import LeaseStore
from matcher.listings import ListingStore
from matcher.metrics import Meter
from matcher.publisher import StreamSink
from matcher.quarantine import QuarantineBucket
from matcher.releases import ReleaseStore
from matcher.shards import Shard, ShardList
from matcher.snapshots import SnapshotBucket
from matcher.standby import Followed, Standby
from matcher.stream_reader import PollingReader
from matcher.supervisor import Supervisor
from matcher.worker import ShardWorker
from matcher.world import World
from tests.fakes.executors import InlineExecutor
from tests.simulation.cloud import BUCKET, QUARANTINE, Cloud
from tests.simulation.faults import Fault
from tests.simulation.releases import NEXT_RELEASE, RELEASES
from tests.simulation.scheduler import Process, Strand, VirtualEvent

LEASE_SECONDS: Final = 9.0
TICK_SECONDS: Final = 3.0
_NEXT: Final = RELEASES.index(NEXT_RELEASE)
CALLS_PER_CRASH: Final = 12  # a matcher calls all the time; it must not die of every tenth of a second


class Catalogue:
    """The products, as the matcher's listings ask for them."""

    def __init__(self, products: dict[str, Product]) -> None:
        self._products = products

    def products(self) -> dict[str, Product]:
        """Every product by id."""
        return self._products


class SimulatedWorker(ShardWorker):
    """A worker whose thread is a strand, and whose failures are counted."""

    def __init__(
        self, shard: Shard, lease: Lease, world: World, process: Process, matchers: Matchers, standby: Standby | None
    ):
        super().__init__(shard, lease, world, standby=standby)
        self._stop = VirtualEvent(matchers.cloud.scheduler)  # type: ignore[assignment]
        self._process, self._matchers, self._cloud = process, matchers, matchers.cloud
        self._strand: Strand | None = None

    def start(self) -> None:
        """Reign beside the caller."""
        self._strand = self._cloud.scheduler.spawn(self._process, self.run)

    def run(self) -> None:
        """Reign, and tell what went wrong: the supervisor has forgotten this worker by its next look."""
        super().run()
        if self.failure is not None:
            self._matchers.failures.append(f"{self.failure!r}")
        if isinstance(self.failure, UnknownRulesError):
            met = Fault.OLD_RELEASE_AT_SNAPSHOT if self._loop is None else Fault.OLD_RELEASE_STOPPED
            self._cloud.faults.fired[met] += 1

    def is_alive(self) -> bool:
        """Whether the reign goes on."""
        return self._strand is not None and not self._strand.ended

    def join(self, seconds: float) -> None:
        """Wait for its end."""
        if self._strand is not None:
            self._cloud.scheduler.wait(self._strand, seconds=seconds)


class SimulatedStandby(Standby):
    """A standby whose thread is a strand."""

    def __init__(self, shard: Shard, record: LeaseRecord, world: World, process: Process, cloud: Cloud) -> None:
        super().__init__(shard, record, world)
        self._stop = VirtualEvent(cloud.scheduler)  # type: ignore[assignment]
        self._process, self._cloud = process, cloud
        self._strand: Strand | None = None

    def start(self) -> None:
        """Follow beside the caller."""
        self._strand = self._cloud.scheduler.spawn(self._process, self.run)

    def hand_over(self) -> Followed | None:
        """End, and return what was followed."""
        self._stop.set()
        ended = self._strand is None or self._cloud.scheduler.wait(self._strand, seconds=1.0)
        return self._followed if ended else None


class Matchers:
    """The matcher's processes."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.processes: dict[int, Process] = {}
        self.failures: list[str] = []
        self.outages = 0
        self._keeper = Process("keeper", cloud.scheduler)
        self._generation = 0
        self._supervisors: dict[int, Supervisor[SimulatedStandby]] = {}
        self._releases = [cloud.plan.first_release] * cloud.plan.matchers
        self._draining: set[int] = set()

    def start(self) -> None:
        """Start every process, and start it again for as long as the keeper lives."""
        self._keeper = Process("keeper", self.cloud.scheduler)
        for number in range(self.cloud.plan.matchers):
            self.cloud.scheduler.spawn(self._keeper, lambda number=number: self._keep(number))  # type: ignore[misc]

    def stop(self) -> None:
        """End them all for good."""
        self._keeper.kill()
        for process in self.processes.values():
            process.kill()

    def change_release(self, number: int) -> None:
        """Have one drained and replaced by another release, as a deployment does, or its being taken back."""
        self._releases[number] = (self._releases[number] + 1) % len(RELEASES)
        self._draining.add(number)

    def begin_with_next_release(self) -> None:
        """Have the next release be what they are of, before they run."""
        self._releases = [_NEXT] * len(self._releases)

    def roll_forward(self) -> None:
        """Have all replaced by the next release where they are not of it."""
        self._replace_by(_NEXT)

    def take_back(self) -> None:
        """Have all replaced by an old release, as who regrets a deployment does."""
        self._replace_by(self.cloud.plan.first_release)

    @property
    def runs_next_release(self) -> bool:
        """Whether one of them is of it."""
        return _NEXT in self._releases

    def _replace_by(self, wanted: int) -> None:
        self._draining |= {number for number, release in enumerate(self._releases) if release != wanted}
        self._releases = [wanted] * len(self._releases)

    def _keep(self, number: int) -> None:
        scheduler, faults = self.cloud.scheduler, self.cloud.faults
        while True:
            self._generation += 1
            skew = (self._generation % 3 - 1) * 3_600_000_000_000 if faults.hits(Fault.CLOCK_WRONG) else 0
            process = Process(f"matcher-{number}.{self._generation}", scheduler, skew_ns=skew)
            process.calls_per_crash = CALLS_PER_CRASH
            self.processes[number] = process
            strand = scheduler.spawn(process, lambda process=process: self._work(number, process))  # type: ignore[misc]
            scheduler.wait(strand, seconds=10.0**6)
            if strand.failure is not None:
                self.failures.append(f"{process.name}: {strand.failure!r}")
            process.kill()
            scheduler.sleep(1.0 + self._generation % 3)

    def _work(self, number: int, process: Process) -> None:
        cloud, scheduler = self.cloud, self.cloud.scheduler
        world = self._world(number, process)
        supervisor = Supervisor[SimulatedStandby](
            LeaseStore(),
            ShardList(cloud.kinesis, "orders"),
            lambda shard, lease, standby: SimulatedWorker(shard, lease, world, process, self, standby),
            follow=lambda shard, record: SimulatedStandby(shard, record, world, process, cloud),
            owner=process.name,
            lease_seconds=LEASE_SECONDS,
            monotonic=process.monotonic,
        )
        supervisor.renew()
        scheduler.spawn(process, lambda: self._renew(supervisor))
        while supervisor.report()[0]:
            if number in self._draining:
                self._draining.discard(number)
                supervisor._drain()
                supervisor._leave()
                return
            pause = LEASE_SECONDS / 6
            try:
                pause = min(pause, supervisor.look())
            except OutageError:
                self.outages += 1
            scheduler.sleep(max(pause, 0.05))

    def _renew(self, supervisor: Supervisor[SimulatedStandby]) -> None:
        while True:
            self.cloud.scheduler.sleep(LEASE_SECONDS / 3)
            supervisor.renew()

    def _world(self, number: int, process: Process) -> World:
        cloud = self.cloud
        limits = (2, 50, 4)
        return World(
            leases=LeaseStore(),
            listings=ListingStore(Catalogue(cloud.plan.products)),  # type: ignore[arg-type]
            engines=RELEASES[self._releases[number]],
            releases=ReleaseStore(),
            open_reader=lambda shard, after: PollingReader(cloud.kinesis, "orders", shard, after=after),
            open_reader_at=lambda shard, at: PollingReader(cloud.kinesis, "orders", shard, at=at),
            follow_reader=lambda shard, after: PollingReader(cloud.kinesis, "orders", shard, after=after),
            orders=StreamSink(cloud.kinesis, "orders"),
            executions=StreamSink(cloud.kinesis, "executions"),
            snapshots=SnapshotBucket(cloud.s3, BUCKET),
            quarantine=QuarantineBucket(cloud.s3, QUARANTINE),
            saver=InlineExecutor(),
            meter=Meter(),
            pace=Pace(seconds=5.0, commands=limits[cloud.plan.seed % 3]),
            poll_seconds=0.4,
            follow_seconds=0.6,
            tick_seconds=TICK_SECONDS,
            monotonic=process.monotonic,
            wall_ns=process.now_ns,
            sleep=cloud.scheduler.sleep,
        )
