"""Operators on the laptop cloud: a pool of their own, four eyes, a freeze that bites, and every route by every role."""

import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from exchange.admin.model import Role

from infra.local.operators import OperatorSession
from tests.contract.test_operators import PROPOSALS, ROUTES
from tests.contract.test_routes import operations
from tests.integration.conftest import Login, RunningLaptop, audited
from tests.integration.test_users import Visitor

pytestmark = pytest.mark.cloud


@pytest.fixture
def customer(laptop: RunningLaptop) -> Visitor:
    person = Visitor(laptop)
    person.register()
    assert person.confirm(person.mailed_code())[0] == 200
    person.log_in()
    return person


def proposal(user_id: str) -> dict[str, Any]:
    return {
        "kind": "customer.unfreeze",
        "payload": {"user_id": user_id},
        "reason": "it was a mistake",
        "key": uuid.uuid4().hex,
    }


def rows_of(session: OperatorSession, subject: str) -> list[Mapping[str, str]]:
    """Today's audit rows about something."""
    return [row for row in session.pages("/v1/audit-rows?limit=7") if row["subject"] == subject]


def test_a_freeze_bites_at_once_and_two_people_undo_it(login: Login, customer: Visitor, laptop: RunningLaptop) -> None:
    olivia, oscar = login("olivia"), login("oscar")
    key = customer.make_key("view", "transfer")
    assert customer.by_key(key, "GET", "/accounts")[0] == 200
    frozen = olivia.ask("POST", f"/v1/customers/{customer.user_id}/freeze", {"reason": "strange logins"})
    assert frozen["status"] == "frozen"
    status, said = customer.by_key(key, "GET", "/accounts")
    assert (status, said["code"]) == (401, "ACCOUNT_FROZEN")

    made = olivia.ask("POST", "/v1/proposals", proposal(customer.user_id))
    decision = {"payload_hash": made["payload_hash"], "reason": "checked by phone"}
    status, said = olivia.send("POST", f"/v1/proposals/{made['id']}/approvals", decision)
    assert (status, said["code"]) == (400, "PROPOSAL_OWN")
    status, said = oscar.send("POST", f"/v1/proposals/{made['id']}/approvals", {"payload_hash": "0" * 64})
    assert (status, said["code"]) == (400, "PROPOSAL_CHANGED")
    assert made["id"] in [row["id"] for row in oscar.ask("GET", "/v1/proposals")]
    done = oscar.ask("POST", f"/v1/proposals/{made['id']}/approvals", decision)
    assert done["state"] == "applied"
    assert customer.by_key(key, "GET", "/accounts")[0] == 200
    status, said = oscar.send("POST", f"/v1/proposals/{made['id']}/approvals", decision)
    assert (status, said["code"]) == (400, "PROPOSAL_DECIDED")
    assert made["id"] not in [row["id"] for row in oscar.ask("GET", "/v1/proposals")]

    assert [row["action"] for row in rows_of(oscar, made["id"])] == [
        "propose customer.unfreeze",
        "approve customer.unfreeze",
    ]
    (row,) = rows_of(oscar, customer.user_id)
    assert (row["action"], row["reason"]) == ("freeze customer", "strange logins")
    assert row["request_id"]

    audited(laptop)
    links = chain_of(laptop)
    assert [int(link["moment"]["S"]) for link in links] == list(range(1, len(links) + 1))
    assert len(links) >= 3  # a freeze, a proposal and its approval; what was refused left none


def chain_of(laptop: RunningLaptop) -> list[Mapping[str, Any]]:
    """The links of all audit rows, as the table has them."""
    pages = (
        laptop.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=laptop.stack["tables"]["audit_rows"],
            KeyConditionExpression="#d = :d",
            ExpressionAttributeNames={"#d": "day"},
            ExpressionAttributeValues={":d": {"S": "chain"}},
        )
    )
    return [item for page in pages for item in page["Items"]]


def test_an_effect_that_does_not_fit_any_more_approves_nothing(login: Login, customer: Visitor) -> None:
    olivia, oscar = login("olivia"), login("oscar")
    made = olivia.ask("POST", "/v1/proposals", proposal(customer.user_id))  # who is not frozen at all
    decision = {"payload_hash": made["payload_hash"]}
    status, said = oscar.send("POST", f"/v1/proposals/{made['id']}/approvals", decision)
    assert (status, said["code"]) == (400, "PROPOSAL_OUTDATED")
    assert oscar.ask("GET", f"/v1/proposals/{made['id']}")["state"] == "waiting"
    assert oscar.ask("POST", f"/v1/proposals/{made['id']}/rejections", decision)["state"] == "rejected"


def test_each_route_is_open_to_its_roles_and_to_no_customer(login: Login, customer: Visitor) -> None:
    made = login("olivia").ask("POST", "/v1/proposals", proposal("nobody"))
    names = {
        "{proposal_id}": made["id"],
        "{user_id}": "nobody",
        "{transfer_id}": str(uuid.uuid4()),
        "{product_id}": "ACME-USD",
    }
    seen: set[bool] = set()
    stranger = OperatorSession(login("olivia").url, customer.bearer["Authorization"].removeprefix("Bearer "))
    nobody = OperatorSession(stranger.url, "")
    for method, path, operation in operations("operators"):
        target = path
        for name, value in names.items():
            target = target.replace(name, value)
        body: dict[str, Any] | None = None
        if "requestBody" in operation:
            body = {"reason": "because"} if "freeze" in path else {"payload_hash": "0" * 64}
            body = {**proposal("nobody")} if path == "/v1/proposals" else body
        status, said = stranger.send(method, target, body)
        assert (status, said["code"]) == (401, "AUTH_INVALID"), path
        status, said = nobody.send(method, target, body)
        assert (status, said["code"]) == (401, "AUTH_INVALID"), path
        assert "{" not in target, target
        for role in Role:
            allowed = ROUTES[f"{method} {path}"]
            wanted = PROPOSALS["customer.unfreeze"][path.endswith("s") and path != "/v1/proposals"]
            may = role in (allowed or wanted)
            status, said = login(role.value).send(method, target, body)
            told = f"{role} {method} {path}: {status} {said}"
            assert status in {200, 400, 404} if may else (status, said["code"]) == (403, "AUTH_ROLE"), told
            seen.add(may)
    assert seen == {True, False}
