"""Matchers on a bad day: many seeds of kills, sleeps, outages and corrupt snapshots, two of them at a time.

A seed that fails is replayed with `pytest tests/unit/matcher/test_simulation.py -k "seed[N]"`.
"""

import os
import random

import pytest
from exchange.kernel.errors import OutageError

from matcher.checkpoints import Pace
from matcher.lease import LeaseLostError
from matcher.loop import ShardLoop
from matcher.resume import ParentUnreadableError
from matcher.standby import Standby, StoodDownError
from tests.fakes.bombs import Bomb, Killed
from tests.unit.matcher.worlds import SHARD, TTL_SECONDS, MatcherWorld, flow, order, run

SEEDS = int(os.environ.get("MATCHER_SEEDS", "150"))
STEPS = 60


class BadDay:
    """A world in which two matchers take turns while everything fails now and then."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.world = MatcherWorld(
            pace=Pace(seconds=self.rng.choice((0.5, 5.0)), commands=self.rng.choice((1, 5, 50))),
            read_limit=self.rng.choice((1, 3, 20)),
        )
        self.kill_rate, self.outage_rate, self.sleep_rate, self.corrupt_rate = (
            self.rng.choice((0.0, 0.1, 0.4)) for _ in range(4)
        )
        self.loops: dict[str, ShardLoop] = {}
        self.standbys: dict[str, Standby] = {}
        self.warm_takeovers = 0
        self.next_order = 1

    def live(self) -> None:
        """Through the day."""
        for _ in range(STEPS):
            self._orders_arrive()
            self._outages_come()
            self.world.clock.sleep(self.rng.uniform(0.0, 0.4))
            self._act(self.rng.choice("ab"))
            if self.rng.random() < self.sleep_rate / 4:
                self.world.clock.sleep(TTL_SECONDS)
            if self.rng.random() < self.corrupt_rate / 8 and self.world.snapshots.objects:
                key = self.rng.choice(sorted(self.world.snapshots.objects))
                self.world.snapshots.objects[key] = self.world.snapshots.objects[key][:-1]

    def recover(self) -> None:
        """When the faults end, one matcher brings everything to its end."""
        self.world.weather.coming.clear()
        self.world.bomb = Bomb()
        self.world.clock.sleep(TTL_SECONDS)
        run(self.world.reign("last"))

    def _orders_arrive(self) -> None:
        for _ in range(self.rng.choice((0, 0, 1, 3))):
            product_id = self.rng.choice(("ACME-USD", "BETA-USD"))
            commands = flow(self.rng.randrange(10**6), self.rng.randint(1, 4), first=self.next_order)
            if self.rng.random() < 0.2:
                # A producer that heard no answer sends the same again.
                commands.append(order(max(1, self.next_order - 3)))
            self.world.put(product_id, commands)
            self.next_order += 4

    def _outages_come(self) -> None:
        for service in ("read", "publish", "snapshots", "leases", "quarantine"):
            if self.rng.random() < self.outage_rate / 4:
                kinds = [self.rng.choice(("lost", "late", "")) for _ in range(self.rng.randint(1, 3))]
                self.world.weather.coming.setdefault(service, []).extend(kinds)
        if self.rng.random() < self.outage_rate / 4:
            self.world.sink.refusals.append(1)

    def _act(self, owner: str) -> None:
        if self.rng.random() < self.kill_rate / 4:
            self.world.bomb = Bomb(goes_off_at=self.rng.randrange(12))
        try:
            loop = self.loops.get(owner) or self._begin(owner)
            if loop is None:
                self._follow(owner)
            else:
                loop.step()
                if self.rng.random() < 0.05:
                    loop.finish(is_end=False)
                self._renew(loop)
        except (Killed, LeaseLostError):
            self.loops.pop(owner, None)
            self.standbys.pop(owner, None)
        except StoodDownError:
            # It was interrupted within a read: it begins again.
            self.standbys.pop(owner, None)
        except (OutageError, ParentUnreadableError):
            pass
        finally:
            self.world.bomb = Bomb()

    def _begin(self, owner: str) -> ShardLoop | None:
        """Take the lease only where nobody else can still hold it."""
        if any(not loop.lease.is_lost for name, loop in self.loops.items() if name != owner):
            return None
        standby = self.standbys.pop(owner, None)
        self.loops[owner] = self.world.reign(owner, standby=standby)
        self.warm_takeovers += standby is not None
        return self.loops[owner]

    def _follow(self, owner: str) -> None:
        """Somebody else leads: read what it reads."""
        if owner not in self.standbys:
            self.standbys[owner] = self.world.standby()
        self.standbys[owner].note(self.world.leases.records[SHARD])
        self.standbys[owner].step()

    def _renew(self, loop: ShardLoop) -> None:
        if self.rng.random() < 0.8:
            loop.lease.renew()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_the_day_brings_the_log_is_that_of_a_quiet_one(seed: int) -> None:
    day = BadDay(seed)
    day.live()
    day.recover()
    quiet = MatcherWorld(stream=day.world.stream)
    run(quiet.reign())
    assert day.world.consumer().events == quiet.consumer().events
    pointer = day.world.leases.records[SHARD].pointer
    assert pointer is None or int(pointer.position) <= int(day.world.stream.records[-1].sequence_number)


def test_the_days_are_bad_enough() -> None:
    """Standbys take over often, and what a leader had not published is published by them."""
    warm = republished = 0
    for seed in range(40):
        day = BadDay(seed)
        day.live()
        day.recover()
        warm += day.warm_takeovers
        republished += day.world.consumer().repeated
    assert warm > 40
    assert republished > 40
