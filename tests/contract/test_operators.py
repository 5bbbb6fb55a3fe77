"""What each role of an operator may do: the table of the code, read as a table, and nothing beyond it."""

import re
from typing import Any

import pytest
from exchange.admin.model import ALONE, KINDS, Action, Operator, Role, refuse_alone, refuse_kind, refuse_payload
from exchange.admin.store import IMMEDIATE_EFFECTS
from exchange.banking.effects import payment_effects
from exchange.clearance.reviewing import REVIEW_EFFECTS
from exchange.fees.proposals import FeeProposals
from exchange.kernel.errors import Code, Refused
from exchange.kernel.ids import to_uuid
from exchange.settlement.effects import settlement_effects

from tests.contract.cloud_definition import api_document, function_named, functions, nested_template, resources
from tests.contract.test_permissions import _table_of, as_list
from tests.contract.test_routes import operations
from tests.fakes.wallets import FakeClock

S, U, C, F, A = Role.SUPERADMIN, Role.SUPPORT, Role.COMPLIANCE, Role.FINANCE, Role.AUDITOR
# A row for each route: who may. Of a proposal it depends on its kind: the rows below.
BY_KIND: set[Role] = set()
ROUTES = {
    "GET /v1/proposals": {S, U, C, F, A},
    "POST /v1/proposals": BY_KIND,
    "GET /v1/proposals/{proposal_id}": {S, U, C, F, A},
    "POST /v1/proposals/{proposal_id}/approvals": BY_KIND,
    "POST /v1/proposals/{proposal_id}/rejections": BY_KIND,
    "GET /v1/withdrawals": {S, C, F, A},
    "GET /v1/withdrawals/{transfer_id}": {S, C, F, A},
    "GET /v1/settlement-failures": {S, C, F, A},
    "POST /v1/settlement-failures/{product_id}/retry": {S, C, F},
    "GET /v1/audit-rows": {S, C, A},
    "GET /v1/customers/{user_id}": {S, U, C, A},
    "POST /v1/customers/{user_id}/freeze": {S, U, C},
}
ACTIONS = {
    Action.SEE_PROPOSALS: ["GET /v1/proposals", "GET /v1/proposals/{proposal_id}"],
    Action.SEE_WITHDRAWALS: ["GET /v1/withdrawals", "GET /v1/withdrawals/{transfer_id}"],
    Action.SEE_SETTLEMENT: ["GET /v1/settlement-failures"],
    Action.RETRY_SETTLEMENT: ["POST /v1/settlement-failures/{product_id}/retry"],
    Action.SEE_AUDIT: ["GET /v1/audit-rows"],
    Action.SEE_CUSTOMER: ["GET /v1/customers/{user_id}"],
    Action.FREEZE_CUSTOMER: ["POST /v1/customers/{user_id}/freeze"],
}
# Who proposes, who decides.
PROPOSALS = {
    "break.explain": ({S, F}, {S, F}),
    "customer.unfreeze": ({S, U, C}, {S, C}),
    "customer.set_kyc_level": ({S, C}, {S, C}),
    "trade.bust": ({S, C, F}, {S, C, F}),
    "settlement.retry": ({S, C, F}, {S, C, F}),
    "withdrawal.release": ({S, C, F}, {S, C, F}),
    "withdrawal.refuse": ({S, C, F}, {S, C, F}),
    "limits.set": ({S, F}, {S, C}),
    "fees.agree": ({S, F}, {S, F}),
    "fees.publish": ({S, F}, {S, F}),
    "stripe.payout": ({S, F}, {S, F}),
    "stripe.refund": ({S, C, F}, {S, C, F}),
    "suspense.assign": ({S, C, F}, {S, C, F}),
    "suspense.send_back": ({S, C, F}, {S, C, F}),
    "suspense.charge": ({S, F}, {S, F}),
    "debt.settle": ({S, C, F}, {S, C, F}),
    "debt.write_off": ({S, F}, {S, F}),
}


def test_every_route_has_its_row_and_every_row_its_route() -> None:
    assert {f"{method} {path}" for method, path, _ in operations("operators")} == set(ROUTES)


def test_no_route_is_open_and_none_is_the_customers() -> None:
    for method, path, operation in operations("operators"):
        assert "security" not in operation, f"{method} {path}"
    assert api_document("operators")["security"] == [{"AccessToken": []}]


@pytest.mark.parametrize("role", Role)
def test_an_action_is_open_to_its_roles_alone(role: Role) -> None:
    assert set(ACTIONS) == set(Action) == set(ALONE)
    for action, routes in ACTIONS.items():
        refused = refuse_alone(Operator("someone", frozenset({role})), action)
        for route in routes:
            assert (refused is None) == (role in ROUTES[route]), f"{role} {route}"
        assert refused is None or refused.code is Code.AUTH_ROLE


@pytest.mark.parametrize("role", Role)
def test_a_kind_is_proposed_and_decided_by_its_roles_alone(role: Role) -> None:
    assert set(PROPOSALS) == set(KINDS)
    who = Operator("someone", frozenset({role}))
    for kind, rows in PROPOSALS.items():
        for deciding, roles in enumerate(rows):
            refused = refuse_kind(who, kind, deciding=bool(deciding))
            assert (refused is None) == (role in roles), f"{role} {kind}"


@pytest.mark.parametrize("given", ["7", "", "0", "-1", "x", "00000000-0000-0007-0000-000000000000", "../7", "7" * 40])
def test_a_profile_is_named_by_its_id(given: str) -> None:
    payload = {"asset": "USD", "amount": "1", "profile_id": given}
    refused = refuse_payload("debt.settle", payload)
    assert isinstance(refused, Refused)
    assert refused.code is Code.REQUEST_FIELD_INVALID
    assert refuse_payload("debt.settle", {**payload, "profile_id": to_uuid(7)}) is None


def test_every_effect_is_of_a_kind() -> None:
    clock = FakeClock()
    effects = [*IMMEDIATE_EFFECTS, *REVIEW_EFFECTS, *settlement_effects(clock), *payment_effects(dict, clock)]
    effects += FeeProposals(lambda _: None, clock).effects
    assert sorted(effects) == sorted(KINDS)


def test_an_auditor_changes_nothing() -> None:
    for kind in KINDS.values():
        assert Role.AUDITOR not in kind.propose | kind.decide
    writing = [route for route in ROUTES if not route.startswith("GET")]
    assert all(Role.AUDITOR not in ROUTES[route] for route in writing)


def test_what_is_in_no_table_is_refused() -> None:
    everything = Operator("someone", frozenset(Role))
    unknown: Any = "see_everything"
    assert refuse_alone(everything, unknown) == Refused(
        Code.AUTH_ROLE, "your roles do not let you see everything; it takes one of: nobody"
    )
    refused = refuse_kind(everything, "money.print", deciding=True)
    assert refused is not None
    assert refused.code is Code.REQUEST_FIELD_INVALID


def test_the_roles_are_the_groups_of_the_operators_pool() -> None:
    groups = [
        group["Properties"]["GroupName"]
        for group in resources(nested_template("data"), "AWS::Cognito::UserPoolGroup").values()
        if group["Properties"]["UserPoolId"] == {"Ref": "OperatorPool"}
    ]
    assert groups == [role.value for role in Role]


def test_the_operators_api_trusts_the_operators_pool_only() -> None:
    admin = function_named("admin-api")
    assert not {"USER_POOL_ID", "USER_POOL_CLIENT_ID", "API_KEYS_TABLE"} & admin.variables.keys()
    others = [function.name for function in functions() if "OPERATOR_POOL_ID" in function.variables]
    assert others == ["admin-api"]


def test_audit_rows_are_added_in_transactions_and_never_changed() -> None:
    found = set()
    for function in functions():
        for statement in function.statements:
            if re.fullmatch("AuditRowsTable", _table_of(statement["Resource"]) or ""):
                actions = set(as_list(statement["Action"]))
                assert actions <= {"dynamodb:PutItem", "dynamodb:Query"}, function.name
                if "dynamodb:PutItem" in actions:
                    found.add(function.name)
                    in_transaction = {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}
                    assert statement["Condition"] == {"ForAnyValue:StringEquals": in_transaction}
    assert found == {"admin-api"}
