"""Stripe as a payment provider: bank transfers to a virtual account number, matched by Stripe, through its own SDK."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import stripe

from exchange.kernel.errors import OutcomeUnknownError, UnavailableError, require
from exchange.kernel.money import format_units, parse_decimal
from exchange.payments.model import STRIPE, Asked, Instruction, Notification, Outcome, TakenBack, minor_digits
from exchange.stripe.events import DISPUTE, REFUND, Event

# By currency: the kind of transfer, and for euros a country, which decides whose account numbers are given.
_TRANSFERS: dict[str, dict[str, Any]] = {
    "EUR": {"type": "eu_bank_transfer", "eu_bank_transfer": {"country": "DE"}},
    "GBP": {"type": "gb_bank_transfer"},
    "JPY": {"type": "jp_bank_transfer"},
    "MXN": {"type": "mx_bank_transfer"},
    "USD": {"type": "us_bank_transfer"},
}
# Stripe keeps an idempotency key for a day at least; an older question looks for the payment before it makes one.
KEY_AGE_MAX_NS = 20 * 3600 * 1_000_000_000
PAGE_MAX = 100
TIMEOUT_SECONDS = 8
_ADDRESS_PARTS = ("iban", "bic", "account_number", "sort_code", "routing_number", "account_holder_name", "bank_name")

_CAME_BACK = frozenset({"failed", "canceled"})

Result = TypeVar("Result")


class Clock(Protocol):
    """What time it is."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970."""
        ...


class Customers(Protocol):
    """How Stripe names our customers."""

    def customer_reference(self, rail: str, account_id: int) -> str:
        """Its name for one; empty where it knows none."""
        ...

    def note_customer(self, rail: str, account_id: int, reference: str) -> None:
        """Note its name for one, once."""
        ...


def stripe_client(api_key: str, *, api_base: str = "", http_client: stripe.HTTPClient | None = None) -> Any:
    """Stripe's client; `api_base` is another house that speaks its language, as the sandbox on a laptop does."""
    addresses: Any = {"base_addresses": {"api": api_base}} if api_base else {}
    http = http_client or stripe.RequestsClient(timeout=TIMEOUT_SECONDS)
    return stripe.StripeClient(api_key, http_client=http, max_network_retries=1, **addresses)


class StripeProvider:
    """Payments at Stripe. Our transfer's id is the idempotency key, and stands in each payment's metadata."""

    def __init__(self, client: Any, customers: Customers, clock: Clock) -> None:
        self._api = client.v1
        self._customers = customers
        self._clock = clock

    def instruct(self, instruction: Instruction) -> Asked:
        """Ask for a bank transfer; asked again, the answer is the same payment as it stands now.

        Raises:   UnavailableError, OutcomeUnknownError; asking again is harmless.
        """
        require(instruction.direction == "collect", "Stripe is asked to collect only")
        if instruction.provider_reference:
            intent = self._retrieve(instruction.provider_reference)
        else:
            intent = self._earlier(instruction) or self._create(instruction)
        said = said_of(intent, event_id=f"asked-{intent.id}-{intent.status}")
        return Asked(intent.id, _funding(intent), said)

    def refunded(self, refund_id: str) -> Notification | None:
        """What became of a refund that we asked for; None of one that somebody else did. Raises UnavailableError."""
        refund = asking(lambda: self._api.refunds.retrieve(refund_id))
        return refund_said(refund) if named_transfer(refund) else None

    def said(self, event: Event) -> Notification | TakenBack | None:
        """What an event's payment came to, as Stripe's API has it now; None where it is open or none of ours.

        Raises:   UnavailableError, and Stripe repeats the event.
        """
        if event.kind == DISPUTE:
            dispute = asking(lambda: self._api.disputes.retrieve(event.object_id))
            net = sum(moved.amount for moved in dispute.balance_transactions or [])
            # What it moved is told apart from its own state: only money that is gone is gone.
            return self._taken_back(dispute, gone=net < 0, reason=f"disputed: {dispute.reason}")
        if event.kind == REFUND:
            refund = asking(lambda: self._api.refunds.retrieve(event.object_id))
            # What is pending has left what Stripe holds for us already.
            return self._taken_back(refund, gone=refund.status not in _CAME_BACK, reason="returned to its sender")
        return said_of(self._retrieve(event.object_id), event_id=event.event_id)

    def _taken_back(self, thing: Any, *, gone: bool, reason: str) -> TakenBack | None:
        transfer_id = named_transfer(self._retrieve(thing.payment_intent)) if thing.payment_intent else ""
        if not transfer_id:
            return None
        currency = str(thing.currency).upper()
        amount = format_units(thing.amount, minor_digits(currency))
        return TakenBack(thing.id, transfer_id, amount, currency, gone, reason)

    def _retrieve(self, payment_intent: str) -> Any:
        return asking(lambda: self._api.payment_intents.retrieve(payment_intent))

    def _create(self, instruction: Instruction) -> Any:
        params = {
            "amount": minor_units(instruction.amount, instruction.currency),
            "currency": instruction.currency.lower(),
            "customer": self._customer(instruction.account_id),
            "confirm": True,
            "metadata": {"transfer_id": instruction.instruction_id},
            "payment_method_types": ["customer_balance"],
            "payment_method_data": {"type": "customer_balance"},
            "payment_method_options": {
                "customer_balance": {"funding_type": "bank_transfer", "bank_transfer": _TRANSFERS[instruction.currency]}
            },
        }
        options = {"idempotency_key": instruction.instruction_id}
        return asking(lambda: self._api.payment_intents.create(params=params, options=options))

    def _earlier(self, instruction: Instruction) -> Any:
        """The payment that an earlier question made, where its idempotency key may be forgotten by now."""
        if self._clock.now_ns() - instruction.asked_at_ns < KEY_AGE_MAX_NS:
            return None
        since = instruction.asked_at_ns // 1_000_000_000 - 60
        wanted = {
            "customer": self._customer(instruction.account_id),
            "created": {"gte": since},
            "limit": PAGE_MAX,
        }
        intents = asking(lambda: list(self._api.payment_intents.list(params=wanted).auto_paging_iter()))
        return next((intent for intent in intents if named_transfer(intent) == instruction.instruction_id), None)

    def _customer(self, account_id: int) -> str:
        """Each of our accounts is one customer of Stripe's, so that its account number stays the same."""
        known = self._customers.customer_reference(STRIPE, account_id)
        if known:
            return known
        params = {"metadata": {"account_id": str(account_id)}}
        options = {"idempotency_key": f"customer-{account_id}"}
        made = asking(lambda: self._api.customers.create(params=params, options=options))
        self._customers.note_customer(STRIPE, account_id, made.id)
        return self._customers.customer_reference(STRIPE, account_id) or str(made.id)


def minor_units(amount: str, currency: str) -> int:
    """An amount as Stripe counts it. Raises DecimalError where it has more digits than Stripe moves."""
    return parse_decimal(amount, minor_digits(currency))


def said_of(intent: Any, *, event_id: str) -> Notification | None:
    """What a payment has come to; None while it is open, and for payments that carry no id of ours."""
    transfer_id, currency = named_transfer(intent), str(intent.currency).upper()
    outcome = {"succeeded": Outcome.BOOKED, "canceled": Outcome.DECLINED}.get(intent.status)
    if not transfer_id or outcome is None:
        return None
    minor = intent.amount_received if outcome is Outcome.BOOKED else intent.amount
    return Notification(
        event_id=event_id,
        transfer_id=transfer_id,
        outcome=outcome,
        amount=format_units(minor, minor_digits(currency)),
        currency=currency,
        bank_reference=intent.id,
        reason="" if outcome is Outcome.BOOKED else str(getattr(intent, "cancellation_reason", None) or "canceled"),
        provider=STRIPE,
    )


def refund_said(refund: Any) -> Notification:
    """What a refund of ours has come to: paid from when Stripe took it from what it holds for us, until it fails."""
    currency = str(refund.currency).upper()
    came_back = refund.status in _CAME_BACK
    return Notification(
        event_id=f"{refund.id}-{'back' if came_back else 'taken'}",
        transfer_id=named_transfer(refund),
        outcome=Outcome.DECLINED if came_back else Outcome.BOOKED,
        amount=format_units(refund.amount, minor_digits(currency)),
        currency=currency,
        bank_reference=refund.id,
        reason=str(getattr(refund, "failure_reason", None) or refund.status) if came_back else "",
        provider=STRIPE,
    )


def named_transfer(thing: Any) -> str:
    """The transfer of ours that something at Stripe carries the id of; empty where it carries none."""
    metadata = getattr(thing, "metadata", None)
    return str(metadata["transfer_id"]) if metadata and "transfer_id" in metadata else ""


def _funding(intent: Any) -> dict[str, str]:
    """Where the customer is to send the money, flat: the reference, and the first account that Stripe names."""
    action = intent.to_dict().get("next_action") or {}
    told = action.get("display_bank_transfer_instructions") or {}
    funding = {"reference": str(told["reference"])} if told.get("reference") else {}
    for address in told.get("financial_addresses") or []:
        account = address.get(address.get("type")) or {}
        funding |= {name: str(account[name]) for name in _ADDRESS_PARTS if account.get(name)}
        break
    return funding


def asking(call: Callable[[], Result]) -> Result:
    """Ask Stripe. Nothing that it answers to a question is a word about money; only a payment's status is."""
    try:
        return call()
    except (stripe.APIConnectionError, stripe.IdempotencyError) as error:
        raise OutcomeUnknownError(f"Stripe: {type(error).__name__}") from error
    except stripe.StripeError as error:
        if (error.http_status or 500) >= 500:
            raise OutcomeUnknownError(f"Stripe: {error.http_status}") from error
        raise UnavailableError(f"Stripe: {error.http_status} {error.code or type(error).__name__}") from error
