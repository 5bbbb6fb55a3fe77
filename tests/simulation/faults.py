"""Which faults a run has, how often each, and how often each came.

Every seed draws its own rates, none at all among them: a run with one fault only finds what ten at once would cover up.
"""

import random
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Fault(StrEnum):
    """What can go wrong."""

    CRASH_BEFORE = "crash before a call"
    CRASH_AFTER = "crash after a call was sent"
    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost"
    ANSWER_LOST_FOR_GOOD = "answer lost at every try"
    THROTTLED = "throttled"
    THROTTLED_FOR_A_WHILE = "one operation throttled for a while"
    OUTAGE = "a service away for a while"
    CONFLICT = "transaction conflict"
    PLAIN_CONFLICT = "conflict of a plain write"
    RECORDS_REFUSED = "part of PutRecords refused"
    INDEX_BEHIND = "index behind its table"
    FROZEN = "function frozen beyond the token's life"
    DOUBLE_INVOCATION = "function run twice at once"
    DOUBLE_DELIVERY = "batch delivered again"
    CLIENT_GIVES_UP = "client gave up waiting"
    CLIENT_REPEATS = "client sent it twice at once"
    MATCHER_KILLED = "matcher killed"
    MATCHER_PAUSED = "matcher stopped beyond its lease"
    CLOCK_WRONG = "clock wrong by up to an hour"
    SNAPSHOT_CUT = "snapshot cut short"
    SNAPSHOT_CHANGED = "snapshot with a changed byte"
    SNAPSHOT_GONE = "snapshot gone"
    SHARD_SPLIT = "orders shard split"
    KILLED_AT_SPLIT = "matchers killed as their shard is split"
    EXECUTIONS_SPLIT = "executions shard split"
    RELEASE_CHANGED = "matcher replaced by another release"
    RULES_SWITCHED = "rules switched before everybody knows them"
    OLD_RELEASE_STOPPED = "old release met rules it does not know"
    RELEASE_TAKEN_BACK = "release taken back behind a switch"
    OLD_RELEASE_AT_SNAPSHOT = "old release met a snapshot under rules it does not know"
    ITERATOR_EXPIRED = "iterator expired"
    TASK_TWICE = "state machine's task run twice"
    TASK_FAILED = "state machine's task failed after its effect"
    INSTRUCTION_TWICE = "bank read an instruction twice"
    NOTIFICATION_LOST = "bank's notification lost"
    NOTIFICATION_TWICE = "bank's notification twice"
    SWEEPER_EAGER = "sweeper run at once and again"


# Rates for each fault where it comes at all: per call, per invocation, per look of the nemesis, as befits it. What only
# follows from others (OLD_RELEASE_STOPPED, OLD_RELEASE_AT_SNAPSHOT) has none. A new one goes to the end: it leaves the
# rates of the others as they were.
RATES: Final[Mapping[Fault, tuple[float, ...]]] = {
    Fault.CRASH_BEFORE: (0.003, 0.02),
    Fault.CRASH_AFTER: (0.003, 0.02),
    Fault.REQUEST_LOST: (0.01, 0.1),
    Fault.ANSWER_LOST: (0.01, 0.1),
    Fault.ANSWER_LOST_FOR_GOOD: (0.005, 0.05),
    Fault.THROTTLED: (0.01, 0.15),
    Fault.OUTAGE: (0.03, 0.1),
    Fault.CONFLICT: (0.02, 0.2),
    Fault.PLAIN_CONFLICT: (0.02, 0.1),
    Fault.RECORDS_REFUSED: (0.05, 0.3),
    Fault.INDEX_BEHIND: (0.2, 0.8),
    Fault.FROZEN: (0.01, 0.05),
    Fault.DOUBLE_INVOCATION: (0.05, 0.2),
    Fault.DOUBLE_DELIVERY: (0.05, 0.3),
    Fault.CLIENT_GIVES_UP: (0.05, 0.2),
    Fault.CLIENT_REPEATS: (0.05, 0.3),
    Fault.MATCHER_KILLED: (0.03, 0.12),
    Fault.MATCHER_PAUSED: (0.03, 0.1),
    Fault.CLOCK_WRONG: (0.2, 0.6),
    Fault.SNAPSHOT_CUT: (0.05, 0.2),
    Fault.SNAPSHOT_CHANGED: (0.05, 0.2),
    Fault.SNAPSHOT_GONE: (0.05, 0.2),
    Fault.SHARD_SPLIT: (0.02, 0.06),
    Fault.EXECUTIONS_SPLIT: (0.02, 0.06),
    Fault.RELEASE_CHANGED: (0.03, 0.1),
    Fault.ITERATOR_EXPIRED: (0.005, 0.02),
    Fault.TASK_TWICE: (0.1, 0.3),
    Fault.TASK_FAILED: (0.1, 0.3),
    Fault.INSTRUCTION_TWICE: (0.1, 0.4),
    Fault.NOTIFICATION_LOST: (0.1, 0.4),
    Fault.NOTIFICATION_TWICE: (0.1, 0.4),
    Fault.SWEEPER_EAGER: (0.2, 0.5),
    Fault.THROTTLED_FOR_A_WHILE: (0.05, 0.2),
    Fault.KILLED_AT_SPLIT: (0.3, 0.8),
    Fault.RULES_SWITCHED: (0.02, 0.1),
    Fault.RELEASE_TAKEN_BACK: (0.1, 0.5),
}
SHARE_PRESENT: Final = 0.35  # of the faults, in a run that has any


@dataclass
class Faults:
    """The rates of one run and what came of them."""

    rng: random.Random
    rates: dict[Fault, float]
    fired: Counter[Fault] = field(default_factory=Counter)

    @classmethod
    def drawn(cls, seed: int, *, without: Collection[Fault] = ()) -> "Faults":
        """The faults of a seed. Leaving some out changes none of the others."""
        draw = random.Random(f"{seed}/rates")
        share = draw.choice((0.0, SHARE_PRESENT / 3, SHARE_PRESENT, SHARE_PRESENT, 2 * SHARE_PRESENT))
        rates = {}
        for fault, choices in RATES.items():
            is_present, rate = draw.random() < share, draw.choice(choices)
            if is_present and fault not in without:
                rates[fault] = rate
        return cls(random.Random(f"{seed}/faults"), rates)

    def hits(self, fault: Fault) -> bool:
        """Whether it comes now."""
        rate = self.rates.get(fault)
        if not rate or self.rng.random() >= rate:
            return False
        self.fired[fault] += 1
        return True

    def end(self) -> None:
        """From now on nothing goes wrong."""
        self.rates.clear()
