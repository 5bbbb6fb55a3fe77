"""Money leaves only from a customer whom nobody has frozen, and of an asset that is not stopped."""

from pynamodb.transactions import TransactWrite

from exchange.approvals.model import UnfitError
from exchange.aws.dynamodb import connection
from exchange.breaks.store import BreakStore, guard_unstopped
from exchange.transfers.model import Transfer
from exchange.users.model import CustomerStatus
from exchange.users.store import CustomerStore, guard_active


def guard_leaving(transaction: TransactWrite, transfer: Transfer) -> None:
    """Add to an operators' write that lets a customer's money leave what forbids it: as words now, as conditions then.

    Raises:   UnfitError where the customer is frozen or the asset is stopped; UnavailableError.
    """
    owner = CustomerStore().owner_of(transfer.account_id)
    if owner is None or owner.status is not CustomerStatus.ACTIVE:
        raise UnfitError(f"the customer is {owner.status.value if owner else 'not there'}: unfreeze them first")
    if BreakStore(connection()).stopped(transfer.asset):
        raise UnfitError(f"{transfer.asset} is stopped: explain its break first")
    guard_active(transaction, owner.user_id)
    guard_unstopped(transaction, transfer.asset)
