"""What we ask of the bank, what it answers, and whether an answer fits the transfer that it is about."""

from dataclasses import dataclass
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


class Repeat(StrEnum):
    """The bank said nothing new."""

    REPEAT = "repeat"


def instruction_for(transfer: Transfer) -> Instruction:
    """What to ask of the bank for a deposit or a withdrawal."""
    direction = "collect" if transfer.kind is TransferKind.DEPOSIT else "pay"
    return Instruction(transfer.transfer_id, direction, transfer.amount, transfer.asset, transfer.payment_method_id)


def judge(transfer: Transfer, notification: Notification) -> BankAnswer | Repeat | Refused:
    """Decide what a genuine notification means for its transfer. A state once reached is never left backwards.

    Refuses:  PAYMENT_NOTIFICATION_INVALID: not asked for, another currency or amount, or against an earlier word.
    """
    if transfer.kind not in OUTSIDE or transfer.payment is PaymentState.NONE:
        return _invalid("this payment was never asked for")
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
