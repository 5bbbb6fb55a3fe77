"""Roles of operators and what each may do. What is not in a table here is refused.

A role is a group of the operators' user pool. An operator has as many as they have groups.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from exchange.breaks.model import EXPLAIN
from exchange.kernel.errors import Code, Refused
from exchange.usage.model import RateLimitTier


class Role(StrEnum):
    """The groups of the operators' pool."""

    SUPERADMIN = "superadmin"
    SUPPORT = "support"
    COMPLIANCE = "compliance"
    FINANCE = "finance"
    AUDITOR = "auditor"


class Action(StrEnum):
    """What an operator does alone, in one request."""

    SEE_PROPOSALS = "see_proposals"
    SEE_AUDIT = "see_audit"
    SEE_CUSTOMER = "see_customer"
    FREEZE_CUSTOMER = "freeze_customer"


_EVERYBODY = frozenset(Role)
# Freezing takes nothing from anybody and is undone by two, so one is enough for it, and quick.
ALONE: Mapping[Action, frozenset[Role]] = {
    Action.SEE_PROPOSALS: _EVERYBODY,
    Action.SEE_AUDIT: frozenset({Role.SUPERADMIN, Role.COMPLIANCE, Role.AUDITOR}),
    Action.SEE_CUSTOMER: frozenset({Role.SUPERADMIN, Role.SUPPORT, Role.COMPLIANCE, Role.AUDITOR}),
    Action.FREEZE_CUSTOMER: frozenset({Role.SUPERADMIN, Role.SUPPORT, Role.COMPLIANCE}),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of proposal: the names in its payload, who may propose it and who may decide."""

    fields: frozenset[str]
    propose: frozenset[Role]
    decide: frozenset[Role]


UNFREEZE = "customer.unfreeze"
KINDS: Mapping[str, Kind] = {
    EXPLAIN: Kind(
        fields=frozenset({"asset", "break_id"}),
        propose=frozenset({Role.SUPERADMIN, Role.FINANCE}),
        decide=frozenset({Role.SUPERADMIN, Role.FINANCE}),
    ),
    UNFREEZE: Kind(
        fields=frozenset({"user_id"}),
        propose=frozenset({Role.SUPERADMIN, Role.SUPPORT, Role.COMPLIANCE}),
        decide=frozenset({Role.SUPERADMIN, Role.COMPLIANCE}),
    ),
}


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks, proven by an access token of the operators' pool."""

    user_id: str
    roles: frozenset[Role]
    key_id: str | None = None  # there are no keys for operators
    rate_limit_tier: RateLimitTier = RateLimitTier.STANDARD


def refuse_alone(operator: Operator, action: Action) -> Refused | None:
    """Refuse what none of the operator's roles may do. Refuses AUTH_ROLE."""
    return _refusal(operator, ALONE.get(action, frozenset()), str(action))


def refuse_kind(operator: Operator, name: str, *, deciding: bool) -> Refused | None:
    """Refuse a kind of proposal that there is not, or that none of the operator's roles may propose, or decide.

    Refuses:  REQUEST_FIELD_INVALID, AUTH_ROLE (in this order).
    """
    kind = KINDS.get(name)
    if kind is None:
        return Refused(Code.REQUEST_FIELD_INVALID, f"kind: there are {', '.join(sorted(KINDS))}")
    allowed = kind.decide if deciding else kind.propose
    return _refusal(operator, allowed, f"{'decide' if deciding else 'propose'} {name}")


def refuse_payload(name: str, payload: Mapping[str, str]) -> Refused | None:
    """Refuse a payload with other names than its kind has, or an empty text. Refuses REQUEST_FIELD_INVALID."""
    wanted = KINDS[name].fields
    if set(payload) != wanted or not all(payload.values()):
        return Refused(Code.REQUEST_FIELD_INVALID, f"payload: give texts for exactly {', '.join(sorted(wanted))}")
    return None


def _refusal(operator: Operator, allowed: frozenset[Role], what: str) -> Refused | None:
    if operator.roles & allowed:
        return None
    named = ", ".join(sorted(role.value for role in allowed)) or "nobody"
    return Refused(Code.AUTH_ROLE, f"your roles do not let you {what.replace('_', ' ')}; it takes one of: {named}")
