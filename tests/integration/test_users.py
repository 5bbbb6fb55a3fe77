"""Customers on the laptop cloud: the real pool, tables, KMS and functions, with races that fakes don't have."""

import base64
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
import urllib3
from exchange.users.service import KEYS_MAX

from infra.local.mail import latest_code
from tests.fakes.users import access_claims, signed_headers, token
from tests.integration.conftest import RunningLaptop

pytestmark = pytest.mark.cloud
PASSWORD = "Correct-Horse-9-Battery"
ORDER = {"product_id": "ACME-USD", "side": "buy", "type": "limit", "price": "90", "size": "1"}


@dataclass
class Visitor:
    """Somebody new, with a browser."""

    laptop: RunningLaptop
    email: str = field(default_factory=lambda: f"{uuid.uuid4().hex[:12]}@example.com")
    bearer: dict[str, str] = field(default_factory=dict)
    key: dict[str, str] = field(default_factory=dict)
    user_id: str = ""

    def __post_init__(self) -> None:
        self._http = urllib3.PoolManager(timeout=30, retries=False, maxsize=32)

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """One request; the browser's own session unless other headers are given. Who asked too often waits as told."""
        data = b"" if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(self.bearer if headers is None else headers)}
        url = self.laptop.stack["rest_url"] + path
        while (answer := self._http.request(method, url, body=data or None, headers=sent)).status == 429:
            time.sleep(float(answer.headers["Retry-After"]))
        return answer.status, answer.json()

    def register(self) -> None:
        form = {"email": self.email, "password": PASSWORD, "name": "Ann"}
        assert self.send("POST", "/v1/users", form) == (200, {"email": self.email, "status": "unconfirmed"})

    def confirm(self, code: str) -> tuple[int, Any]:
        return self.send("POST", "/v1/users/confirm", {"email": self.email, "code": code})

    def mailed_code(self) -> str:
        return latest_code(self.laptop.settings, self.email)

    def log_in(self) -> Any:
        status, session = self.send("POST", "/v1/sessions", {"email": self.email, "password": PASSWORD}, {})
        assert status == 200, session
        self.bearer = {"Authorization": f"Bearer {session['access_token']}"}
        self.user_id = self.send("GET", "/v1/users/self")[1]["user_id"]
        return session

    def make_key(self, *scopes: str) -> Any:
        status, key = self.send("POST", "/v1/api-keys", {"name": "bot", "scopes": list(scopes)})
        assert status == 200, key
        return key

    def by_key(self, key: Any, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One signed request."""
        data = b"" if body is None else json.dumps(body).encode()
        how = {"key_id": key["id"], "secret": base64.b64decode(key["secret"]), "passphrase": key["passphrase"]}
        return self.send(method, path, body, signed_headers(method, path, data, timestamp=str(time.time()), **how))

    def set_status(self, status: str) -> None:
        """What an operator writes into the table."""
        self.laptop.client("dynamodb").update_item(
            TableName=self.laptop.stack["tables"]["users"],
            Key={"user_id": {"S": self.user_id}},
            UpdateExpression="SET #s = :s",
            ExpressionAttributeNames={"#s": "status"},
            ExpressionAttributeValues={":s": {"S": status}},
        )


@pytest.fixture
def visitor(laptop: RunningLaptop) -> Visitor:
    return Visitor(laptop)


@pytest.fixture
def customer(visitor: Visitor) -> Visitor:
    visitor.register()
    assert visitor.confirm(visitor.mailed_code())[0] == 200
    visitor.log_in()
    return visitor


def code_of(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["code"]


def test_the_whole_way_in_with_the_mailed_code(visitor: Visitor) -> None:
    visitor.register()
    login = {"email": visitor.email, "password": PASSWORD}
    assert code_of(visitor.send("POST", "/v1/sessions", login)) == (400, "USER_UNCONFIRMED")
    first = visitor.mailed_code()
    wrong = f"{(int(first) + 1) % 1_000_000:06d}"
    assert code_of(visitor.confirm(wrong)) == (400, "USER_CODE_INVALID")
    assert visitor.send("POST", "/v1/users/resend", {"email": visitor.email})[0] == 200
    assert visitor.confirm(visitor.mailed_code())[0] == 200
    session = visitor.log_in()
    status, me = visitor.send("GET", "/v1/users/self")
    assert (status, me["email"], me["name"], len(me["profiles"])) == (200, visitor.email, "Ann", 1)
    renewed = visitor.send("POST", "/v1/sessions/refresh", {"refresh_token": session["refresh_token"]})
    assert renewed[0] == 200
    assert (
        visitor.send("GET", "/v1/users/self", headers={"Authorization": f"Bearer {renewed[1]['access_token']}"})[1]
        == me
    )


def test_first_logins_at_once_make_one_profile(visitor: Visitor) -> None:
    visitor.register()
    visitor.confirm(visitor.mailed_code())
    with ThreadPoolExecutor(6) as threads:
        sessions = list(threads.map(lambda _: Visitor(visitor.laptop, visitor.email).log_in(), range(6)))
    profiles = set()
    for session in sessions:
        headers = {"Authorization": f"Bearer {session['access_token']}"}
        profiles.add(visitor.send("GET", "/users/self/verify", headers=headers)[1]["profile_id"])
    assert len(profiles) == 1


def test_keys_made_at_once_never_pass_the_limit(customer: Visitor) -> None:
    terms = {"name": "bot", "scopes": ["view"]}
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: customer.send("POST", "/v1/api-keys", terms), range(KEYS_MAX + 8)))
    made = [key for status, key in answers if status == 200]
    refused = {code_of(answer) for answer in answers if answer[0] != 200}
    assert len(made) <= KEYS_MAX
    assert refused <= {(400, "API_KEY_LIMIT"), (503, "SERVICE_UNAVAILABLE")}
    while len(made) < KEYS_MAX:
        status, key = customer.send("POST", "/v1/api-keys", terms)
        assert status == 200, key
        made.append(key)
    assert code_of(customer.send("POST", "/v1/api-keys", terms)) == (400, "API_KEY_LIMIT")
    assert {key["id"] for key in customer.send("GET", "/v1/api-keys")[1]} == {key["id"] for key in made}


def test_a_key_works_everywhere_until_it_is_revoked_and_nowhere_after(customer: Visitor) -> None:
    key = customer.make_key("view", "trade")
    doors = [
        ("GET", "/orders", None),
        ("GET", "/accounts", None),
        ("GET", "/fees", None),
        ("GET", "/users/self/verify", None),
    ]
    assert [customer.by_key(key, *door)[0] for door in doors] == [200] * 4
    # Poor, but let in: this function now remembers the key.
    assert code_of(customer.by_key(key, "POST", "/orders", ORDER)) == (400, "RISK_INSUFFICIENT_FUNDS")
    assert customer.send("DELETE", f"/v1/api-keys/{key['id']}") == (200, key["id"])
    for door in doors:
        assert code_of(customer.by_key(key, *door)) == (401, "AUTH_INVALID")
    assert customer.by_key(key, "POST", "/orders", ORDER)[0] in {400, 401}
    assert customer.send("GET", "/orders?status=all")[1] == []


def test_a_scope_is_a_limit_in_every_function(customer: Visitor) -> None:
    viewer, trader = customer.make_key("view"), customer.make_key("trade")
    assert code_of(customer.by_key(viewer, "POST", "/orders", ORDER)) == (401, "AUTH_SCOPE")
    assert code_of(customer.by_key(viewer, "DELETE", "/orders")) == (401, "AUTH_SCOPE")
    assert code_of(customer.by_key(trader, "GET", "/accounts")) == (401, "AUTH_SCOPE")
    deposit = {"amount": "1", "currency": "USD", "payment_method_id": "x"}
    assert code_of(customer.by_key(trader, "POST", "/deposits/payment-method", deposit)) == (401, "AUTH_SCOPE")
    assert code_of(customer.by_key(trader, "GET", "/v1/api-keys")) == (401, "AUTH_SCOPE")


def test_a_freeze_shuts_every_door_and_a_thaw_opens_them(customer: Visitor) -> None:
    key = customer.make_key("view", "trade")
    customer.set_status("frozen")
    for path in ("/orders", "/accounts", "/fees", "/users/self/verify"):
        assert code_of(customer.by_key(key, "GET", path)) == (401, "ACCOUNT_FROZEN")
        assert code_of(customer.send("GET", path)) == (401, "ACCOUNT_FROZEN")
    login = {"email": customer.email, "password": PASSWORD}
    assert code_of(customer.send("POST", "/v1/sessions", login)) == (401, "ACCOUNT_FROZEN")
    customer.set_status("active")
    assert customer.by_key(key, "GET", "/orders")[0] == customer.send("GET", "/accounts")[0] == 200


def test_a_token_that_another_key_signed_opens_no_function(customer: Visitor) -> None:
    stack = customer.laptop.stack
    now = int(time.time())
    forged = token(
        access_claims(
            iss=f"https://cognito-idp.{stack['region']}.amazonaws.com/{stack['user_pool_id']}",
            client_id=stack["user_pool_client_id"],
            sub=customer.user_id,
            iat=now,
            exp=now + 3600,
        )
    )
    for path in ("/orders", "/accounts", "/fees", "/v1/users/self", "/v1/api-keys"):
        answer = customer.send("GET", path, headers={"Authorization": f"Bearer {forged}"})
        assert code_of(answer) == (401, "AUTH_INVALID")


def test_keys_of_others_are_neither_seen_nor_revoked(customer: Visitor, laptop: RunningLaptop) -> None:
    demo = laptop.user("alice")
    foreign = customer.send("DELETE", f"/v1/api-keys/{demo['api_key']}")
    missing = customer.send("DELETE", f"/v1/api-keys/{uuid.uuid4().hex}")
    assert code_of(foreign) == code_of(missing) == (404, "API_KEY_NOT_FOUND")
    assert foreign[1]["message"] == missing[1]["message"]
    key = {"id": demo["api_key"], "secret": demo["secret"], "passphrase": demo["passphrase"]}
    assert customer.by_key(key, "GET", "/users/self/verify")[0] == 200


def test_a_query_is_signed_as_it_is_sent(customer: Visitor) -> None:
    key = customer.make_key("view")
    for path in (
        "/orders?status=open&status=done&limit=5",
        "/orders?limit=5&status=done&product_id=BTC-USD",
        "/orders?product_id=BTC%2FUSD&status=all",
        "/fills?product_id=ACME-USD&start_date=2026-01-31T12%3A00%3A00Z",
        "/fills?start_date=2026-01-31T12:00:00Z&product_id=ACME-USD",
    ):
        status, answer = customer.by_key(key, "GET", path)
        assert status == 200, (path, answer)


def test_the_tables_and_mails_hold_no_secret(customer: Visitor) -> None:
    key = customer.make_key("view", "trade", "transfer")
    tables = customer.laptop.stack["tables"]
    items = [customer.laptop.client("dynamodb").scan(TableName=tables[name])["Items"] for name in ("users", "api_keys")]
    dump = str(items)
    for hidden in (key["secret"], key["passphrase"], PASSWORD, base64.b64decode(key["secret"])):
        assert str(hidden) not in dump
