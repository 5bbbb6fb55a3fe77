"""Telling the state machine of a transfer what became of its payment, whoever paid: a bank or a chain."""

from collections.abc import Callable
from typing import Protocol

from exchange.transfers.model import PaymentState, Transfer, TransferStatus


class Waiters(Protocol):
    """Whoever waits for an answer behind a task token."""

    def booked(self, task_token: str, transfer_id: str) -> bool:
        """The money has moved. False where nobody waits any more."""
        ...

    def declined(self, task_token: str, reason: str) -> bool:
        """It never will. False where nobody waits any more."""
        ...


def wake(transfer: Transfer, *, waiters: Waiters, note: Callable[[str], None]) -> None:
    """Tell whoever waits for a transfer what its payment came to; one that is closed has nobody.

    Raises:   UnavailableError; doing it again is harmless.
    """
    if transfer.status is not TransferStatus.PENDING:
        return
    if transfer.payment is PaymentState.BOOKED:
        awake = waiters.booked(transfer.task_token, transfer.transfer_id)
    else:
        awake = waiters.declined(transfer.task_token, transfer.decline_reason)
    if not awake:
        note(
            f"{transfer.transfer_id} is {transfer.payment} and nobody waits; if it stays pending, redrive its execution"
        )


def let_go(transfer: Transfer, task_token: str, *, waiters: Waiters) -> None:
    """A machine that comes again to a transfer that has ended goes on to its own end instead of waiting."""
    if transfer.status is TransferStatus.COMPLETED:
        waiters.booked(task_token, transfer.transfer_id)
    elif transfer.status is TransferStatus.CANCELED:
        waiters.declined(task_token, transfer.cancel_reason)
