"""Whose records differ pays nothing out: a break of an asset that nobody has explained stops its withdrawals."""

from collections.abc import Sequence
from typing import Protocol

from exchange.breaks.model import STOPPED
from exchange.kernel.errors import Refused
from exchange.ledger.model import Balance
from exchange.transfers.model import Transfer, transfer_id_for
from exchange.wallets.owing import refuse_debtor


class Balances(Protocol):
    """What accounts own and owe."""

    def balance(self, account_id: int, asset: str) -> Balance:
        """One balance, as it is now."""
        ...

    def owed(self, account_id: int) -> Sequence[Balance]:
        """What an account owes the venue; empty where it owes nothing."""
        ...


class Breaks(Protocol):
    """What reconciliation found."""

    def stopped(self, asset: str) -> bool:
        """Whether a break of an asset is open."""
        ...


class Transfers(Protocol):
    """Where transfers are read."""

    def transfer(self, transfer_id: str) -> Transfer | None:
        """One transfer, as it is now."""
        ...


def refuse_withdrawal(
    account_id: int, asset: str, client_transfer_id: str, *, balances: Balances, breaks: Breaks, transfers: Transfers
) -> Refused | None:
    """Refuse a new withdrawal of who owes us, and of an asset that is stopped; None where it may go on.

    Refuses:  TRANSFER_ACCOUNT_OWES, TRANSFER_ASSET_STOPPED (in this order).
    Raises:   UnavailableError.
    """
    owes = refuse_debtor(account_id, client_transfer_id, balances=balances, transfers=transfers)
    return owes or refuse_stopped(account_id, asset, client_transfer_id, breaks=breaks, transfers=transfers)


def refuse_stopped(
    account_id: int, asset: str, client_transfer_id: str, *, breaks: Breaks, transfers: Transfers
) -> Refused | None:
    """Refuse a new withdrawal of an asset with an open break; None where there is none, and for what was accepted.

    Refuses:  TRANSFER_ASSET_STOPPED.
    """
    if not breaks.stopped(asset):
        return None
    if client_transfer_id and transfers.transfer(transfer_id_for(account_id, client_transfer_id)) is not None:
        return None
    return STOPPED
