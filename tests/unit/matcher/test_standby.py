"""A warm standby knows all that its leader knew, says nothing while it leads, and leaves nothing out after."""

import threading
import time
from dataclasses import dataclass, replace

import pytest
from exchange.messages import UnknownVersionError

from matcher.checkpoints import Pace
from matcher.markets import Listing
from matcher.standby import Standby, StoodDownError
from matcher.stream_reader import Batch
from tests.fakes.kinesis import FakeReader
from tests.fakes.listings import FakeListings
from tests.unit.matcher.worlds import SHARD, TTL_SECONDS, MatcherWorld, flow, order, run

POISON = b"XCMD" + bytes([1, 0]) + b"not a record"
FROM_THE_FUTURE = b"XCMD" + bytes([9, 0]) + bytes(26)


def quiet_events(world: MatcherWorld) -> object:
    """What one undisturbed matcher says to the same records."""
    quiet = MatcherWorld(stream=world.stream)
    run(quiet.reign())
    return quiet.consumer().events


def followed_world() -> tuple[MatcherWorld, Standby]:
    """A leader that never saved, and a standby that has read further than the leader."""
    world = MatcherWorld(pace=Pace(1e9, 10**9), read_limit=5)
    world.put("ACME-USD", flow(1, 30))
    leader = world.reign("a")
    leader.step()
    leader.lease.renew()
    leader.step()
    standby = world.standby()
    while standby.step():
        pass
    return world, standby


def test_what_the_dead_leader_had_not_published_is_published_first() -> None:
    world, standby = followed_world()
    before = len(world.consumer().events["ACME-USD"])
    world.clock.sleep(TTL_SECONDS)
    heir = world.reign("b", standby=standby)
    heir.step()
    consumer = world.consumer()
    assert consumer.events == quiet_events(world)
    assert len(consumer.events["ACME-USD"]) > before
    # The first read had been published when the lease was renewed, the second had not: only that comes again.
    assert 0 < consumer.repeated < before


def test_an_heir_that_ends_at_once_still_publishes_before_it_saves() -> None:
    world, standby = followed_world()
    world.clock.sleep(TTL_SECONDS)
    world.reign("b", standby=standby).finish(is_end=False)
    assert world.consumer().events == quiet_events(world)


def test_a_standby_says_nothing() -> None:
    world = MatcherWorld()
    world.put("ACME-USD", flow(1, 30))
    world.take_lease("a")
    standby = world.standby()
    while standby.step():
        pass
    assert world.sink.published == []
    assert world.snapshots.objects == {}


def test_what_is_published_is_not_kept() -> None:
    world, standby = followed_world()
    kept = standby.report()["unpublished_bytes"]
    assert kept > 0
    leader = world.reign("b")
    run(leader)
    leader.lease.renew()
    standby.note(world.leases.records[SHARD])
    standby.step()
    assert standby.report()["unpublished_bytes"] == 0


def test_it_reads_no_further_than_it_may_remember() -> None:
    world = MatcherWorld(read_limit=1)
    world.put("ACME-USD", flow(1, 30))
    world.take_lease("a")
    standby = Standby(world.shard, world.leases.records[SHARD], world.outside(), unpublished_bytes_max=500)
    standby.begin()
    while standby.step():
        pass
    assert 500 < standby.report()["unpublished_bytes"] < 2000
    assert standby.report()["position"] != world.stream.records[-1].sequence_number


def test_a_read_that_was_not_seen_through_is_not_gone_on_from() -> None:
    world = MatcherWorld(read_limit=10)
    world.put("ACME-USD", [order(1), order(2)])
    world.stream.put("ACME-USD", FROM_THE_FUTURE)
    world.take_lease("a")
    standby = world.standby()
    with pytest.raises(UnknownVersionError):
        standby.step()
    assert standby.report() == {"role": "standby", "warm": False}
    with pytest.raises(StoodDownError):
        standby.step()
    assert standby.hand_over() is None


def test_a_paused_product_stays_paused_for_the_heir() -> None:
    world = MatcherWorld()
    world.put("ACME-USD", flow(1, 6))
    poison = world.stream.put("ACME-USD", POISON)
    world.put("ACME-USD", flow(2, 6, first=50))
    world.take_lease("a")
    standby = world.standby()
    while standby.step():
        pass
    heir = world.reign("b", standby=standby)
    run(heir)
    assert heir.paused == {"ACME-USD": poison.sequence_number}
    assert heir.go_on("ACME-USD", world.reader(str(int(poison.sequence_number) - 1)))
    world.stream.records.remove(poison)
    assert world.consumer().events == quiet_events(world)


def test_in_a_thread_it_follows_begins_again_after_a_release_and_hands_over() -> None:
    world = MatcherWorld(read_limit=100)
    world.put("ACME-USD", flow(1, 6))
    poison = world.stream.put("ACME-USD", POISON)
    world.put("ACME-USD", flow(2, 6, first=50))
    leader = world.reign("a")
    run(leader)
    leader.finish(is_end=False)
    standby = Standby(world.shard, world.leases.records[SHARD], world.outside(), begin_again_seconds=0.0)
    standby.start()
    end = world.stream.records[-1].sequence_number
    wait_for_position(standby, end)
    assert leader.go_on("ACME-USD", world.reader(str(int(poison.sequence_number) - 1)))
    world.put("ACME-USD", flow(3, 6, first=90))
    run(leader)
    leader.finish(is_end=False)
    standby.note(world.leases.records[SHARD])
    wait_for_position(standby, leader.position)
    followed = standby.hand_over()
    assert followed is not None
    assert followed.markets.paused == {}
    assert {m.product_id: m.chain_hash for m in followed.markets} == {
        "ACME-USD": world.consumer().hashes["ACME-USD"][leader.sequences["ACME-USD"]]
    }


@dataclass
class Turnstile:
    """Stops the thread that first comes by, until it is opened."""

    reached: threading.Event
    opened: threading.Event

    @classmethod
    def make(cls) -> "Turnstile":
        return cls(threading.Event(), threading.Event())

    def pass_by(self) -> None:
        self.reached.set()
        assert self.opened.wait(10)


@dataclass
class SlowListings(FakeListings):
    """Answers when the turnstile is open."""

    turnstile: Turnstile | None = None

    def find_or_add(self, product_id: str, *, first_record: str) -> Listing | None:
        assert self.turnstile is not None
        self.turnstile.pass_by()
        return FakeListings.find_or_add(self, product_id, first_record=first_record)


@dataclass
class SlowReader:
    """Reads one shard whose second read takes until the turnstile is open."""

    reader: FakeReader
    turnstile: Turnstile
    reads: int = 0

    def read(self) -> Batch:
        self.reads += 1
        if self.reads == 2:
            self.turnstile.pass_by()
        return self.reader.read()

    def close(self) -> None:
        self.reader.close()


def test_a_hand_over_waits_for_the_records_that_are_being_applied() -> None:
    turnstile = Turnstile.make()
    world = MatcherWorld(read_limit=100)
    world.put("ACME-USD", flow(1, 30))
    world.take_lease("a")
    listings = SlowListings(world.listings.catalogue, turnstile=turnstile)
    standby = Standby(world.shard, world.leases.records[SHARD], replace(world.outside(), listings=listings))
    standby.start()
    assert turnstile.reached.wait(10)
    opener = threading.Timer(0.05, turnstile.opened.set)
    opener.start()
    followed = standby.hand_over()
    assert followed is not None
    assert followed.state.position == world.stream.records[-1].sequence_number
    opener.join()


def test_a_hand_over_does_not_wait_for_a_read_in_flight() -> None:
    turnstile = Turnstile.make()
    world = MatcherWorld(read_limit=5)
    world.put("ACME-USD", flow(1, 30))
    world.take_lease("a")
    outside = replace(world.outside(), follow_reader=lambda _, after: SlowReader(world.reader(after), turnstile))
    standby = Standby(world.shard, world.leases.records[SHARD], outside)
    standby.start()
    assert turnstile.reached.wait(10)
    followed = standby.hand_over()
    assert followed is not None
    position, hashes = followed.state.position, {m.product_id: m.chain_hash for m in followed.markets}
    assert position == world.stream.records[4].sequence_number
    # What it brings when it comes back at last changes nothing that was handed over.
    turnstile.opened.set()
    standby.join(10)
    assert {m.product_id: m.chain_hash for m in followed.markets} == hashes


def wait_for_position(standby: Standby, position: str) -> None:
    deadline = time.monotonic() + 10
    while standby.report().get("position") != position:
        assert time.monotonic() < deadline, standby.report()
        time.sleep(0.001)


def test_the_meter_tells_how_far_a_standby_is_behind() -> None:
    world = MatcherWorld()
    world.put("ACME-USD", flow(1, 6))
    world.take_lease("a")
    standby = world.standby()
    standby.step()
    standby.step()
    (line,) = world.meter.lines(time_ms=1, seconds=10.0)
    assert '"StandbyBehindMilliseconds": 0' in line
    assert world.meter.lines(time_ms=2, seconds=10.0) == []
