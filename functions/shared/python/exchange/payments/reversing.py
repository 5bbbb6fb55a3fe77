"""Payments taken back after they were credited: a compensating entry, never an edit.

The customer gives back what is still there; what was spent they owe us, and the receivable says so. No balance of
theirs goes below zero, and what they hold for orders or withdrawals stays theirs to be spent as it was meant.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Protocol

from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.kernel.ids import command_id_for, to_uuid
from exchange.kernel.money import DecimalError, parse_decimal
from exchange.ledger.debts import owed_units, settled_of
from exchange.ledger.model import (
    Balance,
    Batch,
    Entry,
    EntryKind,
    Head,
    Movements,
    custody_account,
    customer_account,
    next_batch,
    receivable_account,
)
from exchange.payments.model import BANK, TakenBack, provider_of
from exchange.transfers.model import PaymentState, Transfer, TransferKind, TransferStatus

ATTEMPTS_MAX = 32


class Posted(StrEnum):
    """What became of an attempt to post."""

    DONE = "done"
    LOST = "lost"  # the chain has grown, the balance has moved, or it was posted already: look again


class Transfers(Protocol):
    """Where transfers are read."""

    def transfer(self, transfer_id: str) -> Transfer | None:
        """One transfer, as it is now."""
        ...


class Journal(Protocol):
    """Where batches are chained."""

    def head(self, partition: str) -> Head:
        """The last batch of a partition, as it is now."""
        ...


class Balances(Protocol):
    """What customers own."""

    def balance(self, account_id: int, asset: str) -> Balance:
        """One balance, as it is now."""
        ...

    def owed(self, account_id: int) -> Sequence[Balance]:
        """What an account owes the venue; empty where it owes nothing."""
        ...


class Reversals(Protocol):
    """The one write of a reversal."""

    def post_reversal(
        self, transfer: Transfer, batch: Batch, movements: Movements, *, undoes: Transfer | None = None
    ) -> Posted:
        """Put the transfer, append the batch and move the balances, mark what it `undoes`; all or nothing."""
        ...


def take_back(
    said: TakenBack,
    *,
    transfers: Transfers,
    journal: Journal,
    balances: Balances,
    reversals: Reversals,
    clock: Clock,
    pause: Callable[[int], None],
) -> str | Refused:
    """Post that a deposit was taken back, or given up again; each once, whatever is told how often in what order.

    Refuses:  TRANSFER_NOT_FOUND, PAYMENT_NOTIFICATION_INVALID (in this order).
    Raises:   UnavailableError where the deposit is not credited yet or others were faster at every attempt;
              OutcomeUnknownError. The provider repeats then.
    """
    for attempt in range(ATTEMPTS_MAX):
        deposit = transfers.transfer(said.transfer_id)
        fault = _fault(deposit, said)
        if deposit is None or fault is not None:
            return fault or Refused(Code.TRANSFER_NOT_FOUND, "transfer_id: no such transfer")
        taken = transfers.transfer(_reversal_id("taken", said))
        if taken is not None and not _is_of(taken, deposit, said):
            return _invalid(f"{said.reversal_id} took another payment or amount back: it is not told again by this")
        if not said.gone and taken is None:
            return "ignored"
        if transfers.transfer(_reversal_id("taken" if said.gone else "given", said)) is not None:
            return "repeated"
        now_ns = clock.now_ns()
        if taken is None:
            available = balances.balance(deposit.account_id, deposit.asset).available
            wanted = _taken(deposit, said, available=available, now_ns=now_ns)
        else:
            owed = owed_units(taken.account_id, taken.asset, debts=balances)
            wanted = given_again(taken, said, owed=owed, now_ns=now_ns)
        batch = reversal_batch(wanted, journal.head(f"rail:{wanted.rail}"), posted_at_ns=now_ns)
        undoes = deposit if taken is None else None
        if reversals.post_reversal(wanted, batch, movements_of(batch), undoes=undoes) is Posted.DONE:
            return "recorded"
        pause(attempt)
    raise UnavailableError(f"the reversal {said.reversal_id} found its chain busy {ATTEMPTS_MAX} times")


def _fault(deposit: Transfer | None, said: TakenBack) -> Refused | None:
    if deposit is None:
        return Refused(Code.TRANSFER_NOT_FOUND, "transfer_id: no such transfer")
    if deposit.kind is not TransferKind.DEPOSIT or deposit.reverses or provider_of(deposit.rail) != said.provider:
        return _invalid("this is no deposit of this provider")
    if deposit.status is TransferStatus.CANCELED:
        return _invalid("this deposit was never credited")
    if deposit.asset != said.currency:
        return _invalid(f"currency: {said.currency} was taken back, {deposit.asset} was deposited")
    try:
        units = parse_decimal(said.amount, deposit.scale)
    except DecimalError as error:
        return _invalid(f"amount: {error}")
    if said.provider == BANK and units != deposit.units:
        return _invalid(f"amount: a bank returns the {deposit.amount} that was deposited whole, not {said.amount}")
    if not 0 < units <= deposit.units:
        return _invalid(f"amount: {said.amount} is not part of the {deposit.amount} that was deposited")
    if deposit.status is TransferStatus.PENDING and said.gone:
        raise UnavailableError(f"deposit {deposit.transfer_id} is not credited yet")
    return None


def _is_of(taken: Transfer, deposit: Transfer, said: TakenBack) -> bool:
    return taken.reverses == deposit.transfer_id and taken.units == parse_decimal(said.amount, deposit.scale)


def _taken(deposit: Transfer, said: TakenBack, *, available: int, now_ns: int) -> Transfer:
    """The reversal: `received_units` is what the customer still had, the rest they owe."""
    units = parse_decimal(said.amount, deposit.scale)
    return replace(
        deposit,
        transfer_id=_reversal_id("taken", said),
        kind=TransferKind.WITHDRAW,
        units=units,
        received_units=min(units, max(available, 0)),
        reverses=deposit.transfer_id,
        bank_reference=said.reversal_id,
        cancel_reason=said.reason,
        client_transfer_id="",
        task_token="",
        provider_reference="",
        settled_units=0,
        funding="",
        undone_by="",
        payment=PaymentState.BOOKED,
        created_at_ns=now_ns,
        completed_at_ns=now_ns,
    )


def given_id(said: TakenBack) -> str:
    """The transfer by which what was taken is given again: the same word, the same transfer."""
    return _reversal_id("given", said)


def undone_units(deposit: Transfer, *, transfers: Transfers) -> int:
    """What of a deposit by Stripe was taken back, or is about to be, and was not given again. Units: of its asset."""
    units = 0
    for transfer_id in deposit.undone_by.split():
        taken = transfers.transfer(transfer_id)
        if taken is None or taken.status is TransferStatus.CANCELED:
            continue
        told = TakenBack(taken.bank_reference, deposit.transfer_id, taken.amount, taken.asset, gone=False, reason="")
        given = taken.status is TransferStatus.COMPLETED and transfers.transfer(given_id(told)) is not None
        units += 0 if given else taken.units
    return units


def given_again(taken: Transfer, said: TakenBack, *, owed: int, now_ns: int) -> Transfer:
    """The money is back: it settles what is owed by now, less or more than it was, and the rest is free."""
    settled = settled_of(taken.units, owed)
    return replace(
        taken,
        transfer_id=given_id(said),
        kind=TransferKind.DEPOSIT,
        task_token="",
        bank_reference=said.reversal_id,
        received_units=taken.units - settled,
        settled_units=settled,
        reverses=taken.transfer_id,
        cancel_reason="given up by who took it back",
        created_at_ns=now_ns,
        completed_at_ns=now_ns,
    )


def reversal_batch(transfer: Transfer, head: Head, *, posted_at_ns: int) -> Batch:
    """The posting: custody has less, the customer gives what they have and owes the rest; or all of that undone."""
    sign = 1 if transfer.kind is TransferKind.WITHDRAW else -1
    given, owed = transfer.received_units, transfer.units - transfer.received_units
    lines = [
        (custody_account(transfer.rail), transfer.units),
        (customer_account(transfer.account_id), -given),
        (receivable_account(transfer.account_id), -owed),
    ]
    return next_batch(
        head,
        partition=f"rail:{transfer.rail}",
        posted_at_ns=posted_at_ns,
        reference=transfer.transfer_id,
        entries=[
            Entry(account, transfer.asset, sign * units, EntryKind.REVERSAL, transfer.transfer_id)
            for account, units in lines
            if units
        ],
    )


def movements_of(batch: Batch) -> Movements:
    """What a reversal does to balances."""
    movements = Movements()
    for entry in batch.entries:
        movements.of(entry.account, entry.asset).available += entry.units
    return movements


def _reversal_id(step: str, said: TakenBack) -> str:
    # A bank returns a deposit once and whole, by whatever reference; Stripe takes parts back, each by its own name.
    name = said.transfer_id if said.provider == BANK else said.reversal_id
    digest = command_id_for("reversal", 0, f"{step}:{said.provider}:{name}")
    return to_uuid((int.from_bytes(digest[:8], "big") >> 1) or 1)


def _invalid(message: str) -> Refused:
    return Refused(Code.PAYMENT_NOTIFICATION_INVALID, message)
