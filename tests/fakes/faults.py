"""Which request meets which fault: by seed, caller and operation, the same however processes interleave."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any


class Fault(StrEnum):
    """What may happen to a request."""

    THROTTLED = "throttled"  # refused, without effect
    FAILED = "failed"  # the service's own error, without effect
    LATE = "late"  # carried out, after a while
    LOST = "lost"  # carried out, and the connection ends before the answer
    BROKEN = "broken"  # carried out, and answered with the service's own error


@dataclass(frozen=True, slots=True)
class Rule:
    """Of the requests of these callers for this operation, the parts that meet each fault. A `*` at an end is any."""

    callers: str
    operation: str
    parts: Mapping[Fault, float]

    def covers(self, caller: str, operation: str) -> bool:
        """Whether a request is meant."""
        return _matches(self.callers, caller) and _matches(self.operation, operation)


def _matches(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


@dataclass(slots=True)
class Plan:
    """Decides, and counts what it decided."""

    seed: int
    rules: Sequence[Rule]
    fired: Counter[str] = field(default_factory=Counter)
    _seen: Counter[tuple[str, str]] = field(default_factory=Counter)

    def fault(self, caller: str, operation: str) -> Fault | None:
        """What the next request of this caller for this operation meets; the first rule that covers it decides."""
        rule = next((rule for rule in self.rules if rule.covers(caller, operation)), None)
        if rule is None:
            return None
        number = self._seen[caller, operation]
        self._seen[caller, operation] += 1
        drawn = Random(f"{self.seed}/{caller}/{operation}/{number}").random()
        for fault, part in rule.parts.items():
            if drawn < part:
                self.fired[f"{fault} {operation}"] += 1
                return fault
            drawn -= part
        return None


def dumped(seed: int, rules: Sequence[Rule]) -> bytes:
    """A plan as the cloud's process takes it."""
    return json.dumps(
        {"seed": seed, "rules": [[rule.callers, rule.operation, dict(rule.parts)] for rule in rules]}
    ).encode()


def loaded(text: bytes) -> Plan:
    """A plan as it was dumped."""
    found: dict[str, Any] = json.loads(text)
    rules = [
        Rule(callers, operation, {Fault(name): part for name, part in parts.items()})
        for callers, operation, parts in found["rules"]
    ]
    return Plan(found["seed"], rules)
