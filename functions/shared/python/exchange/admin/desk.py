"""An operator's request about a proposal, from what was asked to what is shown: who may, then the use case."""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from exchange.admin.model import Operator, refuse_kind, refuse_payload
from exchange.approvals import service
from exchange.approvals.model import WAITING_NS_MAX, Act, Proposal, proposal_id_for
from exchange.approvals.request import DecisionBody, ProposalBody
from exchange.approvals.views import proposal_view
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Refused
from exchange.rest import ApiRequest
from exchange.users.model import Customer, customer_json

Check = Callable[[Mapping[str, str]], Refused | None]


class Desk:
    """Where operators propose and decide. `immediate` names the kinds that take effect with their approval, `checks`
    says of some why a payload could not take effect as things are."""

    def __init__(
        self,
        proposals: service.Proposals,
        clock: Clock,
        *,
        immediate: Collection[str],
        checks: Mapping[str, Check] = MappingProxyType({}),
    ) -> None:
        self._proposals = proposals
        self._clock = clock
        self._immediate = immediate
        self._checks = checks

    def act(self, asked: ApiRequest, who: Operator, reason: str) -> Act:
        """The operator's hand in this request."""
        return Act(who.user_id, self._clock.now_ns(), asked.request_id, str(uuid4()), reason)

    def propose(self, asked: ApiRequest, who: Operator, body: ProposalBody) -> Any:
        """Keep what another operator is to approve.

        Refuses:  REQUEST_FIELD_INVALID, AUTH_ROLE, PROPOSAL_KEY_REUSED.
        Raises:   OutageError; a repeat under the same key is harmless.
        """
        refused = refuse_kind(who, body.kind, deciding=False) or refuse_payload(body.kind, body.payload)
        if refused is not None:
            return refused
        act = self.act(asked, who, body.reason)
        identifier, expires_at_ns = proposal_id_for(who.user_id, body.key), act.at_ns + WAITING_NS_MAX
        check = self._checks.get(body.kind)
        # What is known already may have taken effect, and could not once more: a repeat of it changes nothing.
        if check is not None and self._proposals.find(identifier) is None:
            refused = check(body.payload)
            if refused is not None:
                return refused
        wanted = Proposal(identifier, body.kind, body.payload, body.reason, who.user_id, act.at_ns, expires_at_ns)
        return _shown(service.propose(wanted, act, proposals=self._proposals))

    def decide(self, asked: ApiRequest, who: Operator, body: DecisionBody, proposal_id: str, *, approved: bool) -> Any:
        """Approve or reject. Rejecting one's own proposal is withdrawing it, which needs no role.

        Refuses:  PROPOSAL_NOT_FOUND, AUTH_ROLE, then as `exchange.approvals.service.decide`.
        Raises:   OutageError; asking for the proposal tells.
        """
        found = service.find_proposal(proposal_id, proposals=self._proposals)
        if isinstance(found, Refused):
            return found
        own = not approved and found.maker == who.user_id
        refused = None if own else refuse_kind(who, found.kind, deciding=True)
        if refused is not None:
            return refused
        act = self.act(asked, who, body.reason)
        hash_seen, immediate = body.payload_hash, self._immediate
        return _shown(
            service.decide(
                proposal_id, hash_seen, act, approved=approved, immediate=immediate, proposals=self._proposals
            )
        )

    def waiting(self) -> list[Any]:
        """Those that nobody has decided, oldest first. Raises OutageError."""
        row_ids = [str(uuid4()) for _ in range(service.OPEN_MAX)]
        found = service.open_proposals(self._clock.now_ns(), proposals=self._proposals, row_ids=row_ids)
        return [proposal_view(proposal) for proposal in found]

    def show(self, proposal_id: str) -> Any:
        """One proposal, decided or not. Refuses PROPOSAL_NOT_FOUND. Raises UnavailableError."""
        return _shown(service.find_proposal(proposal_id, proposals=self._proposals))


def _shown(found: Proposal | Refused) -> Any:
    return found if isinstance(found, Refused) else proposal_view(found)


def customer_shown(found: Customer | Refused) -> Any:
    """A customer as operators see them, or the refusal."""
    return found if isinstance(found, Refused) else customer_json(found)
