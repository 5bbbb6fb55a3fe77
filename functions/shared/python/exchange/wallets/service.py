"""Deposits: asking for one, crediting it once its money is provably here, closing it when the bank declined."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from exchange.kernel.clock import Clock
from exchange.kernel.errors import (
    Code,
    OutageError,
    OutcomeUnknownError,
    Refused,
    UnavailableError,
    require,
    unreachable,
)
from exchange.ledger.debts import Debts, owed_units, settled_of
from exchange.ledger.model import Batch, Head
from exchange.transfers.model import PaymentState, Transfer, TransferStatus
from exchange.wallets.model import Credit, cancel_reason, deposit_batch, journal_partition

# Deposits of one rail take turns at the end of its chain; so many turns outlast any burst that one chain bears.
ATTEMPTS_MAX = 32


class Transfers(Protocol):
    """Where transfers are kept."""

    def create(self, transfer: Transfer) -> bool:
        """Put a new transfer; False where its id is taken."""
        ...

    def transfer(self, transfer_id: str) -> Transfer | None:
        """One transfer, as it is now."""
        ...

    def cancel(self, transfer_id: str, *, reason: str, canceled_at_ns: int) -> bool:
        """Close a transfer that the bank declined or was never asked for; False where it may have paid."""
        ...


class Journal(Protocol):
    """Where batches are chained."""

    def head(self, partition: str) -> Head:
        """The last batch of a partition, as it is now."""
        ...


class Postings(Protocol):
    """The one write that makes a deposit money."""

    def post_deposit(self, transfer: Transfer, batch: Batch) -> Credit:
        """Transfer, journal and balances, all or nothing."""
        ...


class DepositMachine(Protocol):
    """The state machine that sees a deposit through."""

    def start(self, transfer_id: str) -> None:
        """Start it for a transfer; starting it again changes nothing."""
        ...


def request_deposit(transfer: Transfer, *, transfers: Transfers, machine: DepositMachine) -> Transfer | Refused:
    """Write a deposit down and set its state machine going. Repeating it under the same client id changes nothing.

    Refuses:  TRANSFER_KEY_REUSED.
    Raises:   UnavailableError, and there is no deposit; OutcomeUnknownError: a repeat under the same client id finishes
              what was begun.
    """
    known = transfer if transfers.create(transfer) else _known(transfers, transfer.transfer_id)
    if not known.same_request(transfer):
        return Refused(
            Code.TRANSFER_KEY_REUSED, "client_transfer_id: already used for another transfer; take a new one"
        )
    if known.status is TransferStatus.PENDING:
        _start(known, transfers=transfers, machine=machine)
    return known


def _known(transfers: Transfers, transfer_id: str) -> Transfer:
    try:
        return _existing(transfers, transfer_id)
    except UnavailableError as error:
        # The write that found the id taken may have met its own first try, whose answer was lost.
        raise OutcomeUnknownError(f"deposit {transfer_id} is written down, and can't be read: {error}") from error


def _start(transfer: Transfer, *, transfers: Transfers, machine: DepositMachine) -> None:
    """Start a deposit that is written down: where that fails the sweeper does it, unless nobody could ask for it again.

    Raises:   UnavailableError where the deposit is canceled; OutcomeUnknownError.
    """
    try:
        machine.start(transfer.transfer_id)
    except UnavailableError as error:
        if not transfer.client_transfer_id and _called_off(transfer, transfers):
            raise
        raise OutcomeUnknownError(f"deposit {transfer.transfer_id} is written down, not started: {error}") from error


def _called_off(transfer: Transfer, transfers: Transfers) -> bool:
    try:
        return transfers.cancel(
            transfer.transfer_id, reason="could not be started", canceled_at_ns=transfer.created_at_ns
        )
    except OutageError:
        return False


def credit_deposit(
    transfer_id: str,
    *,
    transfers: Transfers,
    journal: Journal,
    postings: Postings,
    debts: Debts,
    clock: Clock,
    pause: Callable[[int], None],
) -> Transfer:
    """Post a deposit whose money is here: the transfer, the journal and the balances in one write.

    Where the account owes the venue of that asset, the deposit settles that first, and says so.

    Run again at any time, after any crash, it posts nothing twice: the transfer's own status is in the condition.

    Raises:   InvariantError where the bank has not booked the whole amount, or the transfer was canceled;
              UnavailableError where other deposits were faster at every attempt; OutcomeUnknownError.
    """
    for attempt in range(ATTEMPTS_MAX):
        transfer = _existing(transfers, transfer_id)
        if transfer.status is TransferStatus.COMPLETED:
            return transfer
        require(transfer.creditable, f"deposit {transfer_id} is {transfer.status} and its payment {transfer.payment}")
        owed = owed_units(transfer.account_id, transfer.asset, debts=debts)
        transfer = replace(transfer, settled_units=settled_of(transfer.received_units, owed))
        head = journal.head(journal_partition(transfer.rail))
        batch = deposit_batch(transfer, head, posted_at_ns=clock.now_ns())
        if postings.post_deposit(transfer, batch) is Credit.LOST:
            pause(attempt)
    transfer = _existing(transfers, transfer_id)
    if transfer.status is TransferStatus.COMPLETED:
        return transfer
    raise UnavailableError(f"deposit {transfer_id}: the chain of {transfer.rail} was busy {ATTEMPTS_MAX} times")


def fail_deposit(transfer_id: str, *, transfers: Transfers, clock: Clock) -> Transfer:
    """Close a deposit that the bank declined. Only the bank's own word, already noted, may do that.

    Raises:   InvariantError where the bank has not declined; OutageError.
    """
    transfer = _existing(transfers, transfer_id)
    if transfer.status is TransferStatus.CANCELED:
        return transfer
    declined = transfer.status is TransferStatus.PENDING and transfer.payment is PaymentState.DECLINED
    require(declined, f"deposit {transfer_id} is {transfer.status} and its payment {transfer.payment}")
    transfers.cancel(transfer_id, reason=cancel_reason(transfer), canceled_at_ns=clock.now_ns())
    return _existing(transfers, transfer_id)


def _existing(transfers: Transfers, transfer_id: str) -> Transfer:
    transfer = transfers.transfer(transfer_id)
    if transfer is None:
        unreachable(f"transfer {transfer_id} does not exist")
    return transfer
