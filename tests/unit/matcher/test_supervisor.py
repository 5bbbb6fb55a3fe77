"""Processes share the shards among them, take over from the dead, and give way to newcomers."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
from exchange.kernel.errors import UnavailableError

from matcher.lease import Lease, LeaseLostError, LeaseRecord
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
    shadow: "IdleShadow | None" = None
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
class IdleShadow:
    """Follows, or did."""

    owner: str
    shard: Shard
    record: LeaseRecord
    follows: bool = False

    def start(self) -> None:
        """Begin."""
        self.follows = True

    def note(self, record: LeaseRecord) -> None:
        """What the leader said."""
        self.record = record

    def stop(self) -> None:
        """End."""
        self.follows = False

    def report(self) -> dict[str, Any]:
        """What the health page shows."""
        return {"role": "standby", "warm": True}


@dataclass
class Processes:
    """Supervisors over one table, each looking and renewing while it lives."""

    shards: list[Shard]
    clock: VirtualClock = field(default_factory=VirtualClock)
    table: FakeLeaseTable = field(default_factory=FakeLeaseTable)
    alive: dict[str, Supervisor[IdleShadow]] = field(default_factory=dict)
    workers: list[IdleWorker] = field(default_factory=list)
    shadows: list[IdleShadow] = field(default_factory=list)
    warm: bool = False

    def read(self) -> list[Shard]:
        """The stream's shards."""
        return list(self.shards)

    def start(self, owner: str) -> None:
        """A process more."""
        self.alive[owner] = Supervisor(
            self.table,
            self,
            self.employ,
            follow=partial(self.follow, owner) if self.warm else None,
            owner=owner,
            lease_seconds=TTL,
            monotonic=self.clock.monotonic,
        )

    def follow(self, owner: str, shard: Shard, record: LeaseRecord) -> IdleShadow:
        """A shadow more."""
        self.shadows.append(IdleShadow(owner, shard, record))
        return self.shadows[-1]

    def employ(self, shard: Shard, lease: Lease, shadow: IdleShadow | None) -> IdleWorker:
        """A worker more."""
        self.workers.append(IdleWorker(shard, lease, shadow))
        if shadow is not None:
            shadow.stop()
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


def followers(world: Processes) -> dict[str, list[str]]:
    """Who follows each shard."""
    return {
        shard.shard_id: sorted(s.owner for s in world.shadows if s.follows and s.shard == shard)
        for shard in world.shards
    }


def leader_of(world: Processes, shard_id: str) -> str:
    return world.table.records[shard_id].owner


@pytest.mark.parametrize("owners", ["ab", "abc", "abcd"])
def test_every_shard_is_followed_by_exactly_one_that_does_not_lead_it(owners: str) -> None:
    world = Processes(shards(4), warm=True)
    for owner in owners:
        world.start(owner)
    world.run(20 * TTL)
    for shard_id, names in followers(world).items():
        assert len(names) == 1
        assert names != [leader_of(world, shard_id)]


def test_who_is_alone_follows_nothing() -> None:
    world = Processes(shards(2), warm=True)
    world.start("a")
    world.run(10 * TTL)
    assert world.shadows == []


@pytest.mark.parametrize("owners", ["ab", "abc"])
def test_the_one_that_followed_takes_over_and_goes_on_from_what_it_knows(owners: str) -> None:
    world = Processes(shards(1), warm=True)
    for owner in owners:
        world.start(owner)
    world.run(5)
    (heir,) = followers(world)["shard-0"]
    del world.alive[leader_of(world, "shard-0")]
    world.run(TTL + 1)
    assert leader_of(world, "shard-0") == heir
    shadow = world.workers[-1].shadow
    assert shadow is not None
    assert (shadow.owner, shadow.follows) == (heir, False)


def test_when_leader_and_standby_die_together_a_third_begins_cold() -> None:
    world = Processes(shards(1), warm=True)
    for owner in "abc":
        world.start(owner)
    world.run(5)
    leader, (heir,) = leader_of(world, "shard-0"), followers(world)["shard-0"]
    del world.alive[leader], world.alive[heir]
    world.run(2 * TTL)
    assert leader_of(world, "shard-0") in world.alive
    assert world.workers[-1].shadow is None


def test_a_shadow_hears_how_far_its_leader_has_published() -> None:
    world = Processes(shards(1), warm=True)
    world.start("a")
    world.run(1)
    world.start("b")
    world.workers[0].lease.note_published("17")
    world.run(2)
    assert world.shadows[-1].record.published_until == 17
    assert world.alive["b"].report()[1]["shards"]["shard-0"] == {"role": "standby", "warm": True}


def finish(world: Processes, worker: IdleWorker) -> None:
    """The worker has read its shard to the end."""
    shard_id = worker.shard.shard_id
    world.table.records[shard_id] = replace(world.table.records[shard_id], finished=True)
    worker.stop()
