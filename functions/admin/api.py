"""The operators' API: proposals and their second pair of eyes, audit rows, customers."""

from functools import partial
from typing import Any

from exchange.admin.access import operators
from exchange.admin.desk import Desk
from exchange.admin.model import UNFREEZE, Action, Operator
from exchange.admin.request import FreezeBody
from exchange.admin.service import find_customer, freeze_customer
from exchange.admin.store import StatusStore, unfreeze
from exchange.approvals.request import DecisionBody, ProposalBody
from exchange.approvals.store import AuditRowItem, AuditRowStore, ProposalItem, ProposalStore
from exchange.approvals.views import audit_page, read_audit_page
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import ApiSettings
from exchange.breaks.model import EXPLAIN
from exchange.breaks.store import BreakItem, explain
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import Refused
from exchange.rest import Api, ApiRequest
from exchange.usage.gate import guard
from exchange.users.model import customer_json
from exchange.users.store import CustomerItem, CustomerStore


class Settings(ApiSettings):
    """This function's environment."""

    users_table: str
    proposals_table: str
    audit_rows_table: str
    breaks_table: str
    operator_pool_id: str
    operator_pool_client_id: str


settings = Settings.load()
app = Api("admin", guard=partial(guard, settings))
handler = app
bind(CustomerItem, settings.users_table)
bind(ProposalItem, settings.proposals_table)
bind(AuditRowItem, settings.audit_rows_table)
bind(BreakItem, settings.breaks_table)
clock, customers, statuses, audit_rows = SystemClock(), CustomerStore(), StatusStore(connection()), AuditRowStore()
# What each kind of proposal does in the very write of its approval; kinds that are not here are acted on elsewhere.
EFFECTS = {UNFREEZE: unfreeze, EXPLAIN: explain}
desk = Desk(ProposalStore(connection(), EFFECTS), clock, immediate=EFFECTS)
operator = operators(settings.operator_pool_id, settings.operator_pool_client_id).authenticate


def may(action: Action) -> Any:
    """Whoever has a role that lets them."""
    return partial(operator, action=action)


@app.endpoint("POST", "/v1/proposals", caller=operator, body=ProposalBody)
def propose(asked: ApiRequest, who: Operator, body: ProposalBody) -> Any:
    """Propose what another operator is to approve."""
    return desk.propose(asked, who, body)


@app.endpoint("GET", "/v1/proposals", caller=may(Action.SEE_PROPOSALS))
def list_proposals(_: ApiRequest, _who: Operator) -> Any:
    """Those that wait for a decision, oldest first."""
    return desk.waiting()


@app.endpoint("GET", "/v1/proposals/{proposal_id}", caller=may(Action.SEE_PROPOSALS))
def show_proposal(_: ApiRequest, _who: Operator, proposal_id: str) -> Any:
    """One proposal, decided or not."""
    return desk.show(proposal_id)


@app.endpoint("POST", "/v1/proposals/{proposal_id}/approvals", caller=operator, body=DecisionBody)
def approve(asked: ApiRequest, who: Operator, body: DecisionBody, proposal_id: str) -> Any:
    """Approve what another operator proposed."""
    return desk.decide(asked, who, body, proposal_id, approved=True)


@app.endpoint("POST", "/v1/proposals/{proposal_id}/rejections", caller=operator, body=DecisionBody)
def reject(asked: ApiRequest, who: Operator, body: DecisionBody, proposal_id: str) -> Any:
    """Reject a proposal, also one's own."""
    return desk.decide(asked, who, body, proposal_id, approved=False)


@app.endpoint("GET", "/v1/audit-rows", caller=may(Action.SEE_AUDIT))
def list_audit_rows(asked: ApiRequest, _who: Operator) -> Any:
    """What operators did on the `day`, in the order of time."""
    page = read_audit_page(asked, clock.now_ns())
    if isinstance(page, Refused):
        return page
    return audit_page(audit_rows.of_day(page.day, after=page.after, limit=page.limit))


@app.endpoint("GET", "/v1/customers/{user_id}", caller=may(Action.SEE_CUSTOMER))
def show_customer(_: ApiRequest, _who: Operator, user_id: str) -> Any:
    """One customer."""
    found = find_customer(user_id, customers=customers)
    return found if isinstance(found, Refused) else customer_json(found)


@app.endpoint("POST", "/v1/customers/{user_id}/freeze", caller=may(Action.FREEZE_CUSTOMER), body=FreezeBody)
def freeze(asked: ApiRequest, who: Operator, body: FreezeBody, user_id: str) -> Any:
    """Freeze a customer at once; a proposal unfreezes."""
    act = desk.act(asked, who, body.reason)
    done = freeze_customer(user_id, act, customers=customers, statuses=statuses)
    return done if isinstance(done, Refused) else customer_json(done)
