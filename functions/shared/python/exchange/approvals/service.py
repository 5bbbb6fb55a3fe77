"""Proposing, approving, rejecting, expiring: each in one write together with its audit row."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Protocol

from exchange.approvals.model import (
    SYSTEM,
    Act,
    AuditRow,
    Proposal,
    ProposalState,
    UnfitError,
    decided,
    proposal_json,
)
from exchange.kernel.errors import Code, Refused

OPEN_MAX = 100


class Proposals(Protocol):
    """Where proposals are kept."""

    def find(self, proposal_id: str) -> Proposal | None:
        """One proposal, as it is now."""
        ...

    def open(self, limit: int) -> list[Proposal]:
        """Those that nobody has decided yet, oldest first."""
        ...

    def add(self, proposal: Proposal, row: AuditRow) -> bool:
        """Keep a new one with its row; False where its id is taken."""
        ...

    def change(self, before: Proposal, after: Proposal, row: AuditRow) -> bool:
        """Write a decision with its row and, where it is then applied, its effect: all or nothing.

        False where the proposal, or what its effect would change, is not any more as it was.
        Raises:   UnfitError where its effect can't be, in words.
        """
        ...


def propose(proposal: Proposal, act: Act, *, proposals: Proposals) -> Proposal | Refused:
    """Keep a proposal for another operator to decide. A repeat under the same key changes nothing.

    Refuses:  PROPOSAL_KEY_REUSED.
    Raises:   OutageError; a repeat under the same key tells.
    """
    row = act.row(f"propose {proposal.kind}", proposal.proposal_id, before=None, after=proposal_json(proposal))
    if proposals.add(proposal, row):
        return proposal
    known = proposals.find(proposal.proposal_id)
    if known is None or not known.same_intent(proposal):
        return Refused(Code.PROPOSAL_KEY_REUSED, "key: already used for another proposal; take a new one")
    return known


def decide(
    proposal_id: str,
    payload_hash: str,
    act: Act,
    *,
    approved: bool,
    immediate: Collection[str],
    proposals: Proposals,
) -> Proposal | Refused:
    """Approve or reject what another operator proposed; kinds in `immediate` take effect in the same write.

    Refuses:  PROPOSAL_NOT_FOUND, PROPOSAL_EXPIRED, PROPOSAL_DECIDED, PROPOSAL_CHANGED, PROPOSAL_OWN, PROPOSAL_OUTDATED
              (in this order).
    Raises:   OutageError; asking for the proposal tells what became of it.
    """
    before = find_proposal(proposal_id, proposals=proposals)
    if isinstance(before, Refused):
        return before
    applied = approved and before.kind in immediate
    after = decided(before, act.actor, payload_hash, approved=approved, applied=applied, act=act)
    if isinstance(after, Refused):
        return after
    verb = "approve" if approved else "reject"
    row = act.row(f"{verb} {before.kind}", proposal_id, before=proposal_json(before), after=proposal_json(after))
    unfit = "what this would change is not any more as it was"
    try:
        if proposals.change(before, after, row):
            return after
    except UnfitError as error:
        unfit = str(error)
    now = proposals.find(proposal_id)
    if now is not None and now.state is ProposalState.WAITING:
        return Refused(Code.PROPOSAL_OUTDATED, f"{unfit}; reject it and look again")
    return Refused(Code.PROPOSAL_DECIDED, "another operator was quicker; look at the proposal")


def find_proposal(proposal_id: str, *, proposals: Proposals) -> Proposal | Refused:
    """One proposal. Refuses PROPOSAL_NOT_FOUND. Raises UnavailableError."""
    return proposals.find(proposal_id) or Refused(Code.PROPOSAL_NOT_FOUND, "no proposal has this id")


def open_proposals(now_ns: int, *, proposals: Proposals, row_ids: Iterable[str]) -> list[Proposal]:
    """Those that wait for a decision. What is found too old is closed on the way, with a row of its own.

    Raises:   OutageError.
    """
    waiting = []
    for proposal, row_id in zip(proposals.open(OPEN_MAX), row_ids, strict=False):
        if not proposal.over(now_ns):
            waiting.append(proposal)
            continue
        after = replace(proposal, state=ProposalState.EXPIRED, decided_at_ns=now_ns)
        act = Act(SYSTEM, now_ns, request_id="", row_id=row_id)
        states = (proposal_json(proposal), proposal_json(after))
        proposals.change(
            proposal, after, act.row(f"expire {proposal.kind}", proposal.proposal_id, before=states[0], after=states[1])
        )
    return waiting
