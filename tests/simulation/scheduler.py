"""Virtual time: one heap of who goes on when, and every process a set of greenlets that give way at each call outside.

Nothing here runs beside anything else, so a seed says all: the same draws, the same order, the same end. A process that
is killed is never resumed, not even for its `finally`; what it had asked of a service happens all the same.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from typing import Any, Final

from greenlet import GreenletExit, getcurrent, greenlet

START_NS: Final = 1_700_000_000_000_000_000
SECOND_NS: Final = 1_000_000_000


class Killed(GreenletExit):
    """The process is gone; nothing of it runs any more."""


class Process:
    """One program on one machine: alive or not, perhaps stopped for a while, with a clock that may be wrong."""

    def __init__(self, name: str, scheduler: Scheduler, *, skew_ns: int = 0) -> None:
        self.name = name
        self.alive = True
        self.paused_until = 0
        self.skew_ns = skew_ns
        self.calls_per_crash = 1
        self.mortal = True
        self.is_function = False
        self.waited_for: list[Strand] = []
        self._scheduler = scheduler

    def now_ns(self) -> int:
        """The time by its own clock."""
        return self._scheduler.now_ns + self.skew_ns

    def monotonic(self) -> float:
        """Seconds that have passed, which no clock can get wrong."""
        return (self._scheduler.now_ns - START_NS) / SECOND_NS

    def kill(self) -> None:
        """End it where it stands."""
        self.alive = False
        for strand in self.waited_for:
            strand.wake_waiter()

    def pause(self, seconds: float) -> None:
        """Stop it; what it waits for may long have come when it goes on."""
        self.paused_until = self._scheduler.now_ns + int(seconds * SECOND_NS)


class Strand(greenlet):
    """A line of work within a process."""

    process: Process
    scheduler: Scheduler
    failure: BaseException | None = None
    result: Any = None
    ended = False
    ticket = 0  # what is on the heap under an older one is no longer waited for
    waiter: Strand | None = None

    def wake_waiter(self) -> None:
        """Let whoever waits for the end of this go on."""
        if self.waiter is not None:
            self.scheduler.wake(self.waiter)


class Scheduler:
    """The heap of what comes next."""

    def __init__(self) -> None:
        self.now_ns = START_NS
        self.steps = 0
        self.defects: list[tuple[str, BaseException]] = []
        self._heap: list[tuple[int, int, Strand | Callable[[], object], int]] = []
        self._ties = 0
        self._strands: list[Strand] = []
        self._trace = hashlib.blake2b(digest_size=16)
        self.tracing = False
        self._hub = getcurrent()

    @property
    def trace_hash(self) -> str:
        """What happened, in one word: equal for equal runs."""
        return self._trace.hexdigest()

    def note(self, *what: object) -> None:
        """Put something that happened into the trace."""
        if self.tracing:
            self._trace.update(repr((self.now_ns, *what)).encode())

    def spawn(self, process: Process, work: Callable[[], Any], *, delay: float = 0.0) -> Strand:
        """Let a process begin some work. What it returns or raises is on the strand when it has ended."""

        def run() -> None:
            try:
                strand.result = work()
            except Killed:
                pass
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits for it
                strand.failure = error
            strand.ended = True
            strand.wake_waiter()

        strand = Strand(run, self._hub)
        strand.process, strand.scheduler = process, self
        self._strands.append(strand)
        self._push(delay, strand)
        return strand

    def at(self, delay: float, callback: Callable[[], object]) -> None:
        """Call something later; it belongs to no process and can't be killed."""
        self._push(delay, callback)

    def sleep(self, seconds: float) -> None:
        """Give way. Raises Killed in a process that is gone."""
        strand = getcurrent()
        if not isinstance(strand, Strand):
            return
        if not strand.process.alive:
            raise Killed
        self._push(seconds, strand)
        self._give_way()
        if not strand.process.alive:
            raise Killed

    def wait(self, strand: Strand, *, seconds: float) -> bool:
        """Wait until some work has ended, its process has died, or the time is over; whether it ended."""
        if not strand.ended and strand.process.alive:
            current = getcurrent()
            assert isinstance(current, Strand)
            strand.waiter = current
            strand.process.waited_for.append(strand)
            self.sleep(seconds)
            strand.waiter = None
        return strand.ended

    def wake(self, strand: Strand) -> None:
        """Let a strand go on now, whatever it waits for."""
        self._push(0.0, strand)

    def die(self) -> None:
        """Kill the process that asks for it."""
        strand = getcurrent()
        assert isinstance(strand, Strand)
        strand.process.kill()
        self._give_way()

    def run(self, until: Callable[[], bool]) -> None:
        """Go on until something is so, asked after every step, or until nothing is left to do."""
        heap = self._heap
        while heap and not until():
            at, _, what, ticket = heapq.heappop(heap)
            if not isinstance(what, Strand):
                self.now_ns = at
                what()
                continue
            process = what.process
            if ticket != what.ticket or not process.alive or what.dead:
                continue
            self.now_ns = at
            if process.paused_until > at:
                self._ties += 1
                heapq.heappush(heap, (process.paused_until, self._ties, what, ticket))
                continue
            self.steps += 1
            what.ticket += 1
            what.switch()

    def run_for(self, seconds: float) -> None:
        """Go on for a while."""
        end = self.now_ns + int(seconds * SECOND_NS)
        self.at(seconds, lambda: None)
        self.run(lambda: self.now_ns >= end)

    def end(self) -> None:
        """Let go of every strand that has not ended."""
        self._heap.clear()
        for strand in self._strands:
            strand.process.alive = False
            if not strand.dead:
                strand.throw(Killed)

    def _push(self, delay: float, what: Strand | Callable[[], object]) -> None:
        self._ties += 1
        ticket = what.ticket if isinstance(what, Strand) else 0
        heapq.heappush(self._heap, (self.now_ns + int(delay * SECOND_NS), self._ties, what, ticket))

    def _give_way(self) -> None:
        self._hub.switch()


class VirtualEvent:
    """What `threading.Event` is to a thread."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._is_set = False

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._is_set

    def set(self) -> None:
        """Set it."""
        self._is_set = True

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for it so long at most; looks again now and then."""
        left = 3600.0 if seconds is None else seconds
        while not self._is_set and left > 0:
            step = min(left, 1.0)
            self._scheduler.sleep(step)
            left -= step
        if not seconds:
            self._scheduler.sleep(0.0)
        return self._is_set
