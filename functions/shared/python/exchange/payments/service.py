"""Asking the bank, and taking its answer: written down once, then told to the state machine that waits for it."""

import json
from collections.abc import Callable, Mapping
from typing import Protocol

from exchange.kernel.errors import Code, Refused, UnavailableError, require
from exchange.payments.model import (
    BANK,
    OUTSIDE,
    Asked,
    Instruction,
    Notification,
    Repeat,
    instruction_for,
    judge,
    provider_of,
)
from exchange.transfers.model import BankAnswer, Recorded, Transfer
from exchange.transfers.waiting import Waiters, let_go, wake

# A lost race is judged again on what is there now; it can't be lost often, for each answer is written only once.
ATTEMPTS_MAX = 4


class Transfers(Protocol):
    """Where transfers are kept."""

    def transfer(self, transfer_id: str) -> Transfer | None:
        """One transfer, as it is now."""
        ...

    def await_bank(self, transfer_id: str, task_token: str) -> bool:
        """Note who waits for the bank's answer; False where the transfer is closed and nobody needs to wait."""
        ...

    def note_asked(self, transfer_id: str, *, provider_reference: str, funding: str) -> None:
        """Note how the provider names a payment and where the customer is to send it."""
        ...

    def record_answer(self, transfer: Transfer, answer: BankAnswer) -> Recorded:
        """Write the bank's answer down, once."""
        ...


class PaymentProvider(Protocol):
    """Whoever pays and collects for us outside."""

    def instruct(self, instruction: Instruction) -> Asked:
        """Ask for a payment; asking again under the same id is asking once."""
        ...


class ByRail:
    """Providers side by side: a payment goes to its rail's own, or to the bank."""

    def __init__(self, bank: PaymentProvider, others: Mapping[str, Callable[[], PaymentProvider]]) -> None:
        self._bank = bank
        self._others = others

    def instruct(self, instruction: Instruction) -> Asked:
        """Ask the one whose rail it is."""
        other = self._others.get(provider_of(instruction.rail))
        require(other is not None or provider_of(instruction.rail) == BANK, f"nobody pays on rail {instruction.rail}")
        return (other() if other else self._bank).instruct(instruction)


def ask_bank(
    transfer_id: str,
    task_token: str,
    *,
    transfers: Transfers,
    bank: PaymentProvider,
    waiters: Waiters,
    note: Callable[[str], None],
) -> None:
    """Ask the bank to collect a deposit or to pay a withdrawal. The waiter is noted first, so that no answer can come
    too early.

    Asking again is harmless: the bank knows the instruction by our id, and repeats an answer that it gave already;
    by then the newest waiter is noted, so the repeated answer finds it.

    Raises:   InvariantError for an unknown transfer; OutageError.
    """
    transfer = transfers.transfer(transfer_id)
    require(transfer is not None and transfer.kind in OUTSIDE, f"{transfer_id} is nothing to ask the bank about")
    if transfer is None:
        return
    if not transfers.await_bank(transfer_id, task_token):
        let_go(transfers.transfer(transfer_id) or transfer, task_token, waiters=waiters)
        return
    asked = bank.instruct(instruction_for(transfer))
    if asked.provider_reference:
        funding = json.dumps(dict(asked.funding), sort_keys=True) if asked.funding else ""
        transfers.note_asked(transfer_id, provider_reference=asked.provider_reference, funding=funding)
    if asked.said is not None:  # A lost webhook is made good for by asking again.
        taken = take_notification(asked.said, transfers=transfers, waiters=waiters, note=note)
        if isinstance(taken, Refused):
            note(f"{transfer_id}: what the provider said does not fit: {taken.message}")


def take_notification(
    notification: Notification, *, transfers: Transfers, waiters: Waiters, note: Callable[[str], None]
) -> str | Refused:
    """Take a notification whose signature is verified: record it once, wake the waiter, answer what happened.

    A repeat records nothing and wakes again, so whatever a crash cut short, the bank's next repeat completes.

    Refuses:  TRANSFER_NOT_FOUND, PAYMENT_NOTIFICATION_INVALID (in this order).
    Raises:   OutageError, and the bank repeats.
    """
    for _ in range(ATTEMPTS_MAX):
        transfer = transfers.transfer(notification.transfer_id)
        if transfer is None:
            return Refused(Code.TRANSFER_NOT_FOUND, "transfer_id: no such transfer")
        verdict = judge(transfer, notification)
        if isinstance(verdict, Refused):
            return verdict
        if isinstance(verdict, Repeat):
            wake(transfer, waiters=waiters, note=note)
            return "repeated"
        if transfers.record_answer(transfer, verdict) is Recorded.DONE:
            # Read again: a newer waiter may have come between, and it must be the one to wake.
            wake(transfers.transfer(notification.transfer_id) or transfer, waiters=waiters, note=note)
            return "recorded"
        if transfers.transfer(notification.transfer_id) == transfer:
            return Refused(
                Code.PAYMENT_NOTIFICATION_INVALID, "event_id or bank_reference: already used for another transfer"
            )
    raise UnavailableError(f"transfer {notification.transfer_id} changed {ATTEMPTS_MAX} times while it was judged")
