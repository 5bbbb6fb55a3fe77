"""A customer's status in DynamoDB, changed with its audit row or by the effect of an approved proposal."""

from collections.abc import Mapping

from pynamodb.connection import Connection
from pynamodb.transactions import TransactWrite

from exchange.admin.model import SET_KYC_LEVEL, UNFREEZE
from exchange.approvals.model import AuditRow, Proposal
from exchange.approvals.store import Effect, recorded
from exchange.breaks.model import EXPLAIN
from exchange.breaks.store import explain
from exchange.users.model import Customer, CustomerStatus
from exchange.users.store import CustomerItem


class StatusStore:
    """Changes what a customer may do."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def change_status(self, before: Customer, after: Customer, row: AuditRow) -> bool:
        """Change a customer's status together with its audit row; False where it is not any more as it was.

        Raises:   OutageError.
        """

        def fill(transaction: TransactWrite) -> None:
            _set_status(transaction, before.user_id, before.status, after.status)

        return recorded(self._connection, row, fill)


def unfreeze(transaction: TransactWrite, proposal: Proposal) -> None:
    """The effect of an approved customer.unfreeze: the customer, frozen until now, is active."""
    _set_status(transaction, proposal.payload["user_id"], CustomerStatus.FROZEN, CustomerStatus.ACTIVE)


def set_kyc_level(transaction: TransactWrite, proposal: Proposal) -> None:
    """The effect of an approved customer.set_kyc_level."""
    transaction.update(
        CustomerItem(proposal.payload["user_id"]),
        actions=[CustomerItem.kyc_level.set(int(proposal.payload["level"]))],
        condition=CustomerItem.user_id.exists(),
    )


def _set_status(transaction: TransactWrite, user_id: str, before: CustomerStatus, after: CustomerStatus) -> None:
    transaction.update(
        CustomerItem(user_id),
        actions=[CustomerItem.status.set(after.value)],
        condition=CustomerItem.status == before.value,
    )


# What each of these kinds does in the write of its approval.
IMMEDIATE_EFFECTS: Mapping[str, Effect] = {UNFREEZE: unfreeze, SET_KYC_LEVEL: set_kyc_level, EXPLAIN: explain}
