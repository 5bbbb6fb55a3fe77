"""A customer of our own walks through the public door: what they meet is what every customer meets."""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import urllib3

from infra.deploy.commands import DeployError

WAIT_SECONDS_MAX = 60
NAME_SECONDS_MAX = 300
# Reserved for documentation (RFC 2606): no mail ever leaves for it.
EMAIL = "smoke@example.com"


class SmokeError(DeployError):
    """The exchange answered otherwise than it must; the message has its own words."""


class Door:
    """The exchange's REST API, as a customer reaches it."""

    def __init__(self, url: str, pool: urllib3.PoolManager | None = None) -> None:
        self._url = url.rstrip("/")
        self._pool = pool or urllib3.PoolManager(timeout=30, retries=False)
        self._headers: dict[str, str] = {}

    def enter(self, access_token: str) -> None:
        """Ask as this customer from now on."""
        self._headers = {"Authorization": f"Bearer {access_token}"}

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, status: int = 200) -> Any:
        """One request. Raises SmokeError for any other status."""
        sent = json.dumps(body).encode() if body is not None else None
        headers = {**self._headers, "Content-Type": "application/json"}
        try:
            answer = self._pool.request(method, self._url + path, body=sent, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise SmokeError(f"{method} {self._url}{path} was not answered: {error}") from error
        if answer.status != status:
            text = answer.data.decode(errors="replace")[:500]
            raise SmokeError(f"{method} {path} answered {answer.status} instead of {status}: {text}")
        return json.loads(answer.data)


def walk(door: Door, outputs: Mapping[str, str], clients: Callable[[str], Any], *, sandbox: bool) -> Iterator[str]:
    """Do what a customer does, saying each thing that held.

    With the sandbox bank money comes and an order is placed, found and cancelled. With a real one the customer stays
    without money, and the order must be refused for exactly that.
    """
    _open(door)
    product = door.ask("GET", "/products")[0]
    yield f"market data answers, {product['id']} is listed"
    door.ask("GET", "/nothing/here", status=404)
    yield "an unknown route is told in our own words"
    password = f"Smoke-{secrets.token_urlsafe(24)}-1a"
    make_customer(outputs["UserPoolId"], password, clients)
    door.enter(door.ask("POST", "/v1/sessions", {"email": EMAIL, "password": password})["access_token"])
    yield "a customer can log in"
    if sandbox:
        _deposit(door, product)
        yield f"{product['quote_currency']} came in through the deposit machine"
    order = {
        "product_id": product["id"],
        "side": "buy",
        "type": "limit",
        "price": product["reference_price"],
        "size": product["base_min_size"],
        "post_only": True,
        "client_oid": f"smoke-{secrets.token_hex(8)}",
    }
    if not sandbox:
        refusal = door.ask("POST", "/orders", order, status=400)
        if refusal["code"] != "RISK_INSUFFICIENT_FUNDS":
            raise SmokeError(f"An order without money was refused for another reason: {refusal}")
        yield "an order without money is refused"
        return
    placed = door.ask("POST", "/orders", order)
    yield f"an order was accepted ({placed['id']})"
    _until(door, placed["id"], {"open", "done", "rejected"})
    yield "the matcher has decided it"
    if door.ask("GET", f"/orders/{placed['id']}")["status"] == "open":
        door.ask("DELETE", f"/orders/{placed['id']}")
    done = _until(door, placed["id"], {"done", "rejected"})
    yield f"it is {done['status']} and settled; its hold is released"


def _open(door: Door) -> None:
    """A name that is new takes a while until everybody knows it."""
    deadline = time.monotonic() + NAME_SECONDS_MAX
    while True:
        try:
            door.ask("GET", "/time")
        except SmokeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(5)
        else:
            return


def make_customer(user_pool_id: str, password: str, clients: Callable[[str], Any]) -> None:
    """Our own customer, with a fresh password each time: nobody keeps it."""
    cognito = clients("cognito-idp")
    try:
        attributes = [{"Name": "email", "Value": EMAIL}, {"Name": "email_verified", "Value": "true"}]
        attributes.append({"Name": "name", "Value": "Smoke"})
        cognito.admin_create_user(
            UserPoolId=user_pool_id, Username=EMAIL, UserAttributes=attributes, MessageAction="SUPPRESS"
        )
    except cognito.exceptions.UsernameExistsException:
        pass
    cognito.admin_set_user_password(UserPoolId=user_pool_id, Username=EMAIL, Password=password, Permanent=True)


def _deposit(door: Door, product: Mapping[str, Any]) -> None:
    currency = product["quote_currency"]
    method = next(row for row in door.ask("GET", "/payment-methods") if row["currency"] == currency)
    body = {"amount": "1000", "currency": currency, "payment_method_id": method["id"]}
    transfer = door.ask("POST", "/deposits/payment-method", body)
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < deadline:
        found = door.ask("GET", f"/transfers/{transfer['id']}")
        if found.get("completed_at"):
            return
        time.sleep(0.5)
    raise SmokeError(f"A deposit did not arrive within {WAIT_SECONDS_MAX} seconds: look at the deposit machine.")


def _until(door: Door, order_id: str, states: set[str]) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < deadline:
        order = door.ask("GET", f"/orders/{order_id}")
        if order["status"] in states:
            return order
        time.sleep(0.5)
    raise SmokeError(f"Order {order_id} was not {' or '.join(sorted(states))} within {WAIT_SECONDS_MAX} seconds.")
