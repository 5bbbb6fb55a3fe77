"""The write that clears a withdrawal: after it the payer may be asked, so what forbids that is its condition."""

from pynamodb.connection import Connection
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from exchange.approvals.store import committed
from exchange.breaks.store import guard_unstopped
from exchange.transfers.model import Clearance, Transfer
from exchange.transfers.store import TransferItem, still_uncleared
from exchange.users.store import guard_active


class ClearanceStore:
    """Clears withdrawals that nobody needs to look at."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def let_go(self, transfer: Transfer, user_id: str) -> bool:
        """Clear a withdrawal; False where it is not any more as it was, its owner not active, or its asset stopped.

        Raises:   OutageError.
        """

        def fill(transaction: TransactWrite) -> None:
            cleared: list[Action] = [TransferItem.clearance.set(Clearance.CLEARED.value)]
            item, still = TransferItem(transfer.transfer_id), still_uncleared(transfer)
            transaction.update(item, actions=cleared, condition=still)
            guard_active(transaction, user_id)
            guard_unstopped(transaction, transfer.asset)

        return committed(self._connection, fill)
