"""The dead man's switch: it fires when its owner is silent, and only then."""

from contextlib import suppress

import pytest
from exchange.kernel.errors import OutageError
from exchange.trading.switch import DELAY_SECONDS_MAX, LATE_NS, Watch, cancel_after, ring
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.switches import SECOND_NS, FakeBells, FakeClock, FakeSwitches


class World:
    """One switch table, one queue, and the cancels that came of them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.switches, self.bells = FakeSwitches(), FakeBells(self.clock)
        self.watch = Watch(self.switches, self.bells, self.clock)
        self.cancels: list[int] = []

    def set(self, seconds: int) -> int:
        """What the owner says; the deadline."""
        return cancel_after(self.watch, 1, seconds)

    def pass_time(self, seconds: int, *, copies: int = 1) -> None:
        """Let time pass second by second, and every message ring when it is due."""
        for _ in range(seconds):
            self.clock.time_ns += SECOND_NS
            for _when, account_id, generation in self.bells.due() * copies:
                ring(self.watch, account_id, generation, cancel_all=lambda _: self.cancels.append(self.clock.time_ns))


@pytest.fixture
def world() -> World:
    """Nobody has said anything yet."""
    return World()


def test_it_fires_once_when_its_owner_is_silent(world: World) -> None:
    deadline_ns = world.set(60)
    world.pass_time(59)
    assert world.cancels == []
    world.pass_time(3_600)
    assert world.cancels == [deadline_ns]


def test_a_word_in_time_is_one_write_and_no_message(world: World) -> None:
    world.set(60)
    for _ in range(20):
        world.pass_time(15)
        writes, messages = world.switches.writes, len(world.bells.messages)
        world.set(60)
        assert (world.switches.writes - writes, len(world.bells.messages) - messages) == (1, 0)
    assert world.cancels == []
    world.pass_time(61)
    assert len(world.cancels) == 1


def test_zero_turns_it_off_and_another_word_on_again(world: World) -> None:
    world.set(30)
    assert world.set(0) == 0
    world.pass_time(3_600)
    assert world.cancels == []
    deadline_ns = world.set(30)
    world.pass_time(60)
    assert world.cancels == [deadline_ns]


def test_a_deadline_farther_than_a_queue_delays_is_reached_in_steps(world: World) -> None:
    deadline_ns = world.set(3 * DELAY_SECONDS_MAX + 7)
    world.pass_time(4 * DELAY_SECONDS_MAX)
    assert world.cancels == [deadline_ns]


def test_a_deadline_that_is_moved_nearer_rings_nearer(world: World) -> None:
    world.set(600)
    deadline_ns = world.set(5)
    world.pass_time(700)
    assert world.cancels == [deadline_ns]


def test_a_message_that_rings_twice_cancels_once(world: World) -> None:
    world.set(DELAY_SECONDS_MAX + 60)
    world.pass_time(2 * DELAY_SECONDS_MAX, copies=2)
    assert len(world.cancels) == 1


def test_a_message_of_an_older_generation_does_nothing(world: World) -> None:
    world.set(600)
    old = world.switches.switch(1).generation
    world.set(5)
    world.clock.time_ns += 5 * SECOND_NS
    assert not ring(world.watch, 1, old, cancel_all=lambda _: world.cancels.append(0))
    assert world.cancels == []


def test_a_lost_message_is_replaced_with_the_next_word(world: World) -> None:
    world.set(60)
    world.bells.messages.clear()
    world.clock.time_ns += 60 * SECOND_NS + LATE_NS
    world.set(60)
    world.pass_time(60)
    assert len(world.cancels) == 1


def test_cancels_that_an_outage_met_are_tried_again(world: World) -> None:
    world.set(5)
    world.clock.time_ns += 5 * SECOND_NS
    [(_, account_id, generation)] = world.bells.due()

    def fail(_account_id: int) -> None:
        raise OutageError("the stream is away")

    with pytest.raises(OutageError):
        ring(world.watch, account_id, generation, cancel_all=fail)
    assert ring(world.watch, account_id, generation, cancel_all=world.cancels.append)
    assert world.cancels == [1]


words = st.tuples(
    st.just("say"), st.sampled_from([0, 1, 5, 30, 60, 950, 2_000]), st.sampled_from(["", "", "", "before", "after"])
)
waits = st.tuples(st.just("wait"), st.integers(1, 1_000), st.just(""))


@settings(deadline=None)
@given(steps=st.lists(st.one_of(words, waits), max_size=14), copies=st.integers(1, 2))
def test_the_last_word_that_was_answered_decides(steps: list[tuple[str, int, str]], copies: int) -> None:
    """An unanswered word may count or not; but it never voids an earlier promise without one of its own."""
    world = World()
    promised, possible = 0, 0
    for kind, seconds, failing in steps:
        if kind == "wait":
            before = len(world.cancels)
            started_ns = world.clock.time_ns
            world.pass_time(seconds, copies=copies)
            ended_ns = world.clock.time_ns
            if promised and ended_ns >= max(promised, possible) > 0:
                assert len(world.cancels) > before or max(promised, possible) <= started_ns
                promised = possible = 0
            elif not promised and not possible:
                assert len(world.cancels) == before
            continue
        world.bells.failing = failing
        with suppress(OutageError):
            possible = max(possible, world.clock.time_ns + seconds * SECOND_NS) if seconds else possible
            promised = world.set(seconds)
            possible = 0
        world.bells.failing = ""
