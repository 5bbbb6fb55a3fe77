"""Proposals and audit rows as operators see them."""

import re
from collections.abc import Sequence
from typing import Any, Protocol

from exchange.approvals.model import AuditRow, Proposal
from exchange.kernel.clock import iso_utc
from exchange.kernel.errors import Code, Refused
from exchange.rest import ApiRequest, Reply, read_limit

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_CURSOR = re.compile(r"[0-9]{20}\.[0-9a-f-]{36}", re.ASCII)


def proposal_view(proposal: Proposal) -> dict[str, Any]:
    """A proposal; what has not happened is absent."""
    shown: dict[str, Any] = {
        "id": proposal.proposal_id,
        "kind": proposal.kind,
        "payload": dict(proposal.payload),
        "payload_hash": proposal.payload_hash,
        "reason": proposal.reason,
        "proposed_by": proposal.maker,
        "proposed_at": iso_utc(proposal.made_at_ns),
        "expires_at": iso_utc(proposal.expires_at_ns),
        "state": proposal.state.value,
    }
    if proposal.checker:
        shown["decided_by"] = proposal.checker
    if proposal.decided_at_ns:
        shown["decided_at"] = iso_utc(proposal.decided_at_ns)
    if proposal.decision_reason:
        shown["decision_reason"] = proposal.decision_reason
    return shown


def audit_row_view(row: AuditRow) -> dict[str, Any]:
    """An audit row."""
    return {
        "id": row.row_id,
        "at": iso_utc(row.at_ns),
        "actor": row.actor,
        "action": row.action,
        "subject": row.subject,
        "before_hash": row.before_hash,
        "after_hash": row.after_hash,
        "request_id": row.request_id,
        "reason": row.reason,
    }


class AuditRows(Protocol):
    """Where audit rows are read."""

    def of_day(self, day: str, *, after: str, limit: int) -> Sequence[AuditRow]:
        """Rows of a day after a cursor, in the order of time."""
        ...


def audit_page(asked: ApiRequest, now_ns: int, *, rows: AuditRows) -> Reply | Refused:
    """The rows of `day` (today where it is absent) after the cursor `after`, at most `limit`.

    Refuses:  REQUEST_FIELD_INVALID.
    Raises:   UnavailableError.
    """
    day, after, limit = asked.query("day") or iso_utc(now_ns)[:10], asked.query("after") or "", read_limit(asked)
    if isinstance(limit, Refused):
        return limit
    if not _DAY.fullmatch(day):
        return Refused(Code.REQUEST_FIELD_INVALID, "day: give a date, like 2026-01-31")
    if after and not _CURSOR.fullmatch(after):
        return Refused(Code.REQUEST_FIELD_INVALID, "after: give a cursor, as the CB-AFTER header has it")
    found = rows.of_day(day, after=after, limit=limit)
    return Reply([audit_row_view(row) for row in found], headers={"CB-AFTER": found[-1].cursor} if found else {})
