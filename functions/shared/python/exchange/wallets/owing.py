"""Whoever owes the venue takes no money out: what a payment taken back left behind is settled first."""

from collections.abc import Sequence
from typing import Protocol

from exchange.kernel.errors import Code, Refused
from exchange.ledger.model import Balance
from exchange.transfers.model import Transfer, transfer_id_for


class Balances(Protocol):
    """What accounts owe."""

    def owed(self, account_id: int) -> Sequence[Balance]:
        """What an account owes the venue; empty where it owes nothing."""
        ...


class Transfers(Protocol):
    """Where transfers are read."""

    def transfer(self, transfer_id: str) -> Transfer | None:
        """One transfer, as it is now."""
        ...


def refuse_debtor(
    account_id: int, client_transfer_id: str, *, balances: Balances, transfers: Transfers
) -> Refused | None:
    """Refuse to take money out of an account that owes; None where it may, and for what was accepted before.

    A repeat of an accepted request is not refused: whoever is told no must find that nothing happens.

    Refuses:  TRANSFER_ACCOUNT_OWES.
    """
    if not balances.owed(account_id):
        return None
    if client_transfer_id and transfers.transfer(transfer_id_for(account_id, client_transfer_id)) is not None:
        return None
    return Refused(
        Code.TRANSFER_ACCOUNT_OWES,
        "a payment of this account was taken back after it was spent; ask support how to settle what it owes",
    )
