"""Budgets as pure arithmetic: a bucket of requests that fills at a steady rate.

A bucket is one number, the moment at which it will be full again. Taking moves that moment on; it may not lie further
ahead than the time that an empty bucket needs to fill.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

SECOND_NS = 1_000_000_000


class RateLimitTier(StrEnum):
    """How many requests a second are taken from a credential. Operators grant `maker` in the customers' table."""

    STANDARD = "standard"
    MAKER = "maker"


@dataclass(frozen=True, slots=True)
class Policy:
    """`rate` requests a second, and at most `burst` at once after a pause."""

    rate: int
    burst: int

    @property
    def interval_ns(self) -> int:
        """What one request costs, as time to fill."""
        return SECOND_NS // self.rate

    @property
    def window_seconds(self) -> int:
        """How long an empty bucket needs to fill."""
        return -(-self.burst // self.rate)

    def left(self, full_at_ns: int | None, now_ns: int) -> int:
        """How many requests can be taken now."""
        missing_ns = max(0, (full_at_ns or 0) - now_ns)
        return max(0, (self.burst * self.interval_ns - missing_ns) // self.interval_ns)

    def wait_ns(self, full_at_ns: int | None, now_ns: int, amount: int) -> int:
        """How long until `amount` requests can be taken; 0 where they can be now."""
        return max(0, (full_at_ns or 0) - now_ns + (amount - self.burst) * self.interval_ns)


@dataclass(frozen=True, slots=True)
class Part:
    """One bucket of a budget."""

    name: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class Budget:
    """Buckets that are taken from together, all or none. They are one item, so that taking is one write."""

    owner: str
    parts: tuple[Part, ...]

    @property
    def burst(self) -> int:
        """The most that can ever be taken at once."""
        return min(part.policy.burst for part in self.parts)

    @property
    def rate(self) -> int:
        """The slowest part's rate."""
        return min(part.policy.rate for part in self.parts)

    def left(self, full_at_ns: Mapping[str, int], now_ns: int) -> int:
        """How many requests all parts can give now."""
        return min(part.policy.left(full_at_ns.get(part.name), now_ns) for part in self.parts)

    def wait_ns(self, full_at_ns: Mapping[str, int], now_ns: int, amount: int) -> int:
        """How long until all parts can give `amount`."""
        return max(part.policy.wait_ns(full_at_ns.get(part.name), now_ns, amount) for part in self.parts)


class Caller(Protocol):
    """Whose budget a request takes from. `key_id` is None for an access token."""

    @property
    def user_id(self) -> str: ...
    @property
    def key_id(self) -> str | None: ...
    @property
    def rate_limit_tier(self) -> RateLimitTier: ...


TIERS: Mapping[RateLimitTier, Policy] = {
    RateLimitTier.STANDARD: Policy(rate=15, burst=30),
    RateLimitTier.MAKER: Policy(rate=1_000, burst=2_000),
}
# All keys and logins of a customer together: a second bot has room beside the first, a hundred keys buy no more.
KEYS_WORTH_MAX = 2
_LOGIN = "login"
_CUSTOMER = "customer"


def caller_budget(caller: Caller, *, cancels: bool) -> Budget:
    """What a credential may ask for. Cancels have a budget of the same size that nothing else takes from."""
    policy = TIERS[caller.rate_limit_tier]
    whole = Policy(policy.rate * KEYS_WORTH_MAX, policy.burst * KEYS_WORTH_MAX)
    # Keys of another tier count apart, or a maker's old key would stop at what its new one may use.
    together = Part(f"{_CUSTOMER}_{caller.rate_limit_tier.value}", whole)
    kind = "cancels" if cancels else "requests"
    return Budget(f"{kind}:{caller.user_id}", (Part(f"key_{caller.key_id or _LOGIN}", policy), together))


def address_budget(address: str, rate: int) -> Budget:
    """What may be asked from an address by nobody in particular; `rate` a second, half as many more at once."""
    return Budget(f"address:{address}", (Part("address", Policy(rate, rate + rate // 2)),))
