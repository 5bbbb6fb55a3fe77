"""Deposits through Stripe in memory: Stripe's own SDK before the laptop's sandbox, no socket between them."""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import stripe
from exchange.kernel.errors import Code, Refused
from exchange.payments.model import STRIPE, Notification, TakenBack
from exchange.payments.refunding import Books, new_refund, see_to_refunds
from exchange.payments.service import ByRail
from exchange.stripe.events import read_event
from exchange.stripe.hearing import hear_event
from exchange.stripe.payouts import StripePayouts
from exchange.stripe.provider import StripeProvider, stripe_client
from exchange.stripe.refunds import StripeRefunds
from exchange.transfers.model import Transfer, TransferStatus
from exchange.wallets.ending import endings
from exchange.wallets.model import BankProvider, DepositRequest, new_deposit, payment_methods
from exchange.wallets.withdrawing import hold_movements

from infra.local.sandbox_stripe import SandboxStripe
from tests.fakes.bank_files import FakeFiles
from tests.fakes.payments import TransferWorld
from tests.fakes.wallets import ASSETS, NOON_NS, CrashError, Cuts

API_KEY, WEBHOOK_SECRET = "the key of the laptop's Stripe", "whsec_of_the_laptop"


class Wire(stripe.HTTPClient):
    """What the SDK sends goes to the sandbox at once, or is lost on its way there or back."""

    name = "wire"

    def __init__(self, sandbox: SandboxStripe, cuts: Cuts) -> None:
        super().__init__()
        self._sandbox, self._cuts = sandbox, cuts

    def request(self, method: str, url: str, headers: Any, post_data: Any = None, **_: Any) -> Any:
        """One request and its answer."""
        asked = urlsplit(url)
        form = dict(parse_qsl(asked.query or post_data or "", keep_blank_values=True))
        lower = {name.lower(): value for name, value in headers.items()}
        answer = self._cuts.reach(lambda: self._sandbox.handle(method.upper(), asked.path, form, lower))
        return json.dumps(answer[1]), answer[0], {}

    def close(self) -> None:
        """Nothing is open."""


class StripeWorld(TransferWorld):
    """A deposit's world whose provider is Stripe; events wait until they are delivered, in whatever order."""

    def __init__(self, cuts: Cuts | None = None) -> None:
        super().__init__(cuts)
        self.events: list[bytes] = []
        self.sandbox = SandboxStripe(
            API_KEY, WEBHOOK_SECRET, deliver=lambda body, _signature: self.events.append(body), now=self.now_seconds
        )
        client = stripe_client(API_KEY, http_client=Wire(self.sandbox, self.cuts))
        self.stripe = StripeProvider(client, customers=self.transfers, clock=self.clock)
        self.provider = ByRail(self.queue, {STRIPE: lambda: self.stripe})
        self.files = FakeFiles(self.transfers, self.books, self.cuts)
        self.paying_out, self.refunding = StripePayouts(client, self.clock), StripeRefunds(client, self.clock)
        post, give_back = endings(self.transfers, self.books, self.books, clock=self.clock, pause=_no_pause)
        self.ends = Books(
            self.transfers,
            self.books,
            self.books,
            self.books,
            post,
            give_back,
            self.clock,
            _no_pause,
            self.notes.append,
        )

    def intent(self, transfer: Transfer) -> dict[str, Any]:
        """The payment of a transfer, as the sandbox has it."""
        return next(
            thing
            for thing in self.sandbox.objects.values()
            if thing["object"] == "payment_intent" and thing["metadata"].get("transfer_id") == transfer.transfer_id
        )

    def pay(self, transfer: Transfer, minor_units: int, *, words: str = "") -> None:
        """The customer's bank sends money under the payment's reference."""
        intent = self.intent(transfer)
        told = (intent["next_action"] or {}).get("display_bank_transfer_instructions", {}).get("reference", "gone")
        form = {"amount": str(minor_units), "currency": intent["currency"], "reference": f"{told} {words}"}
        self._at_stripe("POST", f"/v1/test_helpers/customers/{intent['customer']}/fund_cash_balance", form)

    def drop(self, transfer: Transfer) -> None:
        """The payment is cancelled at Stripe."""
        self._at_stripe("POST", f"/v1/payment_intents/{self.intent(transfer)['id']}/cancel", {})

    def refund(self, transfer: Transfer, minor_units: int) -> None:
        """The money goes back to its sender."""
        form = {"payment_intent": self.intent(transfer)["id"], "amount": str(minor_units)}
        self._at_stripe("POST", "/v1/refunds", form)

    def outside(self, name: str, act: str, **form: str) -> None:
        """What a customer's bank does: dispute a payment, win or lose that, fail a refund."""
        self._at_stripe("POST", f"/v1/sandbox/{name}/{act}", form)

    def _at_stripe(self, method: str, path: str, form: Mapping[str, str]) -> None:
        self.sandbox.handle(method, path, form, {"authorization": f"Bearer {API_KEY}"})

    def hear(self, body: bytes, *, signature: str = "") -> str | Refused:
        """POST /v1/payments/stripe/events. The SDK reads the real clock, and so is signed by it."""
        headers = {"stripe-signature": signature or self.sandbox.sign(body, at_seconds=real_seconds())}
        event = read_event(WEBHOOK_SECRET, headers=headers, body=body)
        if isinstance(event, Refused):
            return event
        if not event.kind:
            return "ignored"
        said = hear_event(event, provider=self.stripe, paying_out=self.paying_out, payouts=self.files, books=self.ends)
        return self.hear_said(said) if isinstance(said, Notification | TakenBack) else said

    def send_back(self, deposit: Transfer, amount: str, *, proposal: str = "p") -> Transfer | Refused:
        """The write of a refund's approval, once a proposal."""
        row, now_ns = self.transfers.rows.get(deposit.transfer_id), self.clock.now_ns()
        refund = new_refund(proposal, row, amount, transfers=self.transfers, at_ns=now_ns)
        if isinstance(refund, Refused) or refund.transfer_id in self.transfers.rows:
            return refund
        if not self.books._move(hold_movements(refund)):
            return Refused(Code.RISK_INSUFFICIENT_FUNDS, "Insufficient funds")
        self.transfers.rows[refund.transfer_id] = refund
        self.transfers.mark_undone(deposit, refund.transfer_id)
        self.files.refunds.add(refund.transfer_id)
        return refund

    def ask_refunds(self) -> int:
        """The schedule, once."""
        return see_to_refunds(refunds=self.files, stripe=self.refunding, books=self.ends)

    def through(self, transfer: Transfer) -> None:
        """Try everything again until the transfer has ended; a lost event is made good for by asking again."""
        for _ in range(16):
            try:
                self.request(transfer)
                self.step(transfer.transfer_id)
                for body in list(self.events):
                    self.hear(body)
                self.step(transfer.transfer_id)
            except CrashError:
                continue
            if self.transfers.rows[transfer.transfer_id].status is not TransferStatus.PENDING:
                return
        raise AssertionError(f"{transfer.transfer_id} never came to an end")


def _no_pause(_attempt: int) -> None:
    pass


def real_seconds() -> int:
    """The SDK compares an event's moment with the clock on the wall."""
    return int(time.time())


def stripe_deposit(amount: str = "25.50", *, key: str = "rent", account_id: int = 7) -> Transfer:
    """A deposit of dollars by Stripe."""
    request = DepositRequest(amount, "USD", "stripe-USD", key)
    methods = payment_methods(ASSETS, BankProvider.SANDBOX, stripe=True)
    made = new_deposit(request, account_id=account_id, methods=methods, created_at_ns=NOON_NS)
    assert isinstance(made, Transfer), made
    return made
