"""Whoever owes the venue takes no money out: what a payment taken back left behind is settled first.

It is settled by the next deposit of the same asset, by itself; or by two operators, who take it from the customer's
balance or let the venue bear it.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from exchange.instruments.model import Asset
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused
from exchange.kernel.money import DecimalError
from exchange.ledger.debts import owed_units
from exchange.ledger.model import (
    Balance,
    Batch,
    Entry,
    EntryKind,
    Head,
    customer_account,
    losses_account,
    next_batch,
    receivable_account,
)
from exchange.transfers.model import PaymentState, Transfer, TransferKind, TransferStatus, transfer_id_for
from exchange.wallets.model import journal_partition

RAIL = "debts"


class Way(StrEnum):
    """How operators settle a debt."""

    FROM_BALANCE = "from-balance"
    WRITE_OFF = "write-off"


class Balances(Protocol):
    """What accounts own and owe."""

    def balance(self, account_id: int, asset: str) -> Balance:
        """One balance, as it is now."""
        ...

    def owed(self, account_id: int) -> Sequence[Balance]:
        """What an account owes the venue; empty where it owes nothing."""
        ...


class Journal(Protocol):
    """Where batches are chained."""

    def head(self, partition: str) -> Head:
        """The last batch of a partition, as it is now."""
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


def new_settlement(
    name: str,
    account_id: int,
    amount: str,
    *,
    asset: Asset,
    way: Way,
    balances: Balances,
    journal: Journal,
    clock: Clock,
) -> tuple[Transfer, Batch] | Refused:
    """What settles an account's debt, or a part of it, by operators' word: written whole, and once for a `name`.

    Refuses:  TRANSFER_AMOUNT_INVALID, RISK_INSUFFICIENT_FUNDS (in this order).
    Raises:   UnavailableError.
    """
    units = _part_of_debt(account_id, amount, asset, way, balances)
    if isinstance(units, Refused):
        return units
    transfer_id = transfer_id_for(account_id, f"settle:{name}")
    settled = _settlement(transfer_id, account_id, units, asset=asset, way=way, at_ns=clock.now_ns())
    return settled, settlement_batch(settled, journal.head(journal_partition(RAIL)), way=way)


def _part_of_debt(account_id: int, amount: str, asset: Asset, way: Way, balances: Balances) -> int | Refused:
    owed = owed_units(account_id, asset.asset_id, debts=balances)
    try:
        units = asset.parse(amount)
    except DecimalError as error:
        return Refused(Code.TRANSFER_AMOUNT_INVALID, f"amount: {error}")
    if not 0 < units <= owed:
        return Refused(Code.TRANSFER_AMOUNT_INVALID, f"amount: the account owes {asset.format(owed)} {asset.asset_id}")
    if way is Way.FROM_BALANCE and balances.balance(account_id, asset.asset_id).available < units:
        return Refused(Code.RISK_INSUFFICIENT_FUNDS, "Insufficient funds")
    return units


def _settlement(transfer_id: str, account_id: int, units: int, *, asset: Asset, way: Way, at_ns: int) -> Transfer:
    taken = way is Way.FROM_BALANCE
    return Transfer(
        transfer_id=transfer_id,
        account_id=account_id,
        kind=TransferKind.WITHDRAW if taken else TransferKind.DEPOSIT,
        asset=asset.asset_id,
        scale=asset.scale,
        units=units,
        rail=RAIL,
        payment_method_id=way.value,
        created_at_ns=at_ns,
        status=TransferStatus.COMPLETED,
        payment=PaymentState.BOOKED,
        received_units=units,
        completed_at_ns=at_ns,
        settled_units=units,
    )


def settlement_batch(settled: Transfer, head: Head, *, way: Way) -> Batch:
    """The posting: the debt goes, out of the customer's balance or at the venue's loss."""
    bearer = customer_account(settled.account_id) if way is Way.FROM_BALANCE else losses_account(RAIL)
    lines = ((bearer, -settled.units), (receivable_account(settled.account_id), settled.units))
    return next_batch(
        head,
        partition=journal_partition(RAIL),
        posted_at_ns=settled.completed_at_ns,
        reference=settled.transfer_id,
        entries=[
            Entry(account, settled.asset, units, EntryKind.REVERSAL, settled.transfer_id) for account, units in lines
        ],
    )
