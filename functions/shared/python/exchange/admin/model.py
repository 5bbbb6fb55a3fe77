"""Roles of operators and what each may do. What is not in a table here is refused.

A role is a group of the operators' user pool. An operator has as many as they have groups.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from exchange.breaks.model import EXPLAIN
from exchange.fees.model import AGREE, PUBLISH, SCHEDULE, SCHEDULE_CHARACTERS_MAX
from exchange.kernel.errors import Code, Refused
from exchange.kernel.ids import from_uuid
from exchange.settlement.busting import BUST
from exchange.settlement.failures import RETRY_SETTLEMENT
from exchange.usage.model import RateLimitTier
from exchange.users.model import KycLevel


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
    SEE_WITHDRAWALS = "see_withdrawals"
    SEE_SETTLEMENT = "see_settlement"
    RETRY_SETTLEMENT = "retry_settlement"
    FREEZE_CUSTOMER = "freeze_customer"


_EVERYBODY = frozenset(Role)
_MONEY = frozenset({Role.SUPERADMIN, Role.COMPLIANCE, Role.FINANCE})
_VENUES_MONEY = frozenset({Role.SUPERADMIN, Role.FINANCE})
# Freezing takes nothing from anybody and is undone by two, so one is enough for it, and quick.
ALONE: Mapping[Action, frozenset[Role]] = {
    Action.SEE_PROPOSALS: _EVERYBODY,
    Action.SEE_AUDIT: frozenset({Role.SUPERADMIN, Role.COMPLIANCE, Role.AUDITOR}),
    Action.SEE_CUSTOMER: frozenset({Role.SUPERADMIN, Role.SUPPORT, Role.COMPLIANCE, Role.AUDITOR}),
    Action.SEE_WITHDRAWALS: _MONEY | {Role.AUDITOR},
    Action.SEE_SETTLEMENT: _MONEY | {Role.AUDITOR},
    # Only what is tried again by itself anyway, and settles once however often it is tried.
    Action.RETRY_SETTLEMENT: _MONEY,
    Action.FREEZE_CUSTOMER: frozenset({Role.SUPERADMIN, Role.SUPPORT, Role.COMPLIANCE}),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of proposal: the names in its payload, who may propose it and who may decide."""

    fields: frozenset[str]
    propose: frozenset[Role]
    decide: frozenset[Role]


UNFREEZE = "customer.unfreeze"
SET_KYC_LEVEL = "customer.set_kyc_level"
RELEASE, REFUSE = "withdrawal.release", "withdrawal.refuse"
SET_LIMITS = "limits.set"
PAY_OUT, REFUND = "stripe.payout", "stripe.refund"
ASSIGN_CASE, SEND_CASE_BACK, CHARGE_CASE = "suspense.assign", "suspense.send_back", "suspense.charge"
SETTLE_DEBT, WRITE_OFF_DEBT = "debt.settle", "debt.write_off"
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
    SET_KYC_LEVEL: Kind(
        fields=frozenset({"user_id", "level"}),
        propose=frozenset({Role.SUPERADMIN, Role.COMPLIANCE}),
        decide=frozenset({Role.SUPERADMIN, Role.COMPLIANCE}),
    ),
    BUST: Kind(frozenset({"product_id", "trade_id"}), propose=_MONEY, decide=_MONEY),
    RETRY_SETTLEMENT: Kind(frozenset({"product_id"}), propose=_MONEY, decide=_MONEY),
    RELEASE: Kind(frozenset({"transfer_id"}), propose=_MONEY, decide=_MONEY),
    REFUSE: Kind(frozenset({"transfer_id"}), propose=_MONEY, decide=_MONEY),
    PAY_OUT: Kind(frozenset({"asset", "amount", "rail"}), propose=_VENUES_MONEY, decide=_VENUES_MONEY),
    REFUND: Kind(frozenset({"transfer_id", "amount"}), propose=_MONEY, decide=_MONEY),
    AGREE: Kind(
        fields=frozenset({"profile_id", "maker", "taker", "from", "until"}),
        propose=_VENUES_MONEY,
        decide=_VENUES_MONEY,
    ),
    PUBLISH: Kind(frozenset({SCHEDULE}), propose=_VENUES_MONEY, decide=_VENUES_MONEY),
    ASSIGN_CASE: Kind(frozenset({"asset", "case", "profile_id"}), propose=_MONEY, decide=_MONEY),
    SEND_CASE_BACK: Kind(frozenset({"asset", "case"}), propose=_MONEY, decide=_MONEY),
    CHARGE_CASE: Kind(frozenset({"asset", "case"}), propose=_VENUES_MONEY, decide=_VENUES_MONEY),
    SETTLE_DEBT: Kind(frozenset({"profile_id", "asset", "amount"}), propose=_MONEY, decide=_MONEY),
    WRITE_OFF_DEBT: Kind(frozenset({"profile_id", "asset", "amount"}), propose=_VENUES_MONEY, decide=_VENUES_MONEY),
    SET_LIMITS: Kind(
        fields=frozenset({"level", "asset", "per_transfer", "per_day", "review_above"}),
        propose=frozenset({Role.SUPERADMIN, Role.FINANCE}),
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


_TEXT_CHARACTERS_MAX = 256
_LEVELS = frozenset(str(int(level)) for level in KycLevel)
_AMOUNTS = frozenset({"per_transfer", "per_day", "review_above"})
_AMOUNT = re.compile(r"(?=.*[1-9])(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?", re.ASCII)
_LIMIT = re.compile(r"none|(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?", re.ASCII)


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
    """Refuse a payload with other names than its kind has, or a text that is empty, too long or nothing of its field.

    Refuses:  REQUEST_FIELD_INVALID.
    """
    wanted = KINDS[name].fields
    if set(payload) != wanted or not all(payload.values()):
        return Refused(Code.REQUEST_FIELD_INVALID, f"payload: give texts for exactly {', '.join(sorted(wanted))}")
    for field, text in sorted(payload.items()):
        most = SCHEDULE_CHARACTERS_MAX if field == SCHEDULE else _TEXT_CHARACTERS_MAX
        if len(text) > most:
            return Refused(Code.REQUEST_FIELD_INVALID, f"payload.{field}: give at most {most} characters")
    if payload.get("level", "0") not in _LEVELS:
        return Refused(Code.REQUEST_FIELD_INVALID, f"payload.level: give {', '.join(sorted(_LEVELS))}")
    if "profile_id" in wanted and from_uuid(payload["profile_id"]) is None:
        return Refused(Code.REQUEST_FIELD_INVALID, "payload.profile_id: give a profile's id, as its customer's has it")
    for field in sorted(wanted & _AMOUNTS):
        if not _LIMIT.fullmatch(payload[field]):
            return Refused(Code.REQUEST_FIELD_INVALID, f"payload.{field}: give a decimal like 2500.5, or none")
    if "amount" in wanted and not _AMOUNT.fullmatch(payload["amount"]):
        return Refused(Code.REQUEST_FIELD_INVALID, "payload.amount: give a decimal above zero, like 2500.5")
    return None


def _refusal(operator: Operator, allowed: frozenset[Role], what: str) -> Refused | None:
    if operator.roles & allowed:
        return None
    named = ", ".join(sorted(role.value for role in allowed)) or "nobody"
    return Refused(Code.AUTH_ROLE, f"your roles do not let you {what.replace('_', ' ')}; it takes one of: {named}")
