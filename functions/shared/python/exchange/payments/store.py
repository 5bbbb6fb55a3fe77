"""Reversals in DynamoDB: the transfer, the journal's batch and the balances in one transaction."""

from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import cancellation_codes
from exchange.kernel.errors import UnavailableError
from exchange.ledger.model import Batch, Movements
from exchange.ledger.store import append_batch, move_balances
from exchange.payments.reversing import Posted
from exchange.transfers.model import Transfer
from exchange.transfers.store import TransferItem, mark_undone, transfer_item

_LOST = frozenset({"ConditionalCheckFailed", "TransactionConflict"})


class ReversalStore:
    """Posts reversals, each once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def post_reversal(
        self, transfer: Transfer, batch: Batch, movements: Movements, *, undoes: Transfer | None = None
    ) -> Posted:
        """Put the transfer, append the batch and move the balances, and mark what it `undoes`, all or nothing.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        transaction = TransactWrite(connection=self._connection)
        try:
            with transaction:
                transaction.save(transfer_item(transfer), condition=TransferItem.transfer_id.does_not_exist())
                if undoes is not None:
                    mark_undone(transaction, undoes, transfer.transfer_id)
                append_batch(transaction, batch)
                move_balances(transaction, movements)
        except TransactWriteError as error:
            codes = cancellation_codes(error)
            if _LOST.intersection(codes):
                return Posted.LOST
            raise UnavailableError(f"reversing {transfer.reverses}: {list(codes)}") from error
        return Posted.DONE
