"""Whatever is another customer's answers exactly as what is not there: ids in paths, in bodies and in queries, and the
names that customers choose. tests/contract/test_ownership.py says which there are; each has its case here."""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.contract.test_access import ACCESS, PERSON
from tests.contract.test_ownership import CHOSEN_FIELDS, OWNED, OWNED_FIELDS, owned_fields, resolved
from tests.integration.conftest import RunningLaptop
from tests.integration.hostile import Attack, operations
from tests.integration.test_bad_input import GOOD_ORDER, Enemy

pytestmark = pytest.mark.cloud
Make = Callable[[str], dict[str, str]]
Eventually = Callable[[Callable[[], Any]], Any]
# Bodies that would change something, were the object the asker's own.
CHANGES = {"/orders/{order_id}": {"size": "2"}, "/profiles/{id}": {"name": "stolen"}}
# A good value of each query that an operation requires: without it a refusal might be of the query, not of the id.
QUERIES = {"at": "2026-01-01T00:00:00Z"}
PAID = {"amount": "1", "currency": "USD", "payment_method_id": "sandbox-bank-USD"}
STOP = {**GOOD_ORDER, "side": "sell", "price": "89", "stop": "loss", "stop_price": "89.5"}
BATCH = {"product_id": "ACME-USD", "orders": [{"side": "buy", "price": "90", "size": "1"}]}
REPORT = {"type": "account", "account_id": "ALL", "month": "2026-01"}


@dataclass
class Parties:
    """An owner, who has one of everything, and somebody who knows all its ids."""

    owner: Enemy
    enemy: Enemy
    own_profile: str  # the enemy's
    ids: dict[str, list[str]] = field(default_factory=dict)  # by stem


@pytest.fixture(scope="module")
def parties(laptop: RunningLaptop, newcomer: Make, eventually: Eventually) -> Iterator[Parties]:
    """Both, who leave nothing behind that another test could trade with or come upon."""
    owner, enemy = (Enemy(laptop, newcomer(name)) for name in ("olivia", "eve"))

    def made(method: str, path: str, body: Any = None) -> Any:
        status, answer = owner.ask(method, path, body)
        assert status == 200, answer
        return answer

    bank = PAID["payment_method_id"]
    doubtful = made("POST", "/withdrawals/payment-method", {**PAID, "amount": "1.444"})["id"]  # screening stops it
    eventually(lambda: made("GET", f"/transfers/{doubtful}")["details"]["stage"] == "in_review")
    order = made("POST", "/orders", {**GOOD_ORDER, "client_oid": "mine-alone"})["id"]
    ids = {
        "/accounts/{id}": [account["id"] for account in made("GET", "/accounts")[:2]],
        "/coinbase-accounts/{id}": [row["id"] for row in made("GET", "/coinbase-accounts") if row["type"] == "wallet"],
        "/orders/{order_id}": [order, "client:mine-alone"],
        "/profiles/{id}": [made("GET", "/profiles")[0]["id"], made("POST", "/profiles", {"name": "second"})["id"]],
        "/reports/{id}": [made("POST", "/reports", REPORT)["id"]],
        "/transfers/{id}": [made("GET", "/transfers")[0]["id"], doubtful],
        "/v1/api-keys/{key_id}": [made("GET", "/v1/api-keys")[0]["id"]],
        "/v1/withdrawals/destinations/{id}": [
            made("POST", "/v1/withdrawals/destinations", {"payment_method_id": bank, "label": "mine"})["id"]
        ],
        "/v1/withdrawals/{id}": [doubtful],
    }
    yield Parties(owner, enemy, enemy.ask("GET", "/profiles")[1][0]["id"], ids)
    for who in (owner, enemy):
        assert who.ask("DELETE", "/orders")[0] == 200
    assert owner.ask("POST", f"/v1/withdrawals/{doubtful}/cancel")[0] == 200


def missing(name: str) -> str:
    """An id of the same form that nobody has."""
    return f"{name[:-1]}{'0' if name[-1] != '0' else '1'}"


def required(operation: Mapping[str, Any]) -> str:
    """The query that an operation can't be asked without."""
    parameters = map(resolved, operation.get("parameters", ()))
    names = [each["name"] for each in parameters if each["in"] == "query" and each.get("required")]
    return "?" + urlencode({name: QUERIES[name] for name in names}) if names else ""


def told(answer: tuple[int, Any]) -> tuple[int, str, str]:
    """All that a refusal says but for the number of the request."""
    return answer[0], answer[1]["code"], answer[1]["message"]


def test_nobody_reaches_anything_of_another_customer(parties: Parties) -> None:
    assert set(parties.ids) == set(OWNED)
    assert all(parties.ids.values())
    tried = set()
    for method, path, operation in operations():
        stem = next((stem for stem in OWNED if path == stem or path.startswith(f"{stem}/")), None)
        if stem is None:
            continue
        body = json.dumps(CHANGES.get(stem, {})).encode() if "requestBody" in operation else b""
        person = ACCESS[f"{method} {path}"] == PERSON
        for name in parties.ids[stem]:
            own, other = (
                Attack(method, path.replace(stem, stem.split("{")[0] + each) + required(operation), body, person=person)
                for each in (name, missing(name))
            )
            if method == "GET":  # The request is a good one, so that nothing but whose it is can be wrong with it.
                assert parties.owner.patient(own)[0] == 200, own
            foreign, absent = told(parties.enemy.patient(own)), told(parties.enemy.patient(other))
            assert foreign == absent, f"{method} {path}"
            assert foreign[0] in {400, 404}, f"{method} {path}: {foreign}"
            assert foreign[1].endswith(("_NOT_FOUND", "_UNKNOWN")), f"{method} {path}: refused for another reason"
        tried.add((method, path))
    assert len(tried) >= 16
    withdrawal = parties.owner.ask("GET", f"/transfers/{parties.ids['/v1/withdrawals/{id}'][0]}")[1]
    assert withdrawal["details"]["stage"] == "in_review"
    assert parties.owner.ask("GET", f"/orders/{parties.ids['/orders/{order_id}'][0]}")[1]["size"] == "1"


def naming(parties: Parties) -> Mapping[tuple[str, str], tuple[str, Callable[[str], Any]]]:
    """For each field that names what is a customer's own: the owner's id, and a request that names it."""
    order, profile = parties.ids["/orders/{order_id}"][0], parties.ids["/profiles/{id}"][1]
    account, mine = parties.ids["/accounts/{id}"][0], parties.own_profile
    move = {"from": mine, "to": mine, "currency": "USD", "amount": "1"}
    key = {"name": "x", "scopes": ["view"]}
    return {
        ("GET /fills", "order_id"): (order, lambda each: f"?order_id={each}"),
        ("POST /orders", "oco_order_id"): (order, lambda each: {**STOP, "oco_order_id": each}),
        ("POST /orders", "profile_id"): (profile, lambda each: {**GOOD_ORDER, "profile_id": each}),
        ("POST /orders/test", "oco_order_id"): (order, lambda each: {**STOP, "oco_order_id": each}),
        ("POST /orders/test", "profile_id"): (profile, lambda each: {**GOOD_ORDER, "profile_id": each}),
        ("POST /orders/batch", "oco_order_id"): (
            order,
            lambda each: {**BATCH, "orders": [{**BATCH["orders"][0], "oco_order_id": each}]},  # type: ignore[dict-item]
        ),
        ("POST /orders/batch", "profile_id"): (profile, lambda each: {**BATCH, "profile_id": each}),
        ("POST /profiles/transfer", "from"): (profile, lambda each: {**move, "from": each}),
        ("POST /profiles/transfer", "to"): (profile, lambda each: {**move, "to": each}),
        ("POST /reports", "account_id"): (account, lambda each: {**REPORT, "account_id": each}),
        ("POST /reports", "profile_id"): (profile, lambda each: {**REPORT, "profile_id": each}),
        ("POST /v1/api-keys", "profile_id"): (profile, lambda each: {**key, "profile_id": each}),
    }


def test_no_field_names_anything_of_another_customer(parties: Parties) -> None:
    cases = naming(parties)
    assert cases.keys() == {(route, name) for route, name in owned_fields() if name in OWNED_FIELDS}
    for (route, name), (id_, request) in cases.items():
        method, _, path = route.partition(" ")
        foreign, absent = (asked(parties.enemy, method, path, request(each)) for each in (id_, missing(id_)))
        assert foreign == absent, f"{route} {name}"
        assert foreign[1].startswith(("REQUEST_FIELD_", "ORDER_", "PROFILE_", "ACCOUNT_")), f"{route} {name}: {foreign}"


def asked(who: Enemy, method: str, path: str, request: Any) -> tuple[int, str, str]:
    """The refusal of a request with such a query or body; a batch tells its own order by order."""
    status, answer = who.ask(method, path + request) if isinstance(request, str) else who.ask(method, path, request)
    if isinstance(answer, list) and "reject_reason" in answer[0]:
        return status, answer[0]["code"], answer[0]["reject_reason"]
    return told((status, answer))


def choosing(who: Enemy, name: str) -> Mapping[tuple[str, str], tuple[str, Any]]:
    """For each field that a customer chooses: where it is sent, and a good body."""
    first, second = (row["id"] for row in who.ask("GET", "/profiles")[1])
    order = who.ask("POST", "/orders", GOOD_ORDER)[1]["id"]
    paid = {**PAID, "client_transfer_id": name}
    chain = {"amount": "0.5", "currency": "ETH", "crypto_address": f"0x{secrets.token_hex(20)}"}
    sent = {"to": "alice@example.com", "currency": "USD", "amount": "1"}
    return {
        ("POST /orders", "client_oid"): ("/orders", {**GOOD_ORDER, "client_oid": name}),
        ("POST /orders/batch", "client_oid"): (
            "/orders/batch",
            {
                "product_id": "ACME-USD",
                "orders": [{"side": "buy", "price": "90", "size": "1", "client_oid": f"{name}-2"}],
            },
        ),
        ("POST /orders/test", "client_oid"): ("/orders/test", {**GOOD_ORDER, "client_oid": name}),
        ("PUT /orders/{order_id}", "client_amend_id"): (f"/orders/{order}", {"size": "2", "client_amend_id": name}),
        ("POST /deposits/payment-method", "client_transfer_id"): ("/deposits/payment-method", paid),
        ("POST /withdrawals/payment-method", "client_transfer_id"): (
            "/withdrawals/payment-method",
            {**paid, "client_transfer_id": f"{name}-2"},
        ),
        ("POST /withdrawals/crypto", "client_transfer_id"): (
            "/withdrawals/crypto",
            {**chain, "client_transfer_id": f"{name}-3"},
        ),
        ("POST /profiles/transfer", "client_transfer_id"): (
            "/profiles/transfer",
            {"from": first, "to": second, "currency": "USD", "amount": "1", "client_transfer_id": f"{name}-4"},
        ),
        ("POST /v1/transfers", "client_transfer_id"): ("/v1/transfers", {**sent, "client_transfer_id": f"{name}-5"}),
        ("POST /reports", "client_report_id"): ("/reports", {**REPORT, "client_report_id": name}),
    }


def test_two_customers_who_choose_the_same_name_never_meet(parties: Parties) -> None:
    name = f"chosen-{secrets.token_hex(4)}"
    assert parties.enemy.ask("POST", "/profiles", {"name": "second"})[0] == 200
    cases = [choosing(who, name) for who in (parties.owner, parties.enemy)]
    assert cases[0].keys() == {(route, chosen) for route, chosen in owned_fields() if chosen in CHOSEN_FIELDS}
    for route, chosen in cases[0]:
        made = []
        for who, case in zip((parties.owner, parties.enemy), cases, strict=True):
            path, body = case[route, chosen]
            status, answer = who.ask(route.partition(" ")[0], path, body)
            assert status == 200, f"{route} {chosen}: {answer}"
            made.append(answer[0] if isinstance(answer, list) else answer)
        if "test" not in route:
            assert made[0]["id"] != made[1]["id"], f"{route} {chosen}"
