"""Stripe on the laptop cloud: its own SDK against the sandbox bank, real state machine, real signatures."""

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import stripe
import urllib3
from exchange.stripe.provider import stripe_client

from tests.integration.conftest import RunningLaptop
from tests.integration.test_deposits import Customer

pytestmark = pytest.mark.cloud

Ask = Callable[[Callable[[], Any]], Any]
EVENTS = "/v1/payments/stripe/events"


class AtStripe:
    """What stands outside: the customer's bank, and whoever else speaks to the webhook."""

    def __init__(self, laptop: RunningLaptop) -> None:
        outputs, secrets = laptop.stack["outputs"], laptop.client("secretsmanager")
        self.key, self.secret = (
            secrets.get_secret_value(SecretId=outputs[name])["SecretString"]
            for name in ("StripeApiKeyArn", "StripeWebhookSecretArn")
        )
        self.api = stripe_client(self.key, api_base=laptop.stack["sandbox_bank_url"]).v1
        self.url = laptop.stack["rest_url"] + EVENTS
        self.http = urllib3.PoolManager(timeout=30)

    def intent(self, transfer_id: str) -> Any:
        """The payment of a transfer."""
        intents = self.api.payment_intents.list(params={"limit": 100}).auto_paging_iter()
        return next(one for one in intents if one.metadata["transfer_id"] == transfer_id)

    def transfer(self, intent: Any, minor_units: int, *, words: str = "", reference: str = "") -> None:
        """The customer's bank sends money with the payment's reference."""
        told = reference or intent.next_action.display_bank_transfer_instructions.reference
        params = {"amount": minor_units, "currency": intent.currency, "reference": f"{told} {words}".strip()}
        self.api.test_helpers.customers.fund_cash_balance(intent.customer, params=params)

    def outside(self, laptop: RunningLaptop, name: str, act: str) -> str:
        """What only a customer's bank does; returns what it made."""
        url = f"{laptop.stack['sandbox_bank_url']}/v1/sandbox/{name}/{act}"
        reply = self.http.request("POST", url, headers={"Authorization": f"Bearer {self.key}"})
        assert reply.status == 200, reply.data
        return str(json.loads(reply.data)["id"])

    def event(self, kind: str, thing: Any, **changed: Any) -> bytes:
        """An event's body."""
        event = {"id": f"evt_{uuid.uuid4().hex}", "object": "event", "type": kind, "data": {"object": thing}}
        return json.dumps(event | changed).encode()

    def send(self, body: bytes, *, secret: str = "", seconds_ago: int = 0) -> tuple[int, Any]:
        """POST an event, signed as Stripe's SDK signs."""
        seconds = int(time.time()) - seconds_ago
        mark = stripe.WebhookSignature._compute_signature(f"{seconds}.{body.decode()}", secret or self.secret)
        headers = {"Stripe-Signature": f"t={seconds},v1={mark}", "Content-Type": "application/json"}
        reply = self.http.request("POST", self.url, body=body, headers=headers)
        return reply.status, json.loads(reply.data)


@pytest.fixture(scope="module")
def outside(laptop: RunningLaptop) -> AtStripe:
    return AtStripe(laptop)


@pytest.fixture
def dora(laptop: RunningLaptop, newcomer: Callable[[str], dict[str, str]]) -> Customer:
    return Customer(laptop.stack["rest_url"], newcomer("dora"))


def asked(customer: Customer, amount: str, eventually: Ask) -> dict[str, Any]:
    """A deposit by Stripe, once the customer can read where to send the money."""
    body = {"amount": amount, "currency": "EUR", "payment_method_id": "stripe-EUR"}
    made = customer.ask("POST", "/deposits/payment-method", body)

    def told() -> dict[str, Any] | None:
        found: dict[str, Any] = customer.ask("GET", f"/transfers/{made['id']}")
        return found if "funding" in found["details"] else None

    found: dict[str, Any] = eventually(told)
    return found


def test_a_bank_transfer_by_its_reference_becomes_money(dora: Customer, outside: AtStripe, eventually: Ask) -> None:
    ways = {way["id"]: way for way in dora.ask("GET", "/payment-methods")}
    assert (ways["stripe-EUR"]["allow_deposit"], ways["stripe-EUR"]["allow_withdraw"]) == (True, False)
    before = dora.micro_euros()
    made = asked(dora, "25.50", eventually)
    intent = outside.intent(made["id"])
    assert made["details"]["funding"]["iban"].startswith("DE")
    outside.transfer(intent, 2550, words="twice reordered", reference=made["details"]["funding"]["reference"])
    done = eventually(lambda: dora.ended(made["id"]))
    assert (done["status"], done["details"]["bank_reference"]) == ("completed", intent.id)
    assert dora.micro_euros() - before == 25_500_000
    again = asked(dora, "1", eventually)
    assert outside.intent(again["id"]).customer == intent.customer


def test_part_of_the_money_waits_for_the_rest_and_a_cancelled_payment_ends_without(
    dora: Customer, outside: AtStripe, eventually: Ask
) -> None:
    before = dora.micro_euros()
    partly, dropped = asked(dora, "10", eventually), asked(dora, "20", eventually)
    outside.transfer(outside.intent(partly["id"]), 400)
    outside.api.payment_intents.cancel(outside.intent(dropped["id"]).id)
    done = eventually(lambda: dora.ended(dropped["id"]))
    assert (done["status"], done["details"]["cancel_reason"]) == ("canceled", "declined by the bank: abandoned")
    assert (dora.ended(partly["id"]), dora.micro_euros()) == (None, before)
    outside.transfer(outside.intent(partly["id"]), 600)
    eventually(lambda: dora.ended(partly["id"]))
    assert dora.micro_euros() - before == 10_000_000


def test_a_disputed_deposit_is_reversed_and_what_was_spent_blocks_withdrawals(
    laptop: RunningLaptop, dora: Customer, outside: AtStripe, eventually: Ask
) -> None:
    before = dora.micro_euros()
    made = asked(dora, "8", eventually)
    intent = outside.intent(made["id"])
    outside.transfer(intent, 800)
    eventually(lambda: dora.ended(made["id"]))
    spent = dora.ask("POST", "/withdrawals/payment-method", to_the_bank(f"{before // 10**6 + 3}"))
    eventually(lambda: dora.ended(spent["id"]))
    left = dora.micro_euros()
    dispute = outside.outside(laptop, intent.id, "dispute")
    eventually(lambda: dora.micro_euros() == 0)
    reversal = next(row for row in dora.ask("GET", "/transfers") if row["details"].get("reverses") == made["id"])
    assert (reversal["type"], reversal["amount"], reversal["details"]["cancel_reason"]) == (
        "withdraw", "8", "disputed: fraudulent",
    )  # fmt: skip
    refused = dora.try_to("POST", "/withdrawals/payment-method", to_the_bank("1"))
    assert (refused[0], refused[1]["code"]) == (400, "TRANSFER_ACCOUNT_OWES")
    outside.outside(laptop, dispute, "win")
    eventually(lambda: dora.micro_euros() == left)
    assert dora.try_to("POST", "/withdrawals/payment-method", to_the_bank("0.5"))[0] == 200


def to_the_bank(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR", "payment_method_id": "sandbox-bank-EUR"}


def test_an_event_is_not_believed_but_looked_after(dora: Customer, outside: AtStripe, eventually: Ask) -> None:
    before = dora.micro_euros()
    made = asked(dora, "5", eventually)
    intent = outside.intent(made["id"])
    lie = {"id": intent.id, "object": "payment_intent", "status": "succeeded", "amount_received": 500}
    body = outside.event("payment_intent.succeeded", lie)
    assert outside.send(body) == (200, {"status": "ignored"})  # Signed, and yet Stripe's API says otherwise.
    for sent, how, status, code in (
        (body, {"secret": "guess"}, 401, "AUTH_INVALID"),
        (body, {"seconds_ago": 301}, 401, "AUTH_EXPIRED"),
        (b"{", {}, 400, "PAYMENT_NOTIFICATION_INVALID"),
        (outside.event("payment_intent.succeeded", {"object": "charge"}), {}, 400, "PAYMENT_NOTIFICATION_INVALID"),
    ):
        said = outside.send(sent, **how)
        assert (said[0], said[1]["code"]) == (status, code), sent
    assert dora.ended(made["id"]) is None
    outside.transfer(intent, 500, words="silent")
    assert outside.send(body) == (200, {"status": "recorded"})
    eventually(lambda: dora.ended(made["id"]))
    assert outside.send(body) == (200, {"status": "repeated"})
    assert dora.micro_euros() - before == 5_000_000
