"""Every route by everybody: keys of one scope each, a login, a stranger, keys that are over, a frozen customer's key
and login, an operator. Rows: tests/contract. What is another customer's: test_ownership.py."""

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from infra.local.operators import log_in
from tests.contract.test_access import ACCESS, BANK, PERSON, PUBLIC, TRADE, TRANSFER, VIEW
from tests.integration.conftest import RunningLaptop
from tests.integration.hostile import JSON, Attack, filled, operations, signed
from tests.integration.test_bad_input import Enemy
from tests.integration.test_users import Visitor

pytestmark = pytest.mark.cloud
SCOPES = (VIEW, TRADE, TRANSFER)
BEARERS = ("login", "frozen login", "operator")
ROLES = (*SCOPES, "revoked", "expired", "frozen key", "nobody", *BEARERS)


@pytest.fixture(scope="module")
def dave(laptop: RunningLaptop) -> Enemy:
    """A customer whose orders no other test needs."""
    return Enemy(laptop, laptop.stack["demo_users"][2])


@pytest.fixture(scope="module")
def keys(dave: Enemy) -> Mapping[str, Mapping[str, str]]:
    """A key for each role that has one."""
    terms: dict[str, dict[str, Any]] = {scope: {"scopes": [scope]} for scope in SCOPES}
    terms["revoked"] = {"scopes": list(SCOPES)}
    made = {role: dave.ask("POST", "/v1/api-keys", {"name": role, **asked})[1] for role, asked in terms.items()}
    assert dave.ask("DELETE", f"/v1/api-keys/{made['revoked']['id']}")[0] == 200
    # Far enough ahead for a busy machine to make the key before it is over.
    moment = int(time.time()) + 10
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
    asked = {"name": "expired", "scopes": list(SCOPES), "expires_at": ends}
    made["expired"] = dave.ask("POST", "/v1/api-keys", asked)[1]
    time.sleep(moment + 0.5 - time.time())
    return {role: {**key, "api_key": key["id"]} for role, key in made.items()}


@pytest.fixture(scope="module")
def frozen(laptop: RunningLaptop) -> Visitor:
    """A customer who was frozen with a key and a login in hand, neither of which was ever used to trade."""
    person = Visitor(laptop)
    person.register()
    assert person.confirm(person.mailed_code())[0] == 200
    person.log_in()
    person.key = person.make_key(*SCOPES)
    person.set_status("frozen")
    return person


@pytest.fixture(scope="module")
def bearers(laptop: RunningLaptop, dave: Enemy, frozen: Visitor) -> Mapping[str, Mapping[str, str]]:
    """The headers of each role that has a token."""
    operator = laptop.stack["operators"][0]
    client_id = laptop.stack["outputs"]["OperatorPoolClientId"]
    session = log_in(laptop.client("cognito-idp"), client_id, laptop.stack["operators_url"], operator)
    return {
        "login": dave.login,
        "frozen login": {**JSON, **frozen.bearer},
        "operator": {**JSON, "Authorization": f"Bearer {session.access_token}"},
    }


def expected(route: str, role: str) -> str | None:
    """The refusal's code; None where the role may go on, whatever comes of it."""
    access = ACCESS[route]
    if access in {PUBLIC, BANK}:
        return None
    codes = {
        "nobody": "AUTH_MISSING",
        "revoked": "AUTH_INVALID",
        "expired": "AUTH_EXPIRED",
        "login": None,
        "frozen key": "ACCOUNT_FROZEN",
        "frozen login": "ACCOUNT_FROZEN",
        "operator": "AUTH_INVALID",  # of another pool, which opens nothing of a customer's
    }
    if role in codes:
        return codes[role]
    return None if role == access else "AUTH_SCOPE"


def test_each_route_opens_to_its_scope_alone(
    dave: Enemy, keys: Mapping[str, Mapping[str, str]], bearers: Mapping[str, Mapping[str, str]], frozen: Visitor
) -> None:
    holders = {**keys, "frozen key": {**frozen.key, "api_key": frozen.key["id"]}}
    cells = [
        (role, method, path, operation)
        for method, path, operation in operations()
        for role in ROLES
        if ACCESS[f"{method} {path}"] != BANK
    ]

    def judge(cell: tuple[str, str, str, Mapping[str, object]]) -> str:
        role, method, path, operation = cell
        target, body = filled(path), b"{}" if "requestBody" in operation else b""
        headers = bearers.get(role, JSON)
        if role in holders:
            headers = signed(holders[role], method, target, body)
        status, answer = dave.patient(Attack(method, target, body, headers))
        code = answer.get("code") if isinstance(answer, dict) else None
        wanted = expected(f"{method} {path}", role)
        fine = (status, code) == (401, wanted) if wanted else status in {200, 400, 404}
        return "" if fine else f"{role} {method} {target}: {status} {json.dumps(answer)[:120]}, wanted {wanted}"

    with ThreadPoolExecutor(6) as executor:
        wrong = [found for found in executor.map(judge, cells) if found]
    assert not wrong, "\n".join(wrong)
    assert len(cells) == sum(who != BANK for who in ACCESS.values()) * len(ROLES)
    assert PERSON in ACCESS.values()
