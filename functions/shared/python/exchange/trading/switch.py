"""The dead man's switch: all of an account's orders are canceled unless its owner says in time that all is well.

A message in a queue with a delay rings when the deadline comes, though the client is gone. At most one message of an
account counts at a time, by its generation; one that rings early, because the deadline was moved meanwhile or lies
farther ahead than a queue can delay, is sent on. So moving a deadline farther is one write and no message.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from exchange.kernel.clock import Clock
from exchange.kernel.errors import OutageError, UnavailableError

SECONDS_MAX = 86_400
DELAY_SECONDS_MAX = 900
# A message this late is taken for lost, and a new one is sent with the next word of the owner.
LATE_NS = 60_000_000_000
# A message due later than this from now is still to come, so one that rings now is its copy.
COPY_NS = 2_000_000_000
_TRIES_MAX = 5
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Switch:
    """One account's switch. `deadline_ns` 0: off. `due_ns` is when the message of this generation rings; 0: none."""

    account_id: int
    deadline_ns: int = 0
    generation: int = 0
    due_ns: int = 0


class Switches(Protocol):
    """Where switches are kept. Each raises OutageError."""

    def switch(self, account_id: int) -> Switch:
        """An account's switch, read consistently; one that is off where there is none."""
        ...

    def turn_off(self, account_id: int) -> None:
        """Set no deadline."""
        ...

    def move(self, account_id: int, deadline_ns: int, *, due_after_ns: int) -> bool:
        """Move the deadline if a message is under way that rings after a time and not after the deadline."""
        ...

    def replace(self, before: Switch, after: Switch) -> bool:
        """Write a switch over what was read; False where it has changed."""
        ...


class Bells(Protocol):
    """The queue."""

    def ring_in(self, account_id: int, generation: int, delay_seconds: int) -> None:
        """Queue a message that comes back after a delay. Raises OutageError."""
        ...


@dataclass(frozen=True, slots=True)
class Watch:
    """What the switch needs of the outside."""

    switches: Switches
    bells: Bells
    clock: Clock


def cancel_after(watch: Watch, account_id: int, seconds: int) -> int:
    """Set an account's deadline this many seconds ahead, or none; returns the deadline in nanoseconds (0: off).

    Raises:   OutageError: the deadline before may hold, or this one; say it again.
    """
    if not seconds:
        watch.switches.turn_off(account_id)
        return 0
    now_ns = watch.clock.now_ns()
    deadline_ns = now_ns + seconds * _SECOND_NS
    for _ in range(_TRIES_MAX):
        if watch.switches.move(account_id, deadline_ns, due_after_ns=now_ns - LATE_NS):
            return deadline_ns
        if _arm(watch, watch.switches.switch(account_id), deadline_ns):
            return deadline_ns
    raise UnavailableError("the switch is being set by others")


def _arm(watch: Watch, before: Switch, deadline_ns: int) -> bool:
    """Set the deadline with a message of its own; older messages count no more. False: try again.

    First the message, then the word of it: until that is written the deadline before holds, and nothing was promised.
    """
    due_ns, delay = _next_ring(watch.clock.now_ns(), deadline_ns)
    armed = Switch(before.account_id, deadline_ns, before.generation + 1, due_ns)
    watch.bells.ring_in(armed.account_id, armed.generation, delay)
    # Written too late, the message may have come and gone unknown.
    return watch.switches.replace(before, armed) and watch.clock.now_ns() < due_ns


def ring(watch: Watch, account_id: int, generation: int, *, cancel_all: Callable[[int], object]) -> bool:
    """A message has come back: cancel if the deadline has passed, send it on if not; whether it canceled.

    A message of another generation, or a copy of one that was sent on, does nothing.
    Raises:   OutageError: let the message come again.
    """
    for _ in range(_TRIES_MAX):
        switch, now_ns = watch.switches.switch(account_id), watch.clock.now_ns()
        if switch.generation != generation or switch.due_ns > now_ns + COPY_NS:
            return False
        is_over = 0 < switch.deadline_ns <= now_ns
        if is_over:
            cancel_all(account_id)
        if switch.deadline_ns and not is_over:
            due_ns, delay = _next_ring(now_ns, switch.deadline_ns)
            # A crash between message and word makes a copy, never a gap.
            watch.bells.ring_in(account_id, generation, delay)
            sent_on = Switch(account_id, switch.deadline_ns, generation, due_ns)
            if watch.switches.replace(switch, sent_on):
                return False
        elif watch.switches.replace(switch, Switch(account_id, 0, generation)):
            return is_over
    raise OutageError("the switch is being set while it rings")


def _next_ring(now_ns: int, deadline_ns: int) -> tuple[int, int]:
    """When a message sent now for a deadline rings, and its delay in seconds."""
    seconds = min(DELAY_SECONDS_MAX, max(0, -(-(deadline_ns - now_ns) // _SECOND_NS)))
    return min(deadline_ns, now_ns + seconds * _SECOND_NS), seconds
