"""A proposal that two people must want, and the row that every act of an operator leaves behind.

An approval is for one payload, named by its hash: whoever approves says which hash they saw, and whoever acts on the
approval shows the same payload again. It is spent once, in the write of what it allows.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from exchange.kernel.errors import Code, Refused

WAITING_NS_MAX = 3_600 * 1_000_000_000
APPROVED_NS_MAX = 3_600 * 1_000_000_000
SYSTEM = "system"
# What the first link of the chain of audit rows follows.
NO_LINK = "0" * 64


class UnfitError(Exception):
    """What was approved can't be done, for what it would change is not as it takes it to be; the message says what."""


class ProposalState(StrEnum):
    """How far a proposal is. All but waiting and approved are final."""

    WAITING = "waiting"
    APPROVED = "approved"  # whoever is to act on it has not yet
    APPLIED = "applied"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one operator wants done. `payload` is all of it, as texts; nothing beside it is acted upon."""

    proposal_id: str
    kind: str
    payload: Mapping[str, str]
    reason: str
    maker: str
    made_at_ns: int
    expires_at_ns: int
    state: ProposalState = ProposalState.WAITING
    checker: str = ""
    decided_at_ns: int = 0
    decision_reason: str = ""

    @property
    def payload_hash(self) -> str:
        """Names the kind and the payload: another kind or one other character is another hash."""
        return digest({"kind": self.kind, "payload": dict(self.payload)})

    def same_intent(self, other: "Proposal") -> bool:
        """Whether both ask for the same, by the same operator."""
        return (self.maker, self.payload_hash) == (other.maker, other.payload_hash)

    def over(self, now_ns: int) -> bool:
        """Whether its time has come before anybody decided, or before anybody acted on the decision."""
        return self.state in {ProposalState.WAITING, ProposalState.APPROVED} and now_ns >= self.expires_at_ns


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who did what to what, when, in which request. The hashes are of the thing before and after: `digest`."""

    row_id: str
    at_ns: int
    actor: str
    action: str
    subject: str
    before_hash: str
    after_hash: str
    request_id: str
    reason: str = ""

    @property
    def cursor(self) -> str:
        """Where the row stands in its day; sorts by time."""
        return f"{self.at_ns:020d}.{self.row_id}"


@dataclass(frozen=True, slots=True)
class Link:
    """A link of the one chain of all audit rows: the `number`-th row, and the hash of the link before.

    `hash` is kept beside it: another row, another place, or another row before it is another hash.
    """

    number: int
    previous_hash: str
    day: str
    cursor: str
    hash: str


def link(head: Link | None, row: AuditRow, day: str) -> Link:
    """The link of a row that follows `head`, the newest one; None stands for an empty chain."""
    number, previous = (head.number + 1, head.hash) if head else (1, NO_LINK)
    return Link(number, previous, day, row.cursor, link_hash(number, previous, row))


def link_hash(number: int, previous_hash: str, row: AuditRow) -> str:
    """The hash of a link: over its place, the link before, and all that its row says."""
    return digest(["audit row", str(number), previous_hash, {**asdict(row), "at_ns": str(row.at_ns)}])


@dataclass(frozen=True, slots=True)
class Act:
    """An operator's hand in one request: what an audit row says beside the change itself."""

    actor: str
    at_ns: int
    request_id: str
    row_id: str
    reason: str = ""

    def row(self, action: str, subject: str, *, before: Any, after: Any) -> AuditRow:
        """The row for a change from `before` to `after`; None stands for a thing that is not there."""
        hashes = (digest(before), digest(after))
        return AuditRow(self.row_id, self.at_ns, self.actor, action, subject, *hashes, self.request_id, self.reason)


def digest(value: Any) -> str:
    """SHA-256 of a JSON value in its one canonical form: sorted names, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def proposal_id_for(maker: str, key: str) -> str:
    """The id of the proposal that `maker` calls `key`: a repeat of the request is the same proposal."""
    return digest(["proposal", maker, key])[:32]


def decided(
    proposal: Proposal, checker: str, payload_hash: str, *, approved: bool, applied: bool, act: Act
) -> Proposal | Refused:
    """The proposal after `checker` approved or rejected it; `applied` says that it is acted on in the same write.

    Refuses:  PROPOSAL_DECIDED, PROPOSAL_EXPIRED, PROPOSAL_CHANGED, PROPOSAL_OWN (in this order).
    """
    if proposal.state is ProposalState.EXPIRED or proposal.over(act.at_ns):
        return Refused(Code.PROPOSAL_EXPIRED, "nobody decided in time; propose it again")
    if proposal.state is not ProposalState.WAITING:
        return Refused(Code.PROPOSAL_DECIDED, f"this proposal is {proposal.state.value} already")
    if payload_hash != proposal.payload_hash:
        return Refused(
            Code.PROPOSAL_CHANGED, "payload_hash: this is not what the proposal asks for; look at it again first"
        )
    if approved and checker == proposal.maker:
        return Refused(Code.PROPOSAL_OWN, "nobody approves what they proposed; another operator must")
    outcome = ProposalState.APPLIED if applied else ProposalState.APPROVED
    return replace(
        proposal,
        state=outcome if approved else ProposalState.REJECTED,
        checker=checker,
        decided_at_ns=act.at_ns,
        decision_reason=act.reason,
        expires_at_ns=act.at_ns + APPROVED_NS_MAX if approved and not applied else proposal.expires_at_ns,
    )


def spent(proposal: Proposal, kind: str, payload: Mapping[str, str], now_ns: int) -> Proposal | Refused:
    """The proposal after it was acted on by whoever shows the `payload` that was approved.

    Refuses:  PROPOSAL_DECIDED, PROPOSAL_EXPIRED, PROPOSAL_CHANGED (in this order).
    """
    if proposal.state is ProposalState.EXPIRED or proposal.over(now_ns):
        return Refused(Code.PROPOSAL_EXPIRED, "the approval was not used in time; propose it again")
    if proposal.state is not ProposalState.APPROVED:
        return Refused(Code.PROPOSAL_DECIDED, f"this proposal is {proposal.state.value}, not approved")
    if proposal.payload_hash != digest({"kind": kind, "payload": dict(payload)}):
        return Refused(Code.PROPOSAL_CHANGED, "something else was approved than what is to be done")
    return replace(proposal, state=ProposalState.APPLIED)


def proposal_json(proposal: Proposal) -> dict[str, Any]:
    """A proposal as its audit row hashes it."""
    return {
        "id": proposal.proposal_id,
        "payload_hash": proposal.payload_hash,
        "maker": proposal.maker,
        "state": proposal.state.value,
        "checker": proposal.checker,
        "expires_at_ns": str(proposal.expires_at_ns),
    }
