"""What a customer owes is settled first by what they pay in: the receivable goes down before the balance goes up."""

from collections.abc import Sequence
from typing import Protocol

from exchange.ledger.model import Balance, customer_account, receivable_account


class Debts(Protocol):
    """What accounts owe."""

    def owed(self, account_id: int) -> Sequence[Balance]:
        """What an account owes the venue; empty where it owes nothing."""
        ...


def owed_units(account_id: int, asset: str, *, debts: Debts) -> int:
    """What an account owes of one asset. Units: of the asset, zero or above."""
    return sum(-row.available for row in debts.owed(account_id) if row.asset == asset)


def settled_of(units: int, owed: int) -> int:
    """What of money that comes in settles what is owed; the rest is the customer's."""
    return min(units, max(owed, 0))


def money_in(account_id: int, units: int, *, settled: int) -> list[tuple[str, int]]:
    """The customer's side of a posting that brings money in: accounts and units, none of them zero."""
    lines = [(customer_account(account_id), units - settled), (receivable_account(account_id), settled)]
    return [(account, part) for account, part in lines if part]
