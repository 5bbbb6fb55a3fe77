"""Refunds: a deposit by Stripe sent back to where it came from, because two operators want it.

It is a withdrawal by another door: the money is held in the write of the approval, Stripe is asked after that, and what
it took from what it holds for us is posted. One that fails later is given to the customer again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, OutageError, Refused, UnavailableError
from exchange.kernel.ids import command_id_for, to_uuid
from exchange.kernel.money import DecimalError, format_units, parse_decimal
from exchange.ledger.debts import owed_units
from exchange.ledger.model import Balance, Batch, Head, Movements
from exchange.payments.model import STRIPE, Notification, Outcome, TakenBack, minor_digits, provider_of
from exchange.payments.payouts import PARTITION
from exchange.payments.reversing import Posted, given_again, given_id, movements_of, reversal_batch, undone_units
from exchange.payments.service import Transfers, take_notification
from exchange.transfers.model import PaymentState, Transfer, TransferKind, TransferStatus

ATTEMPTS_MAX = 32


class Refunds(Protocol):
    """Which refunds Stripe is still to be asked for."""

    def open_refunds(self) -> Sequence[str]:
        """Their transfers' ids."""
        ...

    def close_refund(self, transfer_id: str) -> None:
        """Stripe need not be asked any more; again is harmless."""
        ...


class AtStripe(Protocol):
    """Stripe, as far as it refunds."""

    def refund(self, refund: Transfer, payment: str) -> Notification:
        """Ask for a refund of a payment, or where it was asked for, what became of it. Again is asking once."""
        ...


class Journal(Protocol):
    """Where batches are chained."""

    def head(self, partition: str) -> Head:
        """The last batch of a partition, as it is now."""
        ...


class Debts(Protocol):
    """What accounts owe."""

    def owed(self, account_id: int) -> Sequence[Balance]:
        """What an account owes the venue; empty where it owes nothing."""
        ...


class Reversals(Protocol):
    """The one write that gives again."""

    def post_reversal(self, transfer: Transfer, batch: Batch, movements: Movements) -> Posted:
        """Put the transfer, append the batch and move the balances, all or nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Books:
    """What a refund is posted with. `post` and `give_back` end a withdrawal whose payment is decided, each once."""

    transfers: Transfers
    journal: Journal
    debts: Debts
    reversals: Reversals
    post: Callable[[str], object]
    give_back: Callable[[str], object]
    clock: Clock
    pause: Callable[[int], None]
    note: Callable[[str], None]

    def booked(self, task_token: str, _transfer_id: str) -> bool:
        """Nobody waits for a refund but its own posting."""
        self.post(task_token)
        return True

    def declined(self, task_token: str, _reason: str) -> bool:
        """The token is the transfer's id: whoever is woken is the transfer itself."""
        self.give_back(task_token)
        return True


def new_refund(
    proposal_id: str, deposit: Transfer | None, amount: str, *, transfers: Transfers, at_ns: int
) -> Transfer | Refused:
    """The refund that an approved proposal asks for; with what went back before, never more than was deposited.

    Refuses:  TRANSFER_NOT_FOUND, TRANSFER_AMOUNT_INVALID.
    Raises:   UnavailableError.
    """
    known = deposit is not None and deposit.kind is TransferKind.DEPOSIT and not deposit.reverses
    if deposit is None or not known or provider_of(deposit.rail) != STRIPE:
        return Refused(Code.TRANSFER_NOT_FOUND, "transfer_id: no deposit by Stripe has this id")
    if deposit.status is not TransferStatus.COMPLETED:
        return Refused(Code.TRANSFER_NOT_FOUND, f"transfer_id: this deposit is {deposit.status.value}")
    digits = min(minor_digits(deposit.asset), deposit.scale)
    try:
        units = parse_decimal(amount, digits) * int(10 ** (deposit.scale - digits))
    except DecimalError as error:
        return Refused(Code.TRANSFER_AMOUNT_INVALID, f"amount: {error}")
    undone = undone_units(deposit, transfers=transfers)
    if not 0 < units <= deposit.units - undone:
        back = format_units(undone, deposit.scale)
        return Refused(
            Code.TRANSFER_AMOUNT_INVALID,
            f"amount: {deposit.amount} was deposited, and {back} of it went back or is about to",
        )
    digest = command_id_for("refund", 0, proposal_id)
    transfer_id = to_uuid((int.from_bytes(digest[:8], "big") >> 1) or 1)
    return Transfer(
        transfer_id=transfer_id,
        account_id=deposit.account_id,
        kind=TransferKind.WITHDRAW,
        asset=deposit.asset,
        scale=deposit.scale,
        units=units,
        rail=STRIPE,
        payment_method_id=deposit.payment_method_id,
        created_at_ns=at_ns,
        payment=PaymentState.REQUESTED,
        task_token=transfer_id,
        reverses=deposit.transfer_id,
    )


def take_refund(said: Notification, *, books: Books) -> str | Refused:
    """Take what Stripe has a refund as, and post what follows; again, and in any order, it is the same.

    Refuses:  as `take_notification`.
    Raises:   UnavailableError where others were faster at every attempt; OutcomeUnknownError. It is told again then.
    """
    refund = books.transfers.transfer(said.transfer_id)
    came_back = said.outcome is Outcome.DECLINED
    if refund is not None and came_back and refund.payment is PaymentState.BOOKED:
        if refund.bank_reference != said.bank_reference:
            return Refused(Code.PAYMENT_NOTIFICATION_INVALID, f"bank_reference: this refund is {refund.bank_reference}")
        books.post(refund.transfer_id)  # Where a crash came between Stripe's first word and its posting.
        return _give_again(refund, said, books=books)
    if refund is not None and not came_back and books.transfers.transfer(given_id(_undone(said))) is not None:
        return "repeated"  # What was asked for earlier is heard later.
    return take_notification(said, transfers=books.transfers, waiters=books, note=books.note)


def _undone(said: Notification) -> TakenBack:
    return TakenBack(said.bank_reference, said.transfer_id, said.amount, said.currency, gone=False, reason=said.reason)


def _give_again(refund: Transfer, said: Notification, *, books: Books) -> str:
    undone = _undone(said)
    for attempt in range(ATTEMPTS_MAX):
        if books.transfers.transfer(given_id(undone)) is not None:
            return "repeated"
        owed = owed_units(refund.account_id, refund.asset, debts=books.debts)
        given = replace(
            given_again(refund, undone, owed=owed, now_ns=books.clock.now_ns()),
            cancel_reason=f"the refund failed: {said.reason}",
        )
        batch = reversal_batch(given, books.journal.head(PARTITION), posted_at_ns=given.completed_at_ns)
        if books.reversals.post_reversal(given, batch, movements_of(batch)) is Posted.DONE:
            return "recorded"
        books.pause(attempt)
    raise UnavailableError(f"refund {refund.transfer_id}: the chain of Stripe was busy {ATTEMPTS_MAX} times")


def see_to_refunds(*, refunds: Refunds, stripe: AtStripe, books: Books) -> int:
    """Ask Stripe for every refund that was approved; return how many. One that can't be asked stops no other.

    Raises:   UnavailableError where the list can't be read.
    """
    waiting = refunds.open_refunds()
    for transfer_id in waiting:
        try:
            _ask(transfer_id, refunds=refunds, stripe=stripe, books=books)
        except OutageError as error:
            books.note(f"refund {transfer_id} is asked for again: {error}")
    return len(waiting)


def _ask(transfer_id: str, *, refunds: Refunds, stripe: AtStripe, books: Books) -> None:
    refund = books.transfers.transfer(transfer_id)
    deposit = books.transfers.transfer(refund.reverses) if refund is not None else None
    if refund is not None and deposit is not None and refund.status is TransferStatus.PENDING:
        taken = take_refund(stripe.refund(refund, deposit.bank_reference), books=books)
        if isinstance(taken, Refused):
            books.note(f"refund {transfer_id}: what Stripe said does not fit: {taken.message}")
            return
    refunds.close_refund(transfer_id)
