"""Processes share the shards among them, take over from the dead, and give way to newcomers."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from exchange.kernel.errors import UnavailableError

from matcher.lease import Lease, LeaseLostError
from matcher.shards import Shard
from matcher.supervisor import SILENCE_SECONDS_MAX, Supervisor
from tests.fakes.bombs import Weather
from tests.fakes.clocks import VirtualClock
from tests.fakes.leases import FakeLeaseTable

TTL = 3.0


@dataclass
class IdleWorker:
    """Holds its lease and does nothing else."""

    shard: Shard
    lease: Lease
    failure: BaseException | None = None
    alive: bool = True

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End in order."""
        self.alive = False
        self.lease.release()

    def is_alive(self) -> bool:
        """Whether it goes on: it ends when its lease does."""
        return self.alive and not self.lease.is_lost

    def join(self, seconds: float) -> None:
        """Nothing to wait for."""

    def report(self) -> dict[str, Any]:
        """Who leads."""
        return {"role": "leader", "epoch": self.lease.epoch}

    @property
    def seconds_since_read(self) -> float:
        """It reads all the time."""
        return 0.0


@dataclass
class Processes:
    """Supervisors over one table, each looking and renewing while it lives."""

    shards: list[Shard]
    clock: VirtualClock = field(default_factory=VirtualClock)
    table: FakeLeaseTable = field(default_factory=FakeLeaseTable)
    alive: dict[str, Supervisor] = field(default_factory=dict)
    workers: list[IdleWorker] = field(default_factory=list)

    def read(self) -> list[Shard]:
        """The stream's shards."""
        return list(self.shards)

    def start(self, owner: str) -> None:
        """A process more."""
        self.alive[owner] = Supervisor(
            self.table, self, self.employ, owner=owner, lease_seconds=TTL, monotonic=self.clock.monotonic
        )

    def employ(self, shard: Shard, lease: Lease) -> IdleWorker:
        """A worker more."""
        self.workers.append(IdleWorker(shard, lease))
        return self.workers[-1]

    def run(self, seconds: float) -> None:
        """Let time pass; in each moment at most one reigns over a shard."""
        for _ in range(round(seconds / 0.5)):
            for supervisor in self.alive.values():
                supervisor.renew()
                supervisor.look()
            reigning = [worker.shard.shard_id for worker in self.workers if worker.is_alive()]
            assert len(reigning) == len(set(reigning))
            self.clock.sleep(0.5)

    def led(self) -> dict[str, int]:
        """How many shards each process leads."""
        reports = {owner: supervisor.report()[1] for owner, supervisor in self.alive.items()}
        return {
            owner: sum(shard["role"] == "leader" for shard in report["shards"].values())
            for owner, report in reports.items()
        }


def shards(count: int) -> list[Shard]:
    return [Shard(f"shard-{number}") for number in range(count)]


def test_alone_it_leads_everything() -> None:
    world = Processes(shards(3))
    world.start("a")
    world.run(1)
    assert world.led() == {"a": 3}


def test_a_second_one_stands_by_for_a_single_shard() -> None:
    world = Processes(shards(1))
    world.start("a")
    world.run(1)
    world.start("b")
    world.run(30)
    assert world.led() == {"a": 1, "b": 0}
    assert {worker.lease.epoch for worker in world.workers} == {1}


def test_a_standby_takes_over_from_the_dead_as_soon_as_it_may() -> None:
    world = Processes(shards(1))
    world.start("a")
    world.start("b")
    world.run(5)
    del world.alive["a"]
    world.run(TTL - 1)
    assert world.led() == {"b": 0}
    world.run(1.5)
    assert world.led() == {"b": 1}


def test_newcomers_get_their_share_one_shard_at_a_time() -> None:
    world = Processes(shards(4))
    world.start("a")
    world.run(1)
    world.start("b")
    world.run(4 * TTL + 3)
    assert world.led() == {"a": 2, "b": 2}
    moved = len(world.workers)
    world.run(60)
    assert len(world.workers) == moved == 6


@pytest.mark.parametrize(("count", "owners"), [(1, "ab"), (2, "abc"), (5, "abc"), (6, "abc"), (7, "ab")])
def test_shares_come_out_fair_and_then_stay(count: int, owners: str) -> None:
    world = Processes(shards(count))
    for owner in owners:
        world.start(owner)
        world.run(1)
    world.run(20 * TTL)
    led = world.led().values()
    assert sum(led) == count
    assert max(led) - min(led) <= 1
    moved = len(world.workers)
    world.run(20 * TTL)
    assert len(world.workers) == moved


def test_the_survivor_leads_all_shards_of_the_dead() -> None:
    world = Processes(shards(4))
    for owner in "ab":
        world.start(owner)
    world.run(20)
    del world.alive["a"]
    world.run(3 * TTL)
    assert world.led() == {"b": 4}


def test_what_nobody_takes_is_taken_beyond_the_share() -> None:
    world = Processes(shards(2))
    world.start("a")
    led = []
    for _ in range(2000):
        # Somebody who is there and takes nothing.
        world.table.attend("lame", ttl_seconds=TTL)
        world.run(0.5)
        led.append(world.led()["a"])
    assert led.count(2) > 0.9 * len(led)
    assert len(world.workers) < 10


def test_children_are_read_when_all_their_parents_are_finished() -> None:
    world = Processes([Shard("p1"), Shard("p2"), Shard("child", parents=("p1", "p2"))])
    world.start("a")
    world.run(2)
    assert sorted(worker.shard.shard_id for worker in world.workers) == ["p1", "p2"]
    for worker in list(world.workers):
        finish(world, worker)
        world.run(1)
    assert world.workers[-1].shard.shard_id == "child"
    assert len(world.workers) == 3


def test_a_parent_from_before_this_exchange_holds_nobody_up() -> None:
    world = Processes([Shard("child", parents=("long-gone",))])
    world.start("a")
    world.run(1)
    assert world.led() == {"a": 1}


def test_a_shard_that_cannot_go_on_fails_the_process() -> None:
    world = Processes(shards(1))
    world.start("a")
    world.run(1)
    world.workers[0].failure = ValueError("poison")
    world.workers[0].stop()
    world.alive["a"].look()
    healthy, _ = world.alive["a"].report()
    assert not healthy


def test_it_is_unhealthy_when_the_leases_were_not_read_for_long() -> None:
    world = Processes(shards(1))
    world.start("a")
    world.run(1)
    assert world.alive["a"].report()[0]
    world.table.weather = Weather({"leases": ["lost"] * 1000})
    world.clock.sleep(SILENCE_SECONDS_MAX)
    with pytest.raises(UnavailableError):
        world.alive["a"].look()
    assert not world.alive["a"].report()[0]


def test_a_lease_lost_while_asleep_is_noticed_and_the_shard_left_alone() -> None:
    world = Processes(shards(1))
    world.start("sleeper")
    world.run(1)
    sleeper = world.alive.pop("sleeper")
    world.start("heir")
    world.run(2 * TTL)
    world.alive["sleeper"] = sleeper
    world.run(2 * TTL)
    assert world.led() == {"heir": 1, "sleeper": 0}
    with pytest.raises(LeaseLostError):
        world.workers[0].lease.require()


def test_the_dead_are_forgotten_in_the_end() -> None:
    world = Processes(shards(1))
    world.start("a")
    world.start("b")
    world.run(1)
    del world.alive["a"]
    world.run(30 * TTL)
    assert set(world.table.members) == {"b"}


def finish(world: Processes, worker: IdleWorker) -> None:
    """The worker has read its shard to the end."""
    shard_id = worker.shard.shard_id
    world.table.records[shard_id] = replace(world.table.records[shard_id], finished=True)
    worker.stop()
