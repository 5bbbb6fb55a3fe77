"""Postings of deposits and moves in DynamoDB: transfers, journal batch and balances in one transaction."""

from collections.abc import Sequence

from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import cancellation_codes
from exchange.kernel.errors import UnavailableError
from exchange.ledger.model import Batch
from exchange.ledger.store import append_batch, move_balances
from exchange.transfers.model import PaymentState, Transfer, TransferStatus
from exchange.transfers.store import TransferItem, transfer_item
from exchange.wallets.model import Credit, movements_of
from exchange.wallets.moving import Moved

_FAILED = "ConditionalCheckFailed"
_LOST = frozenset({_FAILED, "TransactionConflict"})


class PostingStore:
    """Posts a deposit or a move once."""

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

    def post_move(self, sent: Transfer, received: Transfer, batch: Batch) -> Moved:
        """Put both sides of a move, append its batch and move the balances, all or nothing.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        transaction = TransactWrite(connection=self._connection)
        try:
            with transaction:
                for side in (sent, received):
                    transaction.save(transfer_item(side), condition=TransferItem.transfer_id.does_not_exist())
                append_batch(transaction, batch)
                move_balances(transaction, movements_of(batch))
        except TransactWriteError as error:
            return _unmoved(sent, cancellation_codes(error))
        return Moved.DONE


def _unmoved(sent: Transfer, codes: Sequence[str]) -> Moved:
    # PynamoDB sends puts first, in the order they were saved: the two transfers, the batch; then the balances.
    if codes[0] == _FAILED or codes[1] == _FAILED:
        return Moved.KNOWN
    if codes[2] == _FAILED or "TransactionConflict" in codes:
        return Moved.LOST
    if _FAILED in codes[3:]:
        return Moved.POOR
    raise UnavailableError(f"moving {sent.transfer_id}: {list(codes)}")
