"""The posting of a deposit in DynamoDB: transfer, journal batch and balances in one transaction."""

from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import cancellation_codes
from exchange.kernel.errors import UnavailableError
from exchange.ledger.model import Batch
from exchange.ledger.store import append_batch, move_balances
from exchange.transfers.model import PaymentState, Transfer, TransferStatus
from exchange.transfers.store import TransferItem
from exchange.wallets.model import Credit, movements_of

_LOST = frozenset({"ConditionalCheckFailed", "TransactionConflict"})


class PostingStore:
    """Posts a deposit once."""

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
