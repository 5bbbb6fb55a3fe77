"""Shared budgets in memory, with every write counted as DynamoDB would charge for it."""

from dataclasses import dataclass, field

from exchange.usage.limiter import Reading
from exchange.usage.model import Budget


@dataclass
class FakeBuckets:
    """The rules of the table's conditional write, in plain Python."""

    items: dict[str, dict[str, int]] = field(default_factory=dict)
    writes: int = 0  # refused ones too: they cost the same

    def take(self, budget: Budget, amount: int, *, now_ns: int, idle: frozenset[str]) -> Reading:
        """Take from every bucket or from none."""
        self.writes += 1
        item = self.items.get(budget.owner, {})
        after = dict(item)
        for part in budget.parts:
            full_at_ns, cost_ns = item.get(part.name), amount * part.policy.interval_ns
            if part.name in idle:
                allowed = full_at_ns is None or full_at_ns <= now_ns
                after[part.name] = now_ns + cost_ns
            else:
                latest = now_ns + part.policy.burst * part.policy.interval_ns - cost_ns
                allowed = full_at_ns is not None and now_ns < full_at_ns <= latest
                after[part.name] = (full_at_ns or 0) + cost_ns
            if not allowed:
                return Reading(written=False, full_at_ns=_parts(budget, item))
        self.items[budget.owner] = after
        return Reading(written=True, full_at_ns=_parts(budget, after))


def _parts(budget: Budget, item: dict[str, int]) -> dict[str, int]:
    return {part.name: item[part.name] for part in budget.parts if part.name in item}
