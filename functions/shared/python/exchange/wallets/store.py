"""Postings of deposits, withdrawals and moves in DynamoDB: transfers, journal batch and balances in one transaction."""

from collections.abc import Sequence

from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import cancellation_codes
from exchange.kernel.errors import UnavailableError
from exchange.ledger.model import Batch, Movements
from exchange.ledger.store import BalanceStore, append_batch, move_balances
from exchange.safeguards.model import Permit
from exchange.safeguards.store import guard_hold
from exchange.transfers.model import Clearance, PaymentState, Transfer, TransferStatus
from exchange.transfers.store import TransferItem, transfer_item
from exchange.wallets.model import Credit, movements_of
from exchange.wallets.moving import Moved
from exchange.wallets.withdrawing import Held

_FAILED = "ConditionalCheckFailed"
_LOST = frozenset({_FAILED, "TransactionConflict"})


class PostingStore:
    """Posts deposits, withdrawals and moves, each once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def post_deposit(self, transfer: Transfer, batch: Batch) -> Credit:
        """Complete a transfer, append its batch and move its balances, all or nothing.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        transaction = TransactWrite(connection=self._connection)
        pending = TransferItem.status == TransferStatus.PENDING.value
        booked = TransferItem.payment == PaymentState.BOOKED.value
        whole = TransferItem.received_units == transfer.units
        actions: list[Action] = [
            TransferItem.status.set(TransferStatus.COMPLETED.value),
            TransferItem.completed_at_ns.set(batch.posted_at_ns),
        ]
        if transfer.settled_units:
            actions.append(TransferItem.settled_units.set(transfer.settled_units))
        try:
            with transaction:
                append_batch(transaction, batch)
                transaction.update(
                    TransferItem(transfer.transfer_id), actions=actions, condition=pending & booked & whole
                )
                move_balances(transaction, movements_of(batch))
        except TransactWriteError as error:
            codes = cancellation_codes(error)
            if _LOST.intersection(codes):
                return Credit.LOST
            raise UnavailableError(f"posting {transfer.transfer_id}: {list(codes)}") from error
        return Credit.DONE

    def hold_withdrawal(self, permit: Permit, movements: Movements) -> Held:
        """Put a permitted withdrawal and hold its money while all that it was judged by is still so, or nothing.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        transaction = TransactWrite(connection=self._connection)
        item = transfer_item(permit.transfer)
        try:
            with transaction:
                transaction.save(item, condition=TransferItem.transfer_id.does_not_exist())
                move_balances(transaction, movements)
                guard_hold(transaction, permit)
        except TransactWriteError as error:
            held = _unheld(permit, cancellation_codes(error))
            return Held.LOST if held is Held.POOR and _affords(permit.transfer) else held
        return Held.DONE

    def post_withdrawal(self, transfer: Transfer, batch: Batch, movements: Movements) -> Credit:
        """Complete a withdrawal, append its batch and take the held money, all or nothing.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        ended: list[Action] = [
            TransferItem.status.set(TransferStatus.COMPLETED.value),
            TransferItem.completed_at_ns.set(batch.posted_at_ns),
        ]
        return self._end_withdrawal(transfer, PaymentState.BOOKED, ended, movements, batch)

    def return_withdrawal(self, transfer: Transfer, movements: Movements, *, reason: str, at_ns: int) -> Credit:
        """Cancel a withdrawal and give its money back, or nothing. Raises UnavailableError, OutcomeUnknownError."""
        ended: list[Action] = [
            TransferItem.status.set(TransferStatus.CANCELED.value),
            TransferItem.cancel_reason.set(reason),
            TransferItem.canceled_at_ns.set(at_ns),
            TransferItem.unstarted.remove(),
            TransferItem.in_review.remove(),
        ]
        return self._end_withdrawal(transfer, transfer.payment, ended, movements)

    def _end_withdrawal(
        self,
        transfer: Transfer,
        payment: PaymentState,
        ended: list[Action],
        movements: Movements,
        batch: Batch | None = None,
    ) -> Credit:
        transaction = TransactWrite(connection=self._connection)
        still = (TransferItem.status == TransferStatus.PENDING.value) & (TransferItem.payment == payment.value)
        if payment is PaymentState.NONE:  # Nobody was asked to pay, and must not be asked meanwhile.
            still &= TransferItem.clearance == transfer.clearance.value
        try:
            with transaction:
                if batch is not None:
                    append_batch(transaction, batch)
                transaction.update(TransferItem(transfer.transfer_id), actions=ended, condition=still)
                move_balances(transaction, movements)
        except TransactWriteError as error:
            codes = cancellation_codes(error)
            if _LOST.intersection(codes):
                return Credit.LOST
            raise UnavailableError(f"ending {transfer.transfer_id}: {list(codes)}") from error
        return Credit.DONE

    def post_move(self, sent: Transfer, received: Transfer, batch: Batch, permit: Permit | None = None) -> Moved:
        """Put both sides of a move, append its batch and move the balances, all or nothing; where it needed a permit,
        while what that was judged by is still so.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        transaction = TransactWrite(connection=self._connection)
        try:
            with transaction:
                for side in (sent, received):
                    transaction.save(transfer_item(side), condition=TransferItem.transfer_id.does_not_exist())
                append_batch(transaction, batch)
                move_balances(transaction, movements_of(batch))
                if permit is not None:
                    guard_hold(transaction, permit)
        except TransactWriteError as error:
            moved = _unmoved(sent, cancellation_codes(error), permit)
            return Moved.LOST if moved is Moved.POOR and _affords(sent) else moved
        return Moved.DONE


def _affords(transfer: Transfer) -> bool:
    """Whether the money is there after all: it went from one sub-balance to another while it was asked for."""
    wanted = transfer.held_units or transfer.units
    return BalanceStore().balance(transfer.account_id, transfer.asset).available >= wanted


def put_settlement(transaction: TransactWrite, settled: Transfer, batch: Batch) -> None:
    """Add a settlement of a debt to a transaction, which fails whole where it is there, or more than is owed.

    Raises:   UnavailableError.
    """
    transaction.save(transfer_item(settled), condition=TransferItem.transfer_id.does_not_exist())
    append_batch(transaction, batch)
    move_balances(transaction, movements_of(batch))


def decide_review(transaction: TransactWrite, transfer_id: str, clearance: Clearance) -> None:
    """What operators decided of a withdrawal in review, in the write of their decision."""
    pending = TransferItem.status == TransferStatus.PENDING.value
    in_review = TransferItem.clearance == Clearance.REVIEW.value
    transaction.update(
        TransferItem(transfer_id),
        actions=[TransferItem.clearance.set(clearance.value), TransferItem.in_review.remove()],
        condition=pending & in_review,
    )


def _unheld(permit: Permit, codes: Sequence[str]) -> Held:
    # PynamoDB sends the check of the owner first, then the put of the transfer, then the balances it is drawn from,
    # then what the permit was judged by.
    judged = len(codes) - (permit.use_after is not None) - bool(permit.totp_step)
    if codes[1] == _FAILED:
        return Held.KNOWN
    if "TransactionConflict" in codes or _FAILED in (codes[0], *codes[judged:]):
        return Held.LOST
    if _FAILED in codes[2:judged]:
        return Held.POOR
    raise UnavailableError(f"holding {permit.transfer.transfer_id}: {list(codes)}")


def _unmoved(sent: Transfer, codes: Sequence[str], permit: Permit | None) -> Moved:
    if permit is not None:  # The check of the owner comes first, what it was judged by last.
        judged = len(codes) - (permit.use_after is not None) - bool(permit.totp_step)
        changed = _FAILED in (codes[0], *codes[judged:])
        codes = codes[1:judged]
        if changed and _FAILED not in codes[:2]:
            return Moved.LOST
    # PynamoDB sends puts first, in the order they were saved: the two transfers, the batch; then the balances.
    if codes[0] == _FAILED or codes[1] == _FAILED:
        return Moved.KNOWN
    if codes[2] == _FAILED or "TransactionConflict" in codes:
        return Moved.LOST
    if _FAILED in codes[3:]:
        return Moved.POOR
    raise UnavailableError(f"moving {sent.transfer_id}: {list(codes)}")
