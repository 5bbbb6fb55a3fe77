"""Hostile requests through the real API: each is refused with 4xx, a message and a code, and nothing changes."""

import base64
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.integration.conftest import RunningLaptop

pytestmark = pytest.mark.cloud

GOOD: dict[str, Any] = {"product_id": "ACME-USD", "side": "buy", "type": "limit", "price": "90", "size": "1"}
NUMBERS = (
    "0", "-1", "1e5", "1E-5", "NaN", "Infinity", "-0", "+1", " 1", "1 ", "1,0", "0x10", "\u0661", "1" * 19, "1" * 40,
    ".5", "1.", "1.0000000000000000001", "", "null", "1/2", "\uff11",
)  # fmt: skip
NOT_TEXT: tuple[Any, ...] = (1, 1.5, True, None, [], {}, ["1"], {"amount": "1"})
_TYPES: tuple[Any, ...] = ("LIMIT", "iceberg", "", 0, {})
BODIES = (
    b"", b"{", b"[]", b'"text"', b"null", b"NaN", b"{}", b'{"a":1,}', b"{'side':'buy'}", b"[" * 5000,
    b'{"side":"buy","side":"sell"}', b'{"size":NaN}', b"x" * 20_000, b'{"a":' * 40 + b"1" + b"}" * 40,
)  # fmt: skip


@dataclass(frozen=True)
class Attack:
    """One request that must be refused."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] | None = None  # None: signed as the demo customer would
    statuses: frozenset[int] = frozenset({400, 404})
    name: str = field(default="")

    def __str__(self) -> str:
        """What it tries."""
        return self.name or f"{self.method} {self.path} {self.body[:60]!r}"


def signed(user: dict[str, str], method: str, path: str, body: bytes, **changes: str) -> dict[str, str]:
    """The headers of a signed request; `changes` replaces the timestamp, passphrase, key or signature."""
    timestamp = changes.get("timestamp", str(int(time.time())))
    text = timestamp.encode() + method.encode() + path.encode() + body
    mac = hmac.new(base64.b64decode(user["secret"]), text, hashlib.sha256).digest()
    return {
        "CB-ACCESS-KEY": changes.get("key", user["api_key"]),
        "CB-ACCESS-TIMESTAMP": timestamp,
        "CB-ACCESS-PASSPHRASE": changes.get("passphrase", user["passphrase"]),
        "CB-ACCESS-SIGN": changes.get("signature", base64.b64encode(mac).decode()),
        "Content-Type": "application/json",
    }


def ask(url: str, method: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
    """Send a request; the status and the body as JSON (or its bytes, where it is none)."""
    request = urllib.request.Request(url, data=body or None, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def orders_of_nonsense() -> Iterator[Attack]:
    """Bodies of POST /orders that are wrong in one thing."""
    changed: list[dict[str, Any]] = [{name: value} for name in ("price", "size") for value in (*NUMBERS, *NOT_TEXT)]
    changed += [{"type": "market", "price": None, "size": None, "funds": value} for value in (*NUMBERS, *NOT_TEXT)]
    changed += [{"side": value} for value in ("BUY", "hold", "", 1, None, ["buy"])]
    changed += [{"type": value} for value in _TYPES]
    changed += [
        {"product_id": value} for value in ("", "ACME", "ACME_USD", "NO-PE", "A" * 200, 7, None, "../x", "acme-usd")
    ]
    changed += [{"time_in_force": value} for value in ("gtc", "GFD", 1, "GTT")]
    changed += [
        {"stp": "none"},
        {"post_only": "true"},
        {"post_only": 1},
        {"stop": "loss"},
        {"stop": "up"},
        {"type": "stop"},
        {"type": "stop", "stop": "entry"},
    ]
    changed += [{"cancel_after": "min"}, {"cancel_after": "week"}, {"client_oid": ""}, {"client_oid": "a" * 65}]
    changed += [{"client_oid": value} for value in ("a b", "a/b", "ü", 7, "a\n")]
    changed += [
        {name: "1"} for name in ("status", "account_id", "taker_ppm", "hold_units", "fee", "user_id", "__class__")
    ]
    changed += [{"funds": "10"}, {"stop_price": "0"}, {"stop_price": "x"}, {"post_only": True, "time_in_force": "FOK"}]
    changed += [{"size": "99999999999999999"}, {"price": "99999999999999999"}]
    for change in changed:
        body = {name: value for name, value in {**GOOD, **change}.items() if value is not None or name not in GOOD}
        if body != GOOD:
            yield Attack("POST", "/orders", json.dumps(body).encode(), name=f"order with {change}")
    for raw in BODIES:
        yield Attack("POST", "/orders", raw)
    yield Attack("POST", "/orders", b"\xff\xfe", statuses=frozenset({401}))  # no text reaches the function as signed


def paths_of_nonsense() -> Iterator[Attack]:
    """Ids and queries that name nothing."""
    for name in (
        "x",
        "client:",
        "0",
        "-1",
        "0" * 32,
        "client:unknown",
        "518100e6-fe0d-e300-8000-000000000002",
    ):
        for method in ("GET", "DELETE"):
            yield Attack(method, f"/orders/{name}")
    for name in ("%00", "..%2f"):  # what was signed is not what API Gateway shows
        for method in ("GET", "DELETE"):
            yield Attack(method, f"/orders/{name}", statuses=frozenset({401}))
    queries = (
        "status=maybe",
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=1e2",
        "after=x",
        "product_id=NO-PE",
        "after=%27--",
    )
    for query in queries:
        yield Attack("GET", f"/orders?{query}")
        yield Attack("GET", f"/fills?{query}")
    yield Attack("GET", "/fills")
    for path in (
        "/products/NO-PE",
        "/products/NO-PE/book",
        "/products/ACME-USD/book?level=9",
        "/currencies/NOPE",
        "/nothing",
    ):
        yield Attack("GET", path)
    for path in ("/accounts/x", "/accounts/00000000-0000-4000-8000-000000000000", "/transfers/x", "/transfers/-"):
        yield Attack("GET", path)
    for amount in (*NUMBERS, *NOT_TEXT):
        body = {"amount": amount, "currency": "USD", "payment_method_id": "x"}
        yield Attack("POST", "/deposits/payment-method", json.dumps(body).encode())


def credentials_of_nobody(user: dict[str, str], other: dict[str, str]) -> Iterator[Attack]:
    """Signatures and tokens that prove nothing: 401, never 403."""
    refused = frozenset({401})
    body = json.dumps(GOOD).encode()
    good = signed(user, "POST", "/orders", body)
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    claims = base64.urlsafe_b64encode(b'{"sub":"x","token_use":"access"}').rstrip(b"=").decode()
    attempts = {
        "nothing at all": {"Content-Type": "application/json"},
        "an old timestamp": signed(user, "POST", "/orders", body, timestamp=str(int(time.time()) - 60)),
        "a future timestamp": signed(user, "POST", "/orders", body, timestamp=str(int(time.time()) + 60)),
        "a timestamp of words": signed(user, "POST", "/orders", body, timestamp="now"),
        "another passphrase": signed(user, "POST", "/orders", body, passphrase="guess"),
        "an unknown key": signed(user, "POST", "/orders", body, key="guess"),
        "somebody else's key": signed(user, "POST", "/orders", body, key=other["api_key"]),
        "an empty signature": signed(user, "POST", "/orders", body, signature=""),
        "a signature of no base64": signed(user, "POST", "/orders", body, signature="***"),
        "a signature of another path": signed(user, "POST", "/order", body),
        "a signature of another method": signed(user, "PUT", "/orders", body),
        "a signature of another body": signed(user, "POST", "/orders", body + b" "),
        "no passphrase": {name: value for name, value in good.items() if name != "CB-ACCESS-PASSPHRASE"},
        "an unsigned token": {"Authorization": f"Bearer {header}.{claims}."},
        "a token of words": {"Authorization": "Bearer token"},
        "basic credentials": {"Authorization": "Basic dXNlcjpwYXNz"},
    }
    for name, headers in attempts.items():
        yield Attack("POST", "/orders", body, headers, refused, name)


def money_of(laptop: RunningLaptop, user: dict[str, str]) -> list[tuple[str, str, str]]:
    """A customer's balances."""
    status, accounts = ask(f"{laptop.stack['rest_url']}/accounts", "GET", signed(user, "GET", "/accounts", b""), b"")
    assert status == 200
    return [(row["currency"], row["available"], row["hold"]) for row in accounts]


def test_every_hostile_request_is_refused_in_words_and_changes_nothing(laptop: RunningLaptop) -> None:
    users = laptop.stack["demo_users"]
    user, other = users[0], users[1]
    before = money_of(laptop, user)
    attacks = [*orders_of_nonsense(), *paths_of_nonsense(), *credentials_of_nobody(user, other)]
    assert len(attacks) > 200
    wrong: list[str] = []
    for attack in attacks:
        headers = attack.headers or signed(user, attack.method, attack.path, attack.body)
        status, answer = ask(f"{laptop.stack['rest_url']}{attack.path}", attack.method, headers, attack.body)
        shaped = isinstance(answer, dict) and all(isinstance(answer.get(key), str) for key in ("message", "code"))
        if status not in attack.statuses or not shaped:
            wrong.append(f"{attack}: {status} {answer!r}")
    assert not wrong, "\n".join(wrong)
    assert money_of(laptop, user) == before
    status, live = ask(f"{laptop.stack['rest_url']}/orders", "GET", signed(user, "GET", "/orders", b""), b"")
    assert (status, live) == (200, [])


def test_nobody_reads_or_cancels_another_customers_order(laptop: RunningLaptop) -> None:
    users = laptop.stack["demo_users"]
    body = json.dumps(GOOD).encode()
    status, order = ask(f"{laptop.stack['rest_url']}/orders", "POST", signed(users[0], "POST", "/orders", body), body)
    assert status == 200
    path = f"/orders/{order['id']}"
    missing = "/orders/518100e6-fe0d-e300-8000-000000000001"
    for method in ("GET", "DELETE"):
        foreign = ask(f"{laptop.stack['rest_url']}{path}", method, signed(users[1], method, path, b""), b"")
        absent = ask(f"{laptop.stack['rest_url']}{missing}", method, signed(users[1], method, missing, b""), b"")
        assert foreign[0] == absent[0] == 404
        assert foreign[1]["message"] == absent[1]["message"]
    status, own = ask(f"{laptop.stack['rest_url']}{path}", "DELETE", signed(users[0], "DELETE", path, b""), b"")
    assert (status, own) == (200, order["id"])
