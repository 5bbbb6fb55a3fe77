"""The operators' API: proposals and their second pair of eyes, audit rows, customers, what could not be settled."""

from functools import partial
from typing import Any

from exchange.admin.access import operators
from exchange.admin.desk import Desk, customer_shown
from exchange.admin.model import Action, Operator
from exchange.admin.request import FreezeBody, RetryBody
from exchange.admin.service import find_customer, freeze_customer
from exchange.admin.settings import AdminSettings
from exchange.admin.store import IMMEDIATE_EFFECTS, StatusStore
from exchange.approvals.request import DecisionBody, ProposalBody
from exchange.approvals.store import AuditRowStore, ProposalStore
from exchange.approvals.views import audit_page
from exchange.aws.clients import client
from exchange.aws.dynamodb import connection
from exchange.banking.effects import PaymentSettings, payment_effects
from exchange.clearance.reviewing import REVIEW_EFFECTS, Reviews, ReviewSettings
from exchange.fees.proposals import FeeProposals, PublishSettings
from exchange.kernel.clock import SystemClock
from exchange.payments.waiters import TaskTokens
from exchange.rest import Api, ApiRequest
from exchange.settlement.desk import FailureDesk
from exchange.settlement.effects import SettlementSettings, settlement_effects
from exchange.transfers.store import TransferStore
from exchange.usage.gate import guard
from exchange.users.store import CustomerStore


class Settings(SettlementSettings, PaymentSettings, ReviewSettings, PublishSettings, AdminSettings):
    """This function's environment."""


settings = Settings.load()
app = handler = Api("admin", guard=partial(guard, settings))
for bind_tables in (settings.bind_admin, settings.bind_settlement, settings.bind_payments, settings.bind_reviews):
    bind_tables()
settings.bind_fees()
clock, customers, statuses, audit_rows = SystemClock(), CustomerStore(), StatusStore(connection()), AuditRowStore()
payments, fees = payment_effects(settings.payout_places, clock), FeeProposals(customers.owner_of, clock)
# What each kind of proposal does in the very write of its approval; kinds that are not here are acted on elsewhere.
EFFECTS = {**IMMEDIATE_EFFECTS, **REVIEW_EFFECTS, **settlement_effects(clock), **payments, **fees.effects}
desk = Desk(ProposalStore(connection(), EFFECTS), clock, immediate=EFFECTS, checks=fees.checks)
reviews = Reviews(TransferStore(connection()), TaskTokens(client("stepfunctions")), app.logger.warning)
access, failure_desk = operators(settings.operator_pool_id, settings.operator_pool_client_id), FailureDesk()
operator, may = access.authenticate, access.may


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
    return reviews.woken(desk.decide(asked, who, body, proposal_id, approved=True))


@app.endpoint("POST", "/v1/proposals/{proposal_id}/rejections", caller=operator, body=DecisionBody)
def reject(asked: ApiRequest, who: Operator, body: DecisionBody, proposal_id: str) -> Any:
    """Reject a proposal, also one's own."""
    return desk.decide(asked, who, body, proposal_id, approved=False)


@app.endpoint("GET", "/v1/withdrawals", caller=may(Action.SEE_WITHDRAWALS))
def list_withdrawals(_: ApiRequest, _who: Operator) -> Any:
    """Those that operators are to decide, oldest first."""
    return reviews.waiting()


@app.endpoint("GET", "/v1/withdrawals/{transfer_id}", caller=may(Action.SEE_WITHDRAWALS))
def show_withdrawal(_: ApiRequest, _who: Operator, transfer_id: str) -> Any:
    """One withdrawal."""
    return reviews.show(transfer_id)


@app.endpoint("GET", "/v1/settlement-failures", caller=may(Action.SEE_SETTLEMENT))
def list_settlement_failures(asked: ApiRequest, _who: Operator) -> Any:
    """What could not be settled and is not yet, oldest first; or all there was of a `product_id`, newest first."""
    return failure_desk.told(asked.query("product_id"))


@app.endpoint("POST", "/v1/settlement-failures/{product_id}/retry", caller=may(Action.RETRY_SETTLEMENT), body=RetryBody)
def retry_settlement(asked: ApiRequest, who: Operator, body: RetryBody, product_id: str) -> Any:
    """Have what is tried again by itself tried at once; what contradicts the records takes a proposal."""
    return failure_desk.hurry(product_id, desk.act(asked, who, body.reason))


@app.endpoint("GET", "/v1/audit-rows", caller=may(Action.SEE_AUDIT))
def list_audit_rows(asked: ApiRequest, _who: Operator) -> Any:
    """What operators did on the `day`, in the order of time."""
    return audit_page(asked, clock.now_ns(), rows=audit_rows)


@app.endpoint("GET", "/v1/customers/{user_id}", caller=may(Action.SEE_CUSTOMER))
def show_customer(_: ApiRequest, _who: Operator, user_id: str) -> Any:
    """One customer."""
    return customer_shown(find_customer(user_id, customers=customers))


@app.endpoint("POST", "/v1/customers/{user_id}/freeze", caller=may(Action.FREEZE_CUSTOMER), body=FreezeBody)
def freeze(asked: ApiRequest, who: Operator, body: FreezeBody, user_id: str) -> Any:
    """Freeze a customer at once; a proposal unfreezes."""
    act = desk.act(asked, who, body.reason)
    return customer_shown(freeze_customer(user_id, act, customers=customers, statuses=statuses))
