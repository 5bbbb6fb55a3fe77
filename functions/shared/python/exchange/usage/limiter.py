"""Takes from shared budgets without asking for each request: a process leases some, and spends them by itself.

One conditional write takes a lease. What a process was given it must spend within LEASE_NS, so however many processes
there are, no more than what that time brings is ever taken beyond the budget. A process that refuses knows when there
will be room again and asks nobody until then.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from exchange.kernel.clock import Clock
from exchange.kernel.errors import UnavailableError
from exchange.usage.model import SECOND_NS, Budget

LEASE_NS = SECOND_NS
LEASES_MAX = 4_096
ATTEMPTS_MAX = 4
# A process that is alone with a budget takes this part of it at once, and never more than that part.
SHARE_MIN, SHARE_MAX = 10, 4


@dataclass(frozen=True, slots=True)
class Reading:
    """What a write found: whether it was made, and when each bucket is full again."""

    written: bool
    full_at_ns: Mapping[str, int]


class Buckets(Protocol):
    """Where budgets are shared."""

    def take(self, budget: Budget, amount: int, *, now_ns: int, idle: frozenset[str]) -> Reading:
        """Take from every bucket or from none. `idle` names those thought to be full; a wrong thought takes nothing.

        Raises:   UnavailableError.
        """
        ...


@dataclass(slots=True)
class Lease:
    """What a process knows of a budget and has left of its last lease."""

    tokens: int = 0
    ends_at_ns: int = 0
    full_at_ns: Mapping[str, int] = field(default_factory=dict)
    alone: bool = True  # whether nobody else seems to take from it
    counted_from_ns: int = 0
    spent: int = 0  # since then


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a request may go on, and what is left."""

    admitted: bool
    left: int
    wait_ns: int = 0  # until the same can be asked again


class Limiter:
    """The budgets that this process has lately taken from."""

    def __init__(self, buckets: Buckets, clock: Clock) -> None:
        self._buckets = buckets
        self._clock = clock
        self._leases: dict[tuple[str, str], Lease] = {}

    def admit(self, budget: Budget, amount: int = 1) -> Admission:
        """Take `amount`, at most the whole burst, from a budget.

        Raises:   UnavailableError, where the budget can't be asked or others are always quicker, though it has room.
        """
        now_ns = self._clock.now_ns()
        amount = min(amount, budget.burst)
        lease = self._lease(budget)
        if now_ns >= lease.ends_at_ns:
            lease.tokens = 0
        if lease.tokens < amount:
            self._renew(lease, budget, amount - lease.tokens, now_ns)
        return self._spend(lease, budget, amount, now_ns)

    def _lease(self, budget: Budget) -> Lease:
        # A customer's keys have a lease each, though they take from one item.
        name = (budget.owner, budget.parts[0].name)
        lease = self._leases.pop(name, None) or Lease()
        while len(self._leases) >= LEASES_MAX:
            del self._leases[next(iter(self._leases))]
        self._leases[name] = lease
        return lease

    def _spend(self, lease: Lease, budget: Budget, amount: int, now_ns: int) -> Admission:
        left = budget.left(lease.full_at_ns, now_ns)
        if lease.tokens < amount:
            wait_ns = budget.wait_ns(lease.full_at_ns, now_ns, amount - lease.tokens)
            return Admission(admitted=False, left=min(budget.burst, left + lease.tokens), wait_ns=max(1, wait_ns))
        lease.tokens -= amount
        lease.spent += amount
        # Of what was leased some may have been refilled since.
        return Admission(admitted=True, left=min(budget.burst, left + lease.tokens))

    def _renew(self, lease: Lease, budget: Budget, needed: int, now_ns: int) -> None:
        """Lease what is needed and, where there is room, what will likely be needed soon. Raises UnavailableError."""
        wanted = max(needed, self._wanted(lease, budget, now_ns))
        idle = self._thought_idle(lease, budget, now_ns)
        known = lease.full_at_ns
        for _ in range(ATTEMPTS_MAX):
            # Others only take more, so what was too little when last seen, and not yet refilled, still is.
            if budget.left(lease.full_at_ns, now_ns) < needed:
                return
            amount = min(wanted, budget.left(lease.full_at_ns, now_ns))
            found = self._buckets.take(budget, amount, now_ns=now_ns, idle=idle)
            if found.written:
                lease.alone = found.full_at_ns == _expected(known, budget, amount, now_ns)
                lease.tokens += amount
                lease.ends_at_ns = now_ns + LEASE_NS
            lease.full_at_ns = found.full_at_ns
            if found.written:
                return
            idle = frozenset(part.name for part in budget.parts if found.full_at_ns.get(part.name, 0) <= now_ns)
        # Others wrote between each look and its write. There is room, so nobody is told that there is none.
        if budget.left(lease.full_at_ns, now_ns) >= needed:
            raise UnavailableError(f"{budget.owner}: lost {ATTEMPTS_MAX} writes to others, though there is room")

    def _wanted(self, lease: Lease, budget: Budget, now_ns: int) -> int:
        """As many as were spent since the last look, while that was lately; more where nobody else wants them."""
        lately = now_ns - lease.counted_from_ns <= 2 * LEASE_NS
        soon = lease.spent if lately else 0
        lease.counted_from_ns, lease.spent = now_ns, 0
        if lease.alone:
            soon = max(soon, budget.burst // SHARE_MIN)
        return min(soon, budget.burst // SHARE_MAX)

    def _thought_idle(self, lease: Lease, budget: Budget, now_ns: int) -> frozenset[str]:
        """Buckets to treat as full: those last seen so, unless others have lately been found at them."""
        return frozenset(
            part.name
            for part in budget.parts
            if lease.full_at_ns.get(part.name, 0) <= now_ns and (lease.alone or part.name not in lease.full_at_ns)
        )


def _expected(known: Mapping[str, int], budget: Budget, amount: int, now_ns: int) -> Mapping[str, int]:
    """Where the buckets stand if nobody but us has taken."""
    return {part.name: max(now_ns, known.get(part.name, 0)) + amount * part.policy.interval_ns for part in budget.parts}
