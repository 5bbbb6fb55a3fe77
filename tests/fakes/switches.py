"""The dead man's switches in memory: their table, and a queue whose messages come back when the clock says so."""

from dataclasses import dataclass, field, replace

from exchange.kernel.errors import OutcomeUnknownError
from exchange.trading.switch import Switch

SECOND_NS = 1_000_000_000


@dataclass
class FakeSwitches:
    """The table. `writes` counts the writes, refused ones too."""

    rows: dict[int, Switch] = field(default_factory=dict)
    writes: int = 0

    def switch(self, account_id: int) -> Switch:
        """An account's switch."""
        return self.rows.get(account_id, Switch(account_id))

    def turn_off(self, account_id: int) -> None:
        """Set no deadline."""
        self.writes += 1
        self.rows[account_id] = replace(self.switch(account_id), deadline_ns=0)

    def move(self, account_id: int, deadline_ns: int, *, due_after_ns: int) -> bool:
        """Move the deadline if a message is under way that rings after a time and not after the deadline."""
        self.writes += 1
        known = self.switch(account_id)
        if not due_after_ns < known.due_ns <= deadline_ns:
            return False
        self.rows[account_id] = replace(known, deadline_ns=deadline_ns)
        return True

    def replace(self, before: Switch, after: Switch) -> bool:
        """Write a switch over what was read."""
        self.writes += 1
        if self.switch(before.account_id) != before:
            return False
        self.rows[before.account_id] = after
        return True


@dataclass
class FakeClock:
    """Time that stands still until it is moved."""

    time_ns: int = 1_700_000_000 * SECOND_NS

    def now_ns(self) -> int:
        """Nanoseconds since 1970."""
        return self.time_ns


@dataclass
class FakeBells:
    """The queue: messages as (when, account, generation). `failing`: "", or "before" or "after" a message is in it."""

    clock: FakeClock
    messages: list[tuple[int, int, int]] = field(default_factory=list)
    failing: str = ""

    def ring_in(self, account_id: int, generation: int, delay_seconds: int) -> None:
        """Queue a message."""
        if self.failing != "before":
            self.messages.append((self.clock.time_ns + delay_seconds * SECOND_NS, account_id, generation))
        if self.failing:
            raise OutcomeUnknownError("the queue did not answer")

    def due(self) -> list[tuple[int, int, int]]:
        """Take the messages whose time has come."""
        found = [message for message in self.messages if message[0] <= self.clock.time_ns]
        self.messages = [message for message in self.messages if message[0] > self.clock.time_ns]
        return found
