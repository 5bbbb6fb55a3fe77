"""Whatever happens to a matcher, the executions stream says what an undisturbed one would have said."""

from dataclasses import replace

import pytest
from exchange.messages import UnknownVersionError, encode_commands

from matcher.checkpoints import Pace
from matcher.engine import UnknownRulesError, snapshot
from matcher.engines import ProductEngines
from matcher.intake import HistoryLostError
from matcher.lease import LeaseLostError
from matcher.loop import ShardLoop
from matcher.snapshots import decode_state, encode_state
from tests.fakes.bombs import Bomb, Killed
from tests.fakes.consumers import Consumer
from tests.fakes.kinesis import FakeReader
from tests.unit.matcher.worlds import SHARD, TTL_SECONDS, MatcherWorld, flow, order, run

POISON = b"XCMD" + bytes([1, 0]) + b"not a record"
FROM_THE_FUTURE = b"XCMD" + bytes([9, 0]) + bytes(26)


def busy_world() -> MatcherWorld:
    """Two products, a record of nobody's product, and one sent twice."""
    world = MatcherWorld()
    world.put("ACME-USD", flow(1, 20))
    world.put("NONE-USD", flow(2, 2))
    world.put("BETA-USD", flow(3, 10, first=500))
    world.put("ACME-USD", flow(1, 4))
    world.put("ACME-USD", flow(4, 12, first=100))
    return world


def undisturbed() -> Consumer:
    """What one matcher says that nothing happens to."""
    world = busy_world()
    run(world.reign())
    return world.consumer()


def live_and_end(world: MatcherWorld) -> ShardLoop:
    """A whole reign with an orderly end."""
    loop = world.reign()
    run(loop)
    loop.finish(is_end=False)
    return loop


def steps_of_a_run() -> int:
    """How many places there are to be killed at."""
    world = busy_world()
    live_and_end(world)
    return len(world.bomb.steps)


@pytest.mark.parametrize("killed_at", range(steps_of_a_run()))
def test_killed_at_any_step_the_next_one_says_the_same(killed_at: int) -> None:
    world = busy_world()
    world.bomb = Bomb(goes_off_at=killed_at)
    with pytest.raises(Killed):
        live_and_end(world)
    world.bomb = Bomb()
    world.clock.sleep(TTL_SECONDS)
    run(world.reign("b"))
    assert world.consumer().events == undisturbed().events


def test_a_snapshot_never_says_more_than_was_published() -> None:
    for killed_at in range(steps_of_a_run()):
        attempt = busy_world()
        attempt.bomb = Bomb(goes_off_at=killed_at)
        with pytest.raises(Killed):
            live_and_end(attempt)
        published = attempt.consumer().events
        for data in attempt.snapshots.objects.values():
            state = decode_state(data, shard_id=SHARD)
            for product_id, saved in state.markets.items():
                sequence = ProductEngines().restore(saved).sequence
                assert sequence <= len(published.get(product_id, []))


def test_a_replay_up_to_the_pointer_publishes_nothing_again() -> None:
    world = busy_world()
    loop = live_and_end(world)
    before = len(world.sink.published)
    world.snapshots.objects.clear()
    again = world.reign("b")
    run(again)
    assert len(world.sink.published) == before
    assert again.sequences == loop.sequences


def test_corrupt_snapshots_are_passed_over_for_older_ones_and_at_last_for_the_whole_stream() -> None:
    expected = undisturbed().events
    for corrupt in range(4):
        world = busy_world()
        run(world.reign())
        pointer = world.leases.records[SHARD].pointer
        assert pointer is not None
        assert len(pointer.snapshots) == 3
        for key in pointer.snapshots[:corrupt]:
            data = bytearray(world.snapshots.objects[key])
            data[len(data) // 2] ^= 1
            world.snapshots.objects[key] = bytes(data)
        world.put("ACME-USD", flow(9, 6, first=900))
        loop = world.reign("b")
        run(loop)
        found = world.consumer().events
        assert found["ACME-USD"][: len(expected["ACME-USD"])] == expected["ACME-USD"]
        assert len(found["ACME-USD"]) == loop.sequences["ACME-USD"] > len(expected["ACME-USD"])


def test_without_snapshot_and_with_a_trimmed_stream_it_refuses_to_guess() -> None:
    world = busy_world()
    run(world.reign())
    world.snapshots.objects.clear()
    world.stream.trimmed = 1
    before = list(world.sink.published)
    loop = world.reign("b")
    with pytest.raises(HistoryLostError):
        loop.step()
    assert world.sink.published == before


def test_outages_and_refusals_change_nothing_but_the_time_it_takes() -> None:
    world = busy_world()
    world.weather.coming = {
        "read": ["lost", "", "lost", "lost"],
        "publish": ["late", "lost", "", "late", "late"],
        "snapshots": ["lost", ""],
        "quarantine": ["lost"],
    }
    world.sink.refusals = [1, 0, 1]
    run(world.reign())
    assert world.consumer().events == undisturbed().events


def test_a_publisher_whose_lease_runs_out_during_an_outage_stops() -> None:
    world = busy_world()
    world.weather.coming = {"publish": ["lost"] * 100}
    loop = world.reign()
    with pytest.raises(LeaseLostError):
        run(loop)
    assert world.sink.published == []


def test_a_matcher_that_slept_through_its_lease_publishes_nothing_more() -> None:
    world = busy_world()
    sleeper = world.reign("sleeper")
    sleeper.step()
    world.clock.sleep(TTL_SECONDS)
    run(world.reign("heir"))
    before = list(world.sink.published)
    with pytest.raises(LeaseLostError):
        sleeper.step()
    assert world.sink.published == before
    assert world.consumer().events == undisturbed().events


def test_an_earlier_reign_cannot_move_the_pointer_of_a_later_one() -> None:
    world = busy_world()
    zombie = world.reign("zombie")
    zombie.step()
    heir = world.reign("heir")
    run(heir)
    pointer = world.leases.records[SHARD].pointer
    with pytest.raises(LeaseLostError):
        zombie.finish(is_end=False)
    assert world.leases.records[SHARD].pointer == pointer


def test_a_poison_record_pauses_its_product_and_no_other() -> None:
    world = MatcherWorld()
    world.put("ACME-USD", [order(1), order(2)])
    world.put("BETA-USD", [order(3)])
    poison = world.stream.put("ACME-USD", POISON)
    world.put("ACME-USD", [order(4)])
    world.put("BETA-USD", [order(5)])
    loop = world.reign()
    run(loop)
    events = world.consumer().events
    assert [event.order_id for event in events["ACME-USD"]] == [1, 1, 2, 2]
    assert [event.order_id for event in events["BETA-USD"]] == [3, 3, 5, 5]
    assert loop.paused == {"ACME-USD": poison.sequence_number}
    assert world.quarantine.kept[SHARD, poison.sequence_number][0] == poison


def test_a_pause_outlives_the_matcher() -> None:
    world = MatcherWorld()
    world.put("ACME-USD", [order(1)])
    poison = world.stream.put("ACME-USD", POISON)
    live_and_end(world)
    world.put("ACME-USD", [order(2)])
    heir = world.reign("b")
    run(heir)
    assert heir.paused == {"ACME-USD": poison.sequence_number}
    assert [event.order_id for event in world.consumer().events["ACME-USD"]] == [1, 1]


def test_a_record_under_a_foreign_key_is_poison_for_the_key() -> None:
    world = MatcherWorld()
    world.stream.put("BETA-USD", encode_commands("ACME-USD", [order(1)]))
    world.put("ACME-USD", [order(2)])
    loop = world.reign()
    run(loop)
    assert set(loop.paused) == {"BETA-USD"}
    assert [event.order_id for event in world.consumer().events["ACME-USD"]] == [2, 2]


def test_a_record_of_no_product_is_quarantined_and_the_rest_goes_on() -> None:
    world = MatcherWorld()
    world.put("NONE-USD", [order(1)])
    world.put("ACME-USD", [order(2)])
    loop = world.reign()
    run(loop)
    assert loop.paused == {}
    assert [reason for _, reason in world.quarantine.kept.values()] == ["NONE-USD is not a product"]
    assert world.consumer().events.keys() == {"ACME-USD"}


def test_a_product_listed_later_starts_at_the_same_record_in_every_replay() -> None:
    world = MatcherWorld()
    world.put("LATE-USD", [order(1)])
    loop = world.reign()
    run(loop)
    world.listings.catalogue["LATE-USD"] = world.listings.catalogue["ACME-USD"]
    world.put("LATE-USD", [order(2)])
    run(loop)
    first = world.consumer().events["LATE-USD"]
    run(world.reign("b"))
    assert world.consumer().events["LATE-USD"] == first
    assert {event.order_id for event in first} == {2}


def test_a_catalogue_that_changes_does_not_change_a_replay() -> None:
    world = MatcherWorld()
    world.put("ACME-USD", flow(1, 20))
    run(world.reign())
    world.snapshots.objects.clear()
    world.leases.records.clear()
    world.listings.catalogue.clear()
    run(world.reign("b"))
    assert len(world.consumer().epochs["ACME-USD"]) > 1


def test_an_unknown_version_stops_the_shard_after_what_came_before_is_published() -> None:
    world = MatcherWorld(read_limit=10)
    world.put("ACME-USD", [order(1)])
    world.stream.put("ACME-USD", FROM_THE_FUTURE)
    world.put("ACME-USD", [order(2)])
    with pytest.raises(UnknownVersionError):
        run(world.reign())
    assert [event.order_id for event in world.consumer().events["ACME-USD"]] == [1, 1]
    assert world.quarantine.kept == {}


def test_a_snapshot_under_rules_that_are_not_known_here_stops_the_shard_and_is_not_passed_over() -> None:
    world = busy_world()
    run(world.reign())
    for key, data in world.snapshots.objects.items():
        state = decode_state(data, shard_id=SHARD)
        markets = {product_id: _under_next_rules(saved) for product_id, saved in state.markets.items()}
        world.snapshots.objects[key] = encode_state(replace(state, markets=markets))
    before = list(world.sink.published)
    with pytest.raises(UnknownRulesError, match="rules version 2"):
        world.reign("b")
    assert world.sink.published == before


def _under_next_rules(data: bytes) -> bytes:
    saved = snapshot.read_payload(snapshot.checked_payload(data))
    return snapshot.seal(snapshot.write_payload(replace(saved, rules_version=2)))


def test_time_comes_from_the_stream_whoever_reads_it() -> None:
    world = MatcherWorld()
    world.put("ACME-USD", [order(1), order(2)], per_record=1)
    run(world.reign())
    times = [event.time_ns for event in world.consumer().events["ACME-USD"]]
    assert times == [r.arrival_ns for r in world.stream.records for _ in range(2)]


def test_only_the_newest_snapshots_are_kept() -> None:
    world = busy_world()
    world.pace = Pace(seconds=1e9, commands=1)
    loop = world.reign()
    run(loop)
    pointer = world.leases.records[SHARD].pointer
    assert pointer is not None
    assert set(pointer.snapshots) == set(world.snapshots.objects)
    assert len(pointer.snapshots) == 3
    assert pointer.position == loop.position


def test_without_snapshots_trading_goes_on() -> None:
    world = busy_world()
    world.weather.coming = {"snapshots": ["lost"] * 100}
    run(world.reign())
    assert world.leases.records[SHARD].pointer is None
    assert world.consumer().events == undisturbed().events


def test_the_meter_counts_what_was_published() -> None:
    world = busy_world()
    run(world.reign())
    lines = world.meter.lines(time_ms=1, seconds=10.0)
    assert [line.count('"product": "ACME-USD"') for line in lines] == [1, 0]
    assert '"Commands": 36' in lines[0]
    assert '"dimensions"' not in lines[0]
    assert world.meter.lines(time_ms=2, seconds=10.0) == []


def paused_world() -> tuple[MatcherWorld, str]:
    """A product that was stopped in the middle of its flow."""
    world = MatcherWorld()
    world.put("ACME-USD", flow(1, 6))
    poison = world.stream.put("ACME-USD", POISON)
    world.put("ACME-USD", flow(2, 8, first=50))
    world.put("BETA-USD", flow(3, 6, first=500))
    world.put("ACME-USD", flow(4, 6, first=90))
    return world, poison.sequence_number


def without_poison() -> Consumer:
    """What is said when the poison was never there."""
    world, poison = paused_world()
    world.stream.records = [r for r in world.stream.records if r.sequence_number != poison]
    run(world.reign())
    return world.consumer()


def go_on(world: MatcherWorld, loop: ShardLoop, poison: str) -> bool:
    """Release the product."""
    reader = FakeReader(world.stream, str(int(poison) - 1), weather=world.weather, bomb=world.bomb)
    return loop.go_on("ACME-USD", reader)


def test_a_released_product_goes_on_as_if_the_poison_had_not_been() -> None:
    world, poison = paused_world()
    loop = world.reign()
    run(loop)
    assert go_on(world, loop, poison)
    assert loop.paused == {}
    assert world.consumer().events == without_poison().events


def test_killed_anywhere_around_a_release_nothing_is_lost() -> None:
    for from_snapshot in (True, False):
        for killed_at in range(200):
            world, poison = paused_world()
            world.bomb = Bomb(goes_off_at=killed_at)
            try:
                loop = world.reign()
                run(loop)
                go_on(world, loop, poison)
                loop.finish(is_end=False)
            except Killed:
                pass
            else:
                break
            world.bomb = Bomb()
            if not from_snapshot:
                world.snapshots.objects.clear()
            heir = world.reign("b")
            run(heir)
            if heir.paused:
                assert go_on(world, heir, poison)
            assert world.consumer().events == without_poison().events
        assert killed_at > 20


def test_a_second_poison_pauses_the_product_again() -> None:
    world, poison = paused_world()
    second = world.stream.put("ACME-USD", POISON)
    world.put("ACME-USD", flow(5, 4, first=120))
    loop = world.reign()
    run(loop)
    assert go_on(world, loop, poison)
    assert loop.paused == {"ACME-USD": second.sequence_number}
    assert go_on(world, loop, second.sequence_number)
    assert loop.paused == {}
    assert {e.order_id for e in world.consumer().events["ACME-USD"]} >= {1, 120}


def test_a_pause_whose_record_the_stream_has_lost_does_not_end() -> None:
    world, poison = paused_world()
    loop = world.reign()
    run(loop)
    before = list(world.sink.published)
    world.stream.trimmed = 5
    assert not go_on(world, loop, poison)
    assert loop.paused == {"ACME-USD": poison}
    assert world.sink.published == before


def test_a_new_reign_starts_at_the_newest_snapshot() -> None:
    world = busy_world()
    loop = live_and_end(world)
    assert world.reign("b").position == loop.position
    assert world.reign("c").sequences == loop.sequences


def test_a_matcher_without_orders_notices_too_that_its_lease_is_lost() -> None:
    world = MatcherWorld()
    loop = world.reign()
    world.clock.sleep(TTL_SECONDS)
    with pytest.raises(LeaseLostError):
        loop.step()
