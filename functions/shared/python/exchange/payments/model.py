"""What we ask of the bank, what it answers, and whether an answer fits the transfer that it is about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from exchange.kernel.errors import Code, Refused
from exchange.kernel.money import DecimalError, parse_decimal
from exchange.transfers.model import BankAnswer, PaymentState, Transfer, TransferKind, TransferStatus


@dataclass(frozen=True, slots=True)
class Instruction:
    """What we ask of the bank; `instruction_id` is our transfer's id and its idempotency key."""

    instruction_id: str
    direction: str  # "collect" from the customer's bank account, or "pay" into it
    amount: str
    currency: str
    payment_method_id: str
    rail: str = ""
    account_id: int = 0
    asked_at_ns: int = 0
    provider_reference: str = ""  # set where the provider has named the payment already


STRIPE = "stripe"
BANK_FILES = "bank-files"
BANK = "bank"
# Who pays on a rail: three are of the bank that reads the queue. Nobody's word counts about any other rail.
_PROVIDERS = {
    STRIPE: STRIPE,
    BANK_FILES: BANK_FILES,
    BANK: BANK,
    "sandbox-bank": BANK,
    "sandbox-custodian": BANK,
}


def provider_of(rail: str) -> str:
    """Who may speak about payments of a rail; nobody, and so empty, about chains and what we move ourselves."""
    return _PROVIDERS.get(rail, "")


# Digits after the point of an amount at Stripe, by currency; what is not here has two.
_DIGITS = {"JPY": 0}


def minor_digits(currency: str) -> int:
    """How many digits after the point Stripe counts."""
    return _DIGITS.get(currency, 2)


# Transfers that the bank has a part in.
OUTSIDE = frozenset({TransferKind.DEPOSIT, TransferKind.WITHDRAW})


class Outcome(StrEnum):
    """How the bank answers."""

    BOOKED = "booked"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Notification:
    """What the bank tells us about one instruction. `amount` is what it booked, as decimal text."""

    event_id: str
    transfer_id: str
    outcome: Outcome
    amount: str
    currency: str
    bank_reference: str
    reason: str = ""
    provider: str = BANK


@dataclass(frozen=True, slots=True)
class Asked:
    """What a provider said at once: its name for the payment, where to send the money, or even that it is over."""

    provider_reference: str = ""
    funding: Mapping[str, str] = field(default_factory=dict)
    said: Notification | None = None


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What a provider did to a payment that it had booked: took it back, in whole or part, or gave it up again."""

    reversal_id: str
    transfer_id: str
    amount: str
    currency: str
    gone: bool
    reason: str
    provider: str = STRIPE


class Repeat(StrEnum):
    """The bank said nothing new."""

    REPEAT = "repeat"


def instruction_for(transfer: Transfer) -> Instruction:
    """What to ask of the bank for a deposit or a withdrawal."""
    direction = "collect" if transfer.kind is TransferKind.DEPOSIT else "pay"
    return Instruction(
        instruction_id=transfer.transfer_id,
        direction=direction,
        amount=transfer.amount,
        currency=transfer.asset,
        payment_method_id=transfer.payment_method_id,
        rail=transfer.rail,
        account_id=transfer.account_id,
        asked_at_ns=transfer.created_at_ns,
        provider_reference=transfer.provider_reference,
    )


def judge(transfer: Transfer, notification: Notification) -> BankAnswer | Repeat | Refused:
    """Decide what a genuine notification means for its transfer. A state once reached is never left backwards.

    Refuses:  PAYMENT_NOTIFICATION_INVALID: not asked for, another currency or amount, or against an earlier word.
    """
    if transfer.kind not in OUTSIDE or transfer.payment is PaymentState.NONE:
        return _invalid("this payment was never asked for")
    if notification.provider != provider_of(transfer.rail):
        return _invalid("this payment was asked of somebody else")
    if transfer.provider_reference not in {"", notification.bank_reference}:
        return _invalid(f"bank_reference: this payment is {transfer.provider_reference}")
    if notification.currency != transfer.asset:
        return _invalid(f"currency: {notification.currency} was booked, {transfer.asset} was asked for")
    try:
        units = parse_decimal(notification.amount, transfer.scale)
    except DecimalError as error:
        return _invalid(f"amount: {error}")
    if units != transfer.units:
        return _invalid(f"amount: {notification.amount} is not the {transfer.amount} that was asked for")
    wanted = PaymentState.BOOKED if notification.outcome is Outcome.BOOKED else PaymentState.DECLINED
    if transfer.payment in {PaymentState.BOOKED, PaymentState.DECLINED}:
        if (transfer.payment, transfer.bank_reference) == (wanted, notification.bank_reference):
            return Repeat.REPEAT
        return _invalid(f"this payment is {transfer.payment} already, as {transfer.bank_reference}")
    if transfer.status is not TransferStatus.PENDING:
        return _invalid(f"this transfer is {transfer.status} already")
    return BankAnswer(
        event_id=notification.event_id,
        payment=wanted,
        bank_reference=notification.bank_reference,
        received_units=units if wanted is PaymentState.BOOKED else 0,
        reason=notification.reason,
    )


def _invalid(message: str) -> Refused:
    return Refused(Code.PAYMENT_NOTIFICATION_INVALID, message)
