"""The chart of accounts: what each account of the ledger is to the venue, and how its books name it.

A positive balance is owed by the venue, was earned by it, or was put in by its owners; a negative one is what the
outside world holds for it, or what it has spent.
"""

from dataclasses import dataclass
from enum import StrEnum

from exchange.kernel.errors import require
from exchange.ledger.model import HOUSE_PREFIX


class Side(StrEnum):
    """Where a heading stands: the first three on the balance sheet, the others in profit and loss."""

    ASSET = "asset"
    LIABILITY = "liability"
    EQUITY = "equity"
    INCOME = "income"
    EXPENSE = "expense"


@dataclass(frozen=True, slots=True, order=True)
class Heading:
    """A line of the books: one account of the venue's own, or all customers together."""

    side: Side
    name: str


CUSTOMERS = Heading(Side.LIABILITY, "customers")
# The first word of a venue's own account, and its side.
HOUSE_SIDES = {
    "custody": Side.ASSET,
    "receivable": Side.ASSET,
    "suspense": Side.LIABILITY,
    "capital": Side.EQUITY,
    "fees": Side.INCOME,
    "costs": Side.EXPENSE,
    "losses": Side.EXPENSE,
}


def heading_of(account: str) -> Heading:
    """The heading an account is booked under. Raises InvariantError for a venue's account the chart does not have."""
    if not account.startswith(HOUSE_PREFIX):
        return CUSTOMERS
    name = account.removeprefix(HOUSE_PREFIX)
    word = name.partition(":")[0]
    require(word in HOUSE_SIDES, f"{account} is not in the chart of accounts")
    return Heading(HOUSE_SIDES[word], name)
