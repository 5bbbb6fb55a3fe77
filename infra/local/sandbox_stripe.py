"""The laptop's Stripe: as much of its API as the exchange uses, in memory, spoken to by Stripe's own SDK.

Customers, payment intents paid by bank transfer, refunds, disputes, and the test helper that plays the transfer itself
(`/v1/test_helpers/customers/{id}/fund_cash_balance`), as Stripe's test mode has it. Its events are signed as Stripe
signs them. The words after a transfer's reference choose what happens: `twice`, `silent` (no event), `reordered`,
`disputed`, `returned`. What only others than its caller could do has paths below `/v1/sandbox`: to dispute a payment,
to win or lose that, to fail a refund, to end a payout that is late.
"""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.sandbox_payouts import Funds

Answer = tuple[int, dict[str, Any]]
Deliver = Callable[[bytes, str], None]

# The cents of a refund that is pending until somebody says more, and of one that fails after all.
PENDING, FAILS_LATER = 21, 22
_OPEN = frozenset({"requires_action", "requires_payment_method"})


@dataclass
class SandboxStripe:
    """Everything that it keeps; one request at a time."""

    api_key: str
    webhook_secret: str
    deliver: Deliver
    now: Callable[[], float] = time.time
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    answered: dict[str, tuple[str, Answer]] = field(default_factory=dict)
    arrive: Callable[[dict[str, Any]], None] = lambda _payout: None
    fee_ppm: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _outbox: list[bytes] = field(default_factory=list)

    @property
    def funds(self) -> Funds:
        """What it holds for the exchange."""
        return Funds(self._keep, self._tell, self.arrive, self.objects, self.fee_ppm)

    def handle(self, method: str, path: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """Answer one request; `form` has the flat names of Stripe's encoding, header names are in lower case."""
        if headers.get("authorization") != f"Bearer {self.api_key}":
            return _error(401, "invalid_request_error", "Invalid API Key provided")
        with self._lock:
            answer = self._once(method, path, form, headers.get("idempotency-key", ""))
            sent, self._outbox = self._outbox, []
        for body in sent:
            self.deliver(body, self.sign(body))
        return answer

    def sign(self, body: bytes, *, at_seconds: int | None = None) -> str:
        """The Stripe-Signature of a body."""
        seconds = int(self.now()) if at_seconds is None else at_seconds
        told = f"{seconds}.".encode() + body
        return f"t={seconds},v1={hmac.new(self.webhook_secret.encode(), told, hashlib.sha256).hexdigest()}"

    def _once(self, method: str, path: str, form: Mapping[str, str], key: str) -> Answer:
        asked = hashlib.sha256(json.dumps([method, path, sorted(form.items())]).encode()).hexdigest()
        if method == "POST" and key in self.answered:
            before, answer = self.answered[key]
            if before != asked:
                return _error(400, "idempotency_error", "Keys for idempotent requests can only be used with the same")
            return answer
        answer = self._route(method, path.strip("/").split("/")[1:], form)
        if method == "POST" and key:
            self.answered[key] = (asked, json.loads(json.dumps(answer)))
        return answer

    def _route(self, method: str, path: list[str], form: Mapping[str, str]) -> Answer:
        found = self._show(path, form) if method == "GET" else self._act(path, form) if method == "POST" else None
        return found or _error(404, "invalid_request_error", f"No such resource: {'/'.join(path)}")

    def _show(self, path: list[str], form: Mapping[str, str]) -> Answer | None:
        match path:
            case ["payment_intents"]:
                return 200, self._list(form)
            case ["balance"]:
                return 200, self.funds.balance()
            case ["refunds"]:
                of = [each for each in self.objects.values() if each["object"] == "refund"]
                wanted = form.get("payment_intent")
                return 200, _page("refunds", [each for each in of if wanted in {None, each["payment_intent"]}], form)
            case ["payouts" | "balance_transactions" as listed]:
                found = [each for each in self.objects.values() if each["object"] == listed.removesuffix("s")]
                return 200, _page(listed, found, form)
            case ["payment_intents" | "disputes" | "refunds" | "payouts", name] if name in self.objects:
                return 200, self.objects[name]
        return None

    def _act(self, path: list[str], form: Mapping[str, str]) -> Answer | None:
        match path:
            case ["customers"]:
                return 200, self._keep("customer", "cus", metadata=_metadata(form))
            case ["payment_intents"]:
                return self._create(form)
            case ["payment_intents", name, "cancel"] if name in self.objects:
                return self._cancel(self.objects[name])
            case ["refunds"]:
                return self._refund(form)
            case ["payouts"]:
                return self._pay_out(form)
            case ["sandbox", name, act] if name in self.objects:
                return self._outside(self.objects[name], act, form)
            case ["test_helpers", "customers", name, "fund_cash_balance"] if name in self.objects:
                return self._fund(name, form)
        return None

    def _pay_out(self, form: Mapping[str, str]) -> Answer:
        made = self.funds.pay_out(form, _metadata(form))
        if made is None:
            poor = "You have insufficient funds in your Stripe account."
            return _error(400, "invalid_request_error", poor, code="balance_insufficient")
        return 200, made

    def _keep(self, kind: str, prefix: str, **values: Any) -> dict[str, Any]:
        name = f"{prefix}_{hashlib.sha256(f'{kind} {len(self.objects)} {self.now()}'.encode()).hexdigest()[:24]}"
        made = {"id": name, "object": kind, "created": int(self.now()), "livemode": False, **values}
        self.objects[name] = made
        return made

    def _create(self, form: Mapping[str, str]) -> Answer:
        if form.get("customer") not in self.objects:
            return _error(400, "invalid_request_error", "No such customer")
        if not form.get("amount", "").isdigit() or not 0 < int(form["amount"]) <= 99_999_999:
            return _error(400, "invalid_request_error", "Invalid positive integer")
        intent = self._keep(
            "payment_intent",
            "pi",
            amount=int(form["amount"]),
            amount_received=0,
            currency=form.get("currency", ""),
            customer=form["customer"],
            metadata=_metadata(form),
            status="requires_action",
            cancellation_reason=None,
        )
        reference = hashlib.sha256(intent["id"].encode()).hexdigest()[:12].upper()
        intent["next_action"] = {
            "type": "display_bank_transfer_instructions",
            "display_bank_transfer_instructions": {
                "amount_remaining": intent["amount"],
                "currency": intent["currency"],
                "reference": reference,
                "type": form.get("payment_method_options[customer_balance][bank_transfer][type]"),
                "financial_addresses": [_address(str(form["customer"]), intent["currency"])],
            },
        }
        self._tell("payment_intent.requires_action", intent)
        return 200, intent

    def _list(self, form: Mapping[str, str]) -> dict[str, Any]:
        found = [
            thing
            for thing in self.objects.values()
            if thing["object"] == "payment_intent" and form.get("customer", thing["customer"]) == thing["customer"]
        ]
        return _page("payment_intents", found, form)

    def _cancel(self, intent: dict[str, Any]) -> Answer:
        if intent["status"] not in _OPEN:
            return _error(400, "invalid_request_error", f"This PaymentIntent is {intent['status']}")
        intent |= {"status": "canceled", "cancellation_reason": "abandoned", "next_action": None}
        self._tell("payment_intent.canceled", intent)
        return 200, intent

    def _fund(self, customer: str, form: Mapping[str, str]) -> Answer:
        """A bank transfer arrives. Its reference finds the payment; the words after it choose what is told of it."""
        reference, *words = form.get("reference", "").split()
        amount, currency = int(form.get("amount", "0")), form.get("currency", "").lower()
        for intent in [thing for thing in self.objects.values() if thing["object"] == "payment_intent"]:
            told = (intent["next_action"] or {}).get("display_bank_transfer_instructions", {})
            fits = intent["customer"] == customer and intent["currency"] == currency
            if fits and told.get("reference") == reference and intent["status"] in _OPEN:
                self._receive(intent, told, amount, words)
                break
        made = self._keep(
            "customer_cash_balance_transaction", "ccsbtxn", customer=customer, net_amount=amount, currency=currency
        )
        return 200, {**made, "type": "funded"}

    def _receive(self, intent: dict[str, Any], told: dict[str, Any], amount: int, words: list[str]) -> None:
        taken = min(amount, told["amount_remaining"])
        intent["amount_received"] += taken
        told["amount_remaining"] -= taken
        if told["amount_remaining"]:
            if "silent" not in words:
                self._tell("payment_intent.partially_funded", intent)
            return
        intent |= {"status": "succeeded", "next_action": None}
        self.funds.move("payment", intent, intent["amount"])
        if "silent" in words:
            return
        self._tell("payment_intent.succeeded", intent)
        if "disputed" in words:
            self._outside(intent, "dispute", {})
        if "returned" in words:
            self._refund({"payment_intent": intent["id"]})
        if "twice" in words:
            self._outbox.append(self._outbox[-1])
        if "reordered" in words:
            self._tell("payment_intent.processing", {**intent, "status": "processing", "amount_received": 0})

    def _refund(self, form: Mapping[str, str]) -> Answer:
        """Send a payment's money back, or a part of it."""
        intent = self.objects.get(form.get("payment_intent", ""))
        if intent is None or intent.get("status") != "succeeded":
            return _error(400, "invalid_request_error", "This PaymentIntent has no successful charge to refund")
        amount, left = int(form.get("amount", intent["amount"])), intent["amount"] - intent.get("amount_refunded", 0)
        if not 0 < amount <= left:
            return _error(400, "invalid_request_error", f"Refund amount is greater than unrefunded amount {left}")
        intent["amount_refunded"] = intent.get("amount_refunded", 0) + amount
        status = "pending" if amount % 100 == PENDING else "succeeded"
        values = {"status": status, "failure_reason": None, "metadata": _metadata(form)}
        made = self._about("refund", "re", intent, amount, "refund.created", **values)
        self.funds.move("payment_refund", made, -amount)
        if amount % 100 == FAILS_LATER:
            self._outside(made, "fail", {})
        return 200, made

    def _about(
        self, kind: str, prefix: str, intent: dict[str, Any], amount: int, told: str, **values: Any
    ) -> dict[str, Any]:
        named = {"payment_intent": intent["id"], "amount": amount, "currency": intent["currency"]}
        made = self._keep(kind, prefix, **named, **values)
        self._tell(told, made)
        return made

    def _outside(self, thing: dict[str, Any], act: str, form: Mapping[str, str]) -> Answer:
        """What a customer's bank does."""
        match thing["object"], act:
            case "payment_intent", "dispute" if thing["status"] == "succeeded" and not thing.get("disputed"):
                thing["disputed"] = True
                amount = int(form.get("amount", thing["amount"]))
                values = {"status": "needs_response", "reason": "fraudulent", "balance_transactions": [_moved(-amount)]}
                told = "charge.dispute.funds_withdrawn"
                made = self._about("dispute", "du", thing, amount, told, **values)
                self.funds.move("adjustment", made, -amount)
                return 200, made
            case "dispute", "win" if thing["status"] == "needs_response":
                thing["status"] = "won"
                thing["balance_transactions"].append(_moved(thing["amount"]))
                self.funds.move("adjustment", thing, thing["amount"])
                self._tell("charge.dispute.funds_reinstated", thing)
            case "dispute", "lose" if thing["status"] == "needs_response":
                thing["status"] = "lost"
                self._tell("charge.dispute.closed", thing)
            case "refund", "fail" if thing["status"] in {"pending", "succeeded"}:
                thing |= {"status": "failed", "failure_reason": "lost_or_stolen_card"}
                self.objects[thing["payment_intent"]]["amount_refunded"] -= thing["amount"]
                self.funds.move("refund_failure", thing, thing["amount"])
                self._tell("refund.failed", thing)
            case "payout", "pay" | "fail" | "cancel" if self.funds.end(thing, act):
                pass
            case _:
                return _error(400, "invalid_request_error", f"A {thing['object']} can't {act} now")
        return 200, thing

    def _tell(self, kind: str, thing: dict[str, Any]) -> None:
        named = hashlib.sha256(f"{kind} {thing['id']} {len(self.objects)}".encode()).hexdigest()[:24]
        event = {
            "id": f"evt_{named}",
            "object": "event",
            "type": kind,
            "created": int(self.now()),
            "livemode": False,
            "data": {"object": json.loads(json.dumps(thing))},
        }
        self._outbox.append(json.dumps(event).encode())


def _page(listed: str, found: list[dict[str, Any]], form: Mapping[str, str]) -> dict[str, Any]:
    """A page of objects, newest first, as Stripe's lists are."""
    since, limit = int(form.get("created[gte]", "0")), int(form.get("limit", "10"))
    found = [thing for thing in reversed(found) if thing["created"] >= since]
    names = [thing["id"] for thing in found]
    start = names.index(form["starting_after"]) + 1 if form.get("starting_after") in names else 0
    page, more = found[start : start + limit], len(found) > start + limit
    return {"object": "list", "url": f"/v1/{listed}", "data": page, "has_more": more}


def _metadata(form: Mapping[str, str]) -> dict[str, str]:
    return {name[9:-1]: value for name, value in form.items() if name.startswith("metadata[")}


def _address(customer: str, currency: str) -> dict[str, Any]:
    digits = str(int(hashlib.sha256(customer.encode()).hexdigest()[:16], 16))
    if currency == "eur":
        iban = {"iban": f"DE00{digits[:18]:0>18}", "bic": "SANDDEFF", "account_holder_name": "Sandbox Exchange"}
        return {"type": "iban", "supported_networks": ["sepa"], "iban": iban}
    account = {"account_number": digits[:10], "routing_number": "110000000", "bank_name": "Sandbox Bank"}
    return {"type": "aba", "supported_networks": ["ach"], "aba": account}


def _moved(amount: int) -> dict[str, Any]:
    return {"object": "balance_transaction", "amount": amount}


def _error(status: int, kind: str, message: str, *, code: str = "") -> Answer:
    named = {"code": code} if code else {}
    return status, {"error": {"type": kind, "message": message, **named}}
