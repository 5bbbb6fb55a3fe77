"""A shard with everything around it, in which matchers live and die."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from exchange.kernel.errors import OutageError
from exchange.kernel.ids import command_id_for
from exchange.messages import Command, Op, OrderType, SelfTradePrevention, Side, TimeInForce, encode_commands

from matcher.checkpoints import Checkpoints, Pace
from matcher.engines import ProductEngines
from matcher.lease import Lease
from matcher.loop import ShardLoop
from matcher.markets import Markets
from matcher.metrics import Meter
from matcher.patience import Patience
from matcher.publisher import Publisher
from matcher.resume import ParentUnreadableError, resume
from matcher.shards import Shard
from matcher.snapshots import ShardState
from matcher.standby import Standby
from matcher.world import World
from tests.fakes.bombs import Bomb, Weather
from tests.fakes.buckets import FakeQuarantine, FakeSnapshots
from tests.fakes.clocks import VirtualClock
from tests.fakes.consumers import Consumer
from tests.fakes.executors import InlineExecutor
from tests.fakes.kinesis import FakeReader, FakeShard, FakeSink
from tests.fakes.leases import FakeLeaseTable
from tests.fakes.listings import FakeListings, parameters

SHARD = "shardId-000000000000"
TTL_SECONDS = 3.0


def order(number: int, *, side: Side = Side.BUY, price: int = 10_000, size: int = 10, account_id: int = 0) -> Command:
    """A limit order; equal numbers make equal orders."""
    return Command(
        Op.PLACE,
        command_id_for("place", number),
        order_id=number,
        account_id=account_id or 1 + number % 7,
        side=side,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        self_trade_prevention=SelfTradePrevention.DC,
        price=price,
        size=size,
    )


def flow(seed: int, count: int, *, first: int = 1) -> list[Command]:
    """Orders around one price, many of which trade, and cancels of some."""
    rng = random.Random(seed)
    commands = []
    for number in range(first, first + count):
        if number > first and rng.random() < 0.2:
            target = rng.randrange(first, number)
            commands.append(Command(Op.CANCEL, command_id_for("cancel", number), order_id=target))
        else:
            side = rng.choice((Side.BUY, Side.SELL))
            price, size = 10_000 + rng.randint(-5, 5), rng.randint(1, 50)
            commands.append(order(number, side=side, price=price, size=size))
    return commands


class NothingReleased:
    """No operator says anything."""

    def is_released(self, product_id: str, record: str) -> bool:
        """Never."""
        return False


@dataclass
class MatcherWorld:
    """One shard of the orders stream, and everything that outlives a matcher."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    weather: Weather = field(default_factory=Weather)
    bomb: Bomb = field(default_factory=Bomb)
    pace: Pace = field(default_factory=lambda: Pace(seconds=10.0, commands=6))
    read_limit: int = 3
    shard: Shard = field(default_factory=lambda: Shard(SHARD))
    stream: FakeShard = field(default_factory=FakeShard)
    sink: FakeSink = field(default_factory=FakeSink)
    leases: FakeLeaseTable = field(default_factory=FakeLeaseTable)
    snapshots: FakeSnapshots = field(default_factory=FakeSnapshots)
    quarantine: FakeQuarantine = field(default_factory=FakeQuarantine)
    listings: FakeListings = field(
        default_factory=lambda: FakeListings({"ACME-USD": parameters(), "BETA-USD": parameters("BETA")})
    )
    meter: Meter = field(default_factory=Meter)

    def put(self, product_id: str, commands: Iterable[Command], *, per_record: int = 2) -> None:
        """Put commands on the orders stream, a few a record."""
        pending = list(commands)
        for start in range(0, len(pending), per_record):
            self.stream.put(product_id, encode_commands(product_id, pending[start : start + per_record]))

    def take_lease(self, owner: str) -> Lease:
        """Take the shard's lease as if it had been watched long enough."""
        asked_at = self.clock.monotonic()
        shard_id = self.shard.shard_id
        record = self.leases.take(
            shard_id, owner=owner, ttl_seconds=TTL_SECONDS, seen=self.leases.records.get(shard_id)
        )
        assert record is not None
        return Lease(self.leases, record, asked_at=asked_at, monotonic=self.clock.monotonic)

    def outside(self) -> World:
        """All of it, as matchers get it."""
        return World(
            leases=self.leases,
            listings=self.listings,
            engines=ProductEngines(),
            releases=NothingReleased(),
            open_reader=lambda _, after: self.reader(after),
            open_reader_at=lambda _, at: self.reader(str(int(at) - 1)),
            follow_reader=lambda _, after: self.reader(after),
            orders=FakeSink(),
            executions=self.sink,
            snapshots=self.snapshots,
            quarantine=self.quarantine,
            saver=InlineExecutor(),
            meter=self.meter,
            pace=self.pace,
            poll_seconds=0.0,
            follow_seconds=0.0,
            tick_seconds=0.0,
            monotonic=self.clock.monotonic,
            wall_ns=self.clock.wall_ns,
            sleep=self.clock.sleep,
        )

    def reader(self, after: str | None) -> FakeReader:
        """A reader that starts behind a record."""
        return FakeReader(self.stream, after, limit=self.read_limit, weather=self.weather, bomb=self.bomb)

    def standby(self) -> Standby:
        """A process that follows the leader from its last snapshot on."""
        standby = Standby(self.shard, self.leases.records[self.shard.shard_id], self.outside())
        standby.begin()
        return standby

    def reign(self, owner: str = "a", *, standby: Standby | None = None) -> ShardLoop:
        """A matcher that has just taken the lease and goes on. Raises Killed where the bomb goes off."""
        for thing in (self.sink, self.leases, self.snapshots):
            thing.bomb, thing.weather = self.bomb, self.weather
        lease = self.take_lease(owner)
        followed = standby.hand_over() if standby else None
        if followed is not None:
            markets, state = followed.markets, followed.state
        else:
            markets = Markets(ProductEngines(), self.listings)
            state = self._resume(lease, markets)
        reader = self.reader(state.position or None)
        patience = Patience(lease, self.clock.sleep)
        return ShardLoop(
            lease=lease,
            state=state,
            markets=markets,
            reader=reader,
            publisher=Publisher(self.sink, patience),
            checkpoints=Checkpoints(lease, self.snapshots, InlineExecutor(), self.pace, self.clock.monotonic),
            quarantine=self.quarantine,
            patience=patience,
            meter=self.meter,
            wall_ns=self.clock.wall_ns,
        )

    def _resume(self, lease: Lease, markets: Markets) -> ShardState:
        try:
            return resume(self.shard, lease.pointer, leases=self.leases, store=self.snapshots, markets=markets)
        except ParentUnreadableError as error:
            for parent in error.parents:
                self.leases.reopen(parent)
            raise

    def consumer(self) -> Consumer:
        """Everything published so far, as a consumer sees it."""
        return Consumer().take(self.sink.published)


def run(loop: ShardLoop, *, until: Callable[[], bool] = lambda: False) -> None:
    """Work until nothing is left to read."""
    while not until():
        try:
            batch = loop.step()
        except OutageError:
            continue
        if not batch.records:
            return
