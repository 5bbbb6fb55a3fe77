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
from exchange.users.model import Customer, CustomerStatus
from exchange.wallets.model import Credit
from exchange.wallets.withdrawing import ATTEMPTS_MAX, return_movements

CANCELED_BY_OWNER = "canceled by the customer"
CLOSED = "closed"
FROZEN = "frozen"
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

    def send_to_review(self, transfer: Transfer, reason: str) -> bool:
        """Have operators look at a transfer; False where it is not any more as it was."""
        ...

    def await_review(self, transfer_id: str, token: str) -> bool:
        """Note who waits for the operators; False where nobody needs to wait any more."""
        ...


class Breaks(Protocol):
    """What reconciliation found."""

    def stopped(self, asset: str) -> bool:
        """Whether a break of an asset is open."""
        ...


class Owners(Protocol):
    """Whose accounts are."""

    def owner_of(self, account_id: int) -> Customer | None:
        """A customer as they are now; None where an account is so new that its owner is not found yet."""
        ...


class Clearings(Protocol):
    """The write after which the payer may be asked."""

    def let_go(self, transfer: Transfer, user_id: str) -> bool:
        """Clear a transfer, or nothing: False where it is not as it was, its owner not active, its asset stopped."""
        ...


@dataclass(frozen=True, slots=True)
class Holds:
    """What holds a withdrawal back beside its screening, and the write that holds to it."""

    breaks: Breaks
    owners: Owners
    clearings: Clearings


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


def clear_withdrawal(
    transfer_id: str, *, transfers: Transfers, screening: Screening, holds: Holds
) -> tuple[Transfer, str]:
    """Screen a withdrawal that waits for it, and say how it stands: a clearance, or `closed`. Harmless to repeat.

    While its asset is stopped it waits. Where its owner is frozen operators are to look at it.

    Raises:   OutageError; run it again then.
    """
    for _ in range(ATTEMPTS_MAX):
        transfer = _existing(transfers, transfer_id)
        if transfer.status is not TransferStatus.PENDING:
            return transfer, CLOSED
        if transfer.clearance is not Clearance.WAITING:
            return transfer, transfer.clearance.value
        owner = holds.owners.owner_of(transfer.account_id)
        if owner is None or holds.breaks.stopped(transfer.asset):
            return transfer, Clearance.WAITING.value
        screened = screening.screen(transfer)
        if screened.verdict is Verdict.UNKNOWN:
            return transfer, Clearance.WAITING.value
        hit = f"screening: {screened.reason or 'a hit'}" if screened.verdict is Verdict.HIT else ""
        frozen = "" if owner.status is CustomerStatus.ACTIVE else FROZEN
        if reason := "; ".join(part for part in (transfer.review_reason, hit, frozen) if part):
            transfers.send_to_review(transfer, reason)
        else:
            holds.clearings.let_go(transfer, owner.user_id)
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
