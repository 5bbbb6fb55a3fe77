"""Between the hold and whoever pays: a withdrawal is screened, looked at by operators where that is due, or called off.

Unknown is never clear: whatever the screening does not say in its own words is asked again later.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused, UnavailableError, unreachable
from exchange.ledger.model import Movements
from exchange.transfers.model import Clearance, Transfer, TransferStatus
from exchange.wallets.model import Credit
from exchange.wallets.withdrawing import ATTEMPTS_MAX, return_movements

CANCELED_BY_OWNER = "canceled by the customer"
CLOSED = "closed"
TRANSFER_ID_CHARACTERS_MAX = 64


class Verdict(StrEnum):
    """What a screening says of a withdrawal."""

    CLEAR = "clear"
    HIT = "hit"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Screened:
    """A verdict and why."""

    verdict: Verdict
    reason: str = ""


class Screening(Protocol):
    """Whoever knows where money must not go."""

    def screen(self, transfer: Transfer) -> Screened:
        """Ask about one withdrawal; asking again is harmless. Never raises: what can't be asked is unknown."""
        ...


class Transfers(Protocol):
    """Where transfers are kept."""

    def transfer(self, transfer_id: str) -> Transfer | None:
        """One transfer, as it is now."""
        ...

    def clear(self, transfer: Transfer, clearance: Clearance, reason: str) -> bool:
        """Note what came of the screening; False where the transfer is not any more as it was."""
        ...

    def await_review(self, transfer_id: str, token: str) -> bool:
        """Note who waits for the operators; False where nobody needs to wait any more."""
        ...


class Waiters(Protocol):
    """Whoever waits behind a task token."""

    def booked(self, task_token: str, transfer_id: str) -> bool:
        """Let the transfer go on. False where nobody waits any more."""
        ...


class Cancellations(Protocol):
    """The write that calls a withdrawal off."""

    def return_withdrawal(self, transfer: Transfer, movements: Movements, *, reason: str, at_ns: int) -> Credit:
        """Cancel the transfer and give its money back, or nothing."""
        ...


def clear_withdrawal(transfer_id: str, *, transfers: Transfers, screening: Screening) -> tuple[Transfer, str]:
    """Screen a withdrawal that waits for it, and say how it stands: a clearance, or `closed`. Harmless to repeat.

    Raises:   OutageError; run it again then.
    """
    for _ in range(ATTEMPTS_MAX):
        transfer = _existing(transfers, transfer_id)
        if transfer.status is not TransferStatus.PENDING:
            return transfer, CLOSED
        if transfer.clearance is not Clearance.WAITING:
            return transfer, transfer.clearance.value
        screened = screening.screen(transfer)
        if screened.verdict is Verdict.UNKNOWN:
            return transfer, Clearance.WAITING.value
        hit = f"screening: {screened.reason or 'a hit'}" if screened.verdict is Verdict.HIT else ""
        reason = "; ".join(part for part in (transfer.review_reason, hit) if part)
        transfers.clear(transfer, Clearance.REVIEW if reason else Clearance.CLEARED, reason)
    raise UnavailableError(f"withdrawal {transfer_id} changed {ATTEMPTS_MAX} times while it was screened")


def await_review(transfer_id: str, token: str, *, transfers: Transfers, waiters: Waiters) -> Transfer:
    """Note the machine that waits for the operators; where they have decided meanwhile, it goes on at once.

    Raises:   OutageError; run it again then.
    """
    if not transfers.await_review(transfer_id, token):
        waiters.booked(token, transfer_id)
    return _existing(transfers, transfer_id)


def cancel_withdrawal(
    account_id: int,
    transfer_id: str,
    *,
    transfers: Transfers,
    postings: Cancellations,
    waiters: Waiters,
    clock: Clock,
    pause: Callable[[int], None],
) -> Transfer | Refused:
    """Call an own withdrawal off while nobody can have been asked to pay it; doing so again changes nothing.

    Refuses:  TRANSFER_NOT_FOUND, WITHDRAWAL_NOT_CANCELABLE (in this order).
    Raises:   UnavailableError, OutcomeUnknownError: calling it off again tells.
    """
    for attempt in range(ATTEMPTS_MAX):
        # An id that is none is no key of the table either, which may be too long to be asked for.
        transfer = transfers.transfer(transfer_id) if len(transfer_id) <= TRANSFER_ID_CHARACTERS_MAX else None
        if transfer is None or transfer.account_id != account_id:
            return Refused(Code.TRANSFER_NOT_FOUND, "transfer not found")
        if transfer.cancel_reason == CANCELED_BY_OWNER:
            return transfer
        if not transfer.cancelable:
            return Refused(Code.WITHDRAWAL_NOT_CANCELABLE, f"it is {transfer.stage.value.replace('_', ' ')} already")
        movements, now_ns = return_movements(transfer), clock.now_ns()
        done = postings.return_withdrawal(transfer, movements, reason=CANCELED_BY_OWNER, at_ns=now_ns)
        if done is Credit.LOST:
            pause(attempt)
        elif transfer.review_token:
            waiters.booked(transfer.review_token, transfer_id)  # its machine need not wait for operators any more
    raise UnavailableError(f"withdrawal {transfer_id}: its balance was busy {ATTEMPTS_MAX} times")


def _existing(transfers: Transfers, transfer_id: str) -> Transfer:
    transfer = transfers.transfer(transfer_id)
    if transfer is None:
        unreachable(f"transfer {transfer_id} does not exist")
    return transfer
