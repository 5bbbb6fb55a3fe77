"""What a process remembers, it forgets in time and in number."""

from exchange.kernel.recent import Recent

from tests.fakes.users import StoppedClock


def recent(clock: StoppedClock) -> Recent[str, int]:
    return Recent(clock, age_max_ns=300 * 10**9, entries_max=2)


def test_a_value_serves_until_its_age_is_over() -> None:
    clock = StoppedClock()
    memory = recent(clock)
    memory.put("a", 1)
    clock.advance(299)
    assert memory.get("a") == 1
    clock.advance(1)
    assert memory.get("a") is None


def test_a_clock_that_is_set_back_does_not_lengthen_a_life() -> None:
    clock = StoppedClock()
    memory = recent(clock)
    memory.put("a", 1)
    clock.advance(-1)
    assert memory.get("a") is None


def test_the_oldest_leaves_when_there_is_no_room() -> None:
    memory = recent(StoppedClock())
    memory.put("a", 1)
    memory.put("b", 2)
    memory.put("a", 3)
    memory.put("c", 4)
    assert (memory.get("a"), memory.get("b"), memory.get("c")) == (3, None, 4)
