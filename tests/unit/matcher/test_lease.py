"""Two processes never reign at once, and none reigns longer than it may."""

import pytest

from matcher.lease import Lease, LeaseLostError, LeaseRecord, LeaseWatch, MemberRecord, Pointer, Readings
from tests.fakes.bombs import Weather
from tests.fakes.clocks import VirtualClock
from tests.fakes.leases import FakeLeaseTable

TTL = 3.0
POINTER = Pointer("10", "1", ("a",))


def take(table: FakeLeaseTable, clock: VirtualClock, owner: str, *, reply_seconds: float = 0.0) -> Lease:
    asked_at = clock.monotonic()
    record = table.take("s", owner=owner, ttl_seconds=TTL, seen=table.records.get("s"))
    clock.sleep(reply_seconds)
    assert record is not None
    return Lease(table, record, asked_at=asked_at, monotonic=clock.monotonic)


def reading(record: LeaseRecord) -> Readings:
    return Readings({record.shard_id: record}, {})


def test_the_epoch_grows_with_every_reign() -> None:
    table, clock = FakeLeaseTable(), VirtualClock()
    assert [take(table, clock, owner).epoch for owner in "aba"] == [1, 2, 3]


def test_a_child_shards_epochs_go_on_above_its_parents() -> None:
    table = FakeLeaseTable()
    first = table.take("child", owner="a", ttl_seconds=TTL, seen=None, above=4)
    assert first is not None
    assert first.epoch == 5
    again = table.take("child", owner="b", ttl_seconds=TTL, seen=first, above=7)
    assert again is not None
    assert again.epoch == 8


def test_it_ends_by_the_time_of_asking_not_of_the_answer() -> None:
    table, clock = FakeLeaseTable(), VirtualClock()
    lease = take(table, clock, "a", reply_seconds=2.0)
    clock.sleep(0.9)
    lease.require()
    clock.sleep(0.1)
    with pytest.raises(LeaseLostError):
        lease.require()


def test_a_renewal_prolongs_it() -> None:
    table, clock = FakeLeaseTable(), VirtualClock()
    lease = take(table, clock, "a")
    for _ in range(5):
        clock.sleep(TTL - 0.1)
        lease.renew()
    lease.require()


def test_a_renewal_that_comes_too_late_does_not_revive_it() -> None:
    table, clock = FakeLeaseTable(), VirtualClock()
    lease = take(table, clock, "a")
    clock.sleep(TTL)
    with pytest.raises(LeaseLostError):
        lease.renew()


def test_a_renewal_without_an_answer_changes_nothing_and_the_next_one_works() -> None:
    table, clock = FakeLeaseTable(weather=Weather({"leases": ["", "late", "lost", ""]})), VirtualClock()
    lease = take(table, clock, "a")
    clock.sleep(1.0)
    for _ in range(2):
        with pytest.raises(Exception, match="leases"):
            lease.renew()
    clock.sleep(1.0)
    lease.renew()
    clock.sleep(TTL - 0.1)
    lease.require()


def test_whoever_lost_it_can_neither_renew_nor_point_nor_release() -> None:
    table, clock = FakeLeaseTable(), VirtualClock()
    old = take(table, clock, "a")
    new = take(table, clock, "b")
    with pytest.raises(LeaseLostError):
        old.renew()
    old = Lease(table, table.records["s"], asked_at=clock.monotonic(), monotonic=clock.monotonic)
    newer = take(table, clock, "c")
    with pytest.raises(LeaseLostError):
        old.point(POINTER)
    with pytest.raises(LeaseLostError):
        old.release()
    assert new.epoch < newer.epoch == table.records["s"].epoch
    assert table.records["s"].pointer is None


def test_it_is_free_when_it_stood_still_for_its_time_to_live_and_not_before() -> None:
    clock = VirtualClock()
    watch = LeaseWatch(clock.monotonic)
    record = LeaseRecord("s", "a", 1, 1, TTL)
    watch.observe(reading(record))
    clock.sleep(TTL - 0.01)
    watch.observe(reading(record))
    assert 0 < watch.free_in(record) < 0.02
    clock.sleep(0.01)
    assert watch.free_in(record) == 0.0


def test_a_renewal_seen_starts_the_wait_again() -> None:
    clock = VirtualClock()
    watch = LeaseWatch(clock.monotonic)
    watch.observe(reading(LeaseRecord("s", "a", 1, 1, TTL)))
    clock.sleep(TTL)
    renewed = LeaseRecord("s", "a", 1, 2, TTL)
    watch.observe(reading(renewed))
    assert watch.free_in(renewed) == TTL


def test_the_holder_s_own_time_to_live_counts_not_the_watcher_s() -> None:
    clock = VirtualClock()
    watch = LeaseWatch(clock.monotonic)
    record = LeaseRecord("s", "a", 1, 1, ttl_seconds=30.0)
    watch.observe(reading(record))
    assert watch.free_in(record) == 30.0


def test_a_released_one_is_free_at_once() -> None:
    table, clock = FakeLeaseTable(), VirtualClock()
    watch = LeaseWatch(clock.monotonic)
    take(table, clock, "a").release()
    watch.observe(table.read_all())
    assert watch.free_in(table.records["s"]) == 0.0


def test_of_two_that_saw_the_same_only_one_takes_it() -> None:
    table, clock = FakeLeaseTable(), VirtualClock()
    take(table, clock, "dead")
    seen = table.records["s"]
    first = table.take("s", owner="b", ttl_seconds=TTL, seen=seen)
    second = table.take("s", owner="c", ttl_seconds=TTL, seen=seen)
    assert first is not None
    assert second is None


def test_at_no_moment_do_two_hold_it_whatever_the_answers_take() -> None:
    """A holder renews with slow answers and stops; a watcher takes as early as it may."""
    for reply in (0.0, 0.5, 1.5, 2.9):
        table, clock = FakeLeaseTable(), VirtualClock()
        watch = LeaseWatch(clock.monotonic)
        holder = take(table, clock, "a", reply_seconds=reply)
        while True:
            watch.observe(table.read_all())
            if not watch.free_in(table.records["s"]):
                break
            clock.sleep(0.05)
        assert holder.is_lost


def test_a_member_is_present_while_its_version_moves() -> None:
    clock = VirtualClock()
    watch = LeaseWatch(clock.monotonic)
    for version in range(3):
        watch.observe(Readings({}, {"a": MemberRecord("a", version, TTL), "dead": MemberRecord("dead", 1, TTL)}))
        clock.sleep(TTL / 2)
    assert watch.present() == {"a"}
    assert watch.long_gone(seconds=1.5 * TTL) == {"dead"}
