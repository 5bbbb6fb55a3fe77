"""Budgets that many workers share, on the laptop cloud, and whose address a request has."""

import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3
from exchange.usage.limiter import LEASE_NS
from exchange.usage.model import SECOND_NS, TIERS, RateLimitTier

from tests.integration.conftest import RunningLaptop
from tests.integration.hostile import signed

pytestmark = pytest.mark.cloud
STANDARD = TIERS[RateLimitTier.STANDARD]
CLIENTS = 12
MISSING = "/orders/518100e6-fe0d-e300-8000-000000000001"


class Person:
    """A customer's program: signs, sends, keeps its connections."""

    def __init__(self, laptop: RunningLaptop, user: dict[str, str]) -> None:
        self.laptop = laptop
        self.user = user
        self.pool = urllib3.PoolManager(maxsize=CLIENTS, timeout=30, retries=False)

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
        """Send one signed request."""
        told = {**signed(self.user, method, path, body), **(headers or {})}
        return self.pool.request(method, self.laptop.stack["rest_url"] + path, body=body or None, headers=told)

    def login(self) -> dict[str, str]:
        """The header of a login."""
        body = json.dumps({name: self.user[name] for name in ("email", "password")})
        url = f"{self.laptop.stack['rest_url']}/v1/sessions"
        answer = self.pool.request("POST", url, body=body, headers={"Content-Type": "application/json"})
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def new_key(self, **terms: Any) -> dict[str, str]:
        """A key of this customer's, as their user."""
        body = json.dumps({"name": "test", "scopes": ["view", "trade"], **terms})
        url = f"{self.laptop.stack['rest_url']}/v1/api-keys"
        made = self.pool.request("POST", url, body=body, headers=self.login()).json()
        return {**self.user, "api_key": made["id"], "secret": made["secret"], "passphrase": made["passphrase"]}


@pytest.fixture
def dave(laptop: RunningLaptop) -> Person:
    """The standard customer, whose budget is whole again."""
    user = laptop.stack["demo_users"][-1]
    assert user["rate_limit_tier"] == "standard"
    time.sleep(STANDARD.window_seconds + 0.2)
    return Person(laptop, user)


def flood(ask: Callable[[], Any], requests: int) -> tuple[list[Any], float]:
    """Send many at once, to as many workers as there are; the answers, and how long it took."""
    started = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as executor:
        answers = list(executor.map(lambda _: ask(), range(requests)))
    return answers, time.monotonic() - started


def most(seconds: float) -> int:
    """What a standard key may get within a time: docs/api/limits.md."""
    return STANDARD.burst + math.ceil((seconds + LEASE_NS / SECOND_NS) * STANDARD.rate)


def test_many_workers_act_as_one_and_cancels_go_on(dave: Person) -> None:
    # Enough for a slow machine too: whoever answers fewer than the rate in a second has nobody to refuse.
    answers, seconds = flood(lambda: dave.ask("GET", "/fees"), 300)
    statuses = [answer.status for answer in answers]
    assert set(statuses) == {200, 429}
    assert STANDARD.burst <= statuses.count(200) <= most(seconds)
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.json()["code"] == "RATE_LIMITED"
    assert "try again in" in refused.json()["message"]
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.headers["RateLimit"].startswith('"key";r=')
    # Another function of ours knows it too, and a cancel has a budget of its own.
    canceled = dave.ask("DELETE", MISSING)
    assert canceled.status == 404
    assert int(canceled.headers["RateLimit-Remaining"]) > 20
    time.sleep(int(refused.headers["Retry-After"]) + 0.1)
    assert dave.ask("GET", "/fees").status == 200


def test_all_functions_take_from_one_budget(dave: Person) -> None:
    paths = ["/fees", "/accounts", "/orders", "/users/self/verify"]

    def ask_each() -> list[int]:
        return [dave.ask("GET", path).status for path in paths]

    answers, seconds = flood(ask_each, 30)
    admitted = [status for each in answers for status in each].count(200)
    assert admitted <= most(seconds)


def test_a_batch_counts_as_many_as_it_has_orders(dave: Person) -> None:
    order = {"side": "buy", "type": "limit", "price": "60", "size": "0"}  # too small: refused one by one
    body = json.dumps({"product_id": "ACME-USD", "orders": [order] * 20}).encode()
    answers, seconds = flood(lambda: dave.ask("POST", "/orders/batch", body), 10)
    admitted = [answer for answer in answers if answer.status == 200]
    assert 1 <= len(admitted) <= most(seconds) / 20
    assert {answer.json()["code"] for answer in answers if answer not in admitted} == {"RATE_LIMITED"}


def test_headers_tell_what_is_left(dave: Person) -> None:
    first, second = (dave.ask("GET", "/fees") for _ in range(2))
    assert first.headers["RateLimit-Policy"] == '"key";q=30;w=2'
    assert first.headers["RateLimit-Limit"] == "30"
    assert 25 <= int(second.headers["RateLimit-Remaining"]) < 30
    assert "Retry-After" not in first.headers


def test_a_maker_is_not_kept_waiting(laptop: RunningLaptop) -> None:
    alice = Person(laptop, laptop.stack["demo_users"][0])
    assert alice.user["rate_limit_tier"] == "maker"
    answers, _ = flood(lambda: alice.ask("GET", "/fees"), 150)
    assert {answer.status for answer in answers} == {200}
    public, _ = flood(lambda: alice.pool.request("GET", f"{laptop.stack['rest_url']}/time"), 60)
    assert {answer.status for answer in public} == {200}


def test_a_key_opens_only_from_its_addresses(laptop: RunningLaptop) -> None:
    bob = Person(laptop, laptop.stack["demo_users"][1])
    here = Person(laptop, bob.new_key(allowed_addresses=["127.0.0.0/8"]))
    elsewhere = Person(laptop, bob.new_key(allowed_addresses=["203.0.113.0/24"]))
    assert here.ask("GET", "/fees").status == 200
    forged = dict.fromkeys(("X-Viewer-Address", "X-Forwarded-For", "X-Origin-Secret", "Forwarded"), "203.0.113.7")
    for headers in ({}, forged):
        refused = elsewhere.ask("GET", "/fees", headers=headers)
        assert (refused.status, refused.json()["code"]) == (401, "AUTH_ADDRESS")


def test_paths_are_read_as_people_write_them(laptop: RunningLaptop) -> None:
    bob = Person(laptop, laptop.stack["demo_users"][1])
    for path in ("/fees/", "/orders/?limit=5", "/users/self/verify/"):
        assert bob.ask("GET", path).status == 200, path
    missing = [bob.ask("GET", f"/orders/client{colon}nobody") for colon in (":", "%3A")]
    assert {(answer.status, answer.json()["code"]) for answer in missing} == {(404, "ORDER_NOT_FOUND")}
    book = bob.ask("GET", "/products/ACME%2FUSD/book")
    assert (book.status, book.headers["Access-Control-Allow-Origin"]) == (200, "*")
    unknown = bob.ask("GET", "/nothing/here")
    assert (unknown.status, unknown.json()["code"]) == (404, "ROUTE_NOT_FOUND")


def test_past_the_edge_nobody_is_believed(laptop: RunningLaptop) -> None:
    bob = Person(laptop, laptop.stack["demo_users"][1])
    elsewhere = bob.new_key(allowed_addresses=["203.0.113.0/24"])
    gateway = f"{laptop.stack['aws_endpoint_url']}/_aws/execute-api/{laptop.stack['outputs']['RestApiId']}/live"
    for secret in ("", "guess"):
        told = {"X-Viewer-Address": "203.0.113.7", "X-Origin-Secret": secret}
        headers = {**signed(elsewhere, "GET", "/fees", b""), **told}
        answer = bob.pool.request("GET", f"{gateway}/fees", headers=headers)
        assert (answer.status, answer.json()["code"]) == (401, "AUTH_ADDRESS")
