"""What a booked line does to the ledger: a deposit, a withdrawal that came back, or money that is nobody's yet."""

from collections.abc import Iterable
from dataclasses import replace

from exchange.banking.model import (
    PARTITION,
    RAIL,
    SUSPENSE,
    Account,
    Booked,
    Case,
    CaseState,
    Expected,
    Outcome,
    Payee,
    Posting,
    asset_units,
    transfer_id_for,
)
from exchange.iso20022.statements import Line
from exchange.ledger.debts import Debts, money_in, owed_units, settled_of
from exchange.ledger.model import Batch, Entry, EntryKind, Head, custody_account, next_batch
from exchange.payments.payouts import Change, Payout, Step, step_batch, step_transfer
from exchange.payments.references import HOUSE_ACCOUNT_ID
from exchange.transfers.model import PaymentState, Transfer, TransferKind, TransferStatus

CUSTODY = custody_account(RAIL)
WORDS_MAX = 140


def batch_of(head: Head, transfer: Transfer, lines: Iterable[tuple[str, int]], kind: EntryKind, *, at_ns: int) -> Batch:
    """A batch of the rail's chain. Raises InvariantError where the lines do not sum to zero."""
    return next_batch(
        head,
        partition=PARTITION,
        posted_at_ns=at_ns,
        reference=transfer.transfer_id,
        entries=[
            Entry(account, transfer.asset, units, kind, transfer.transfer_id) for account, units in lines if units
        ],
    )


def done_transfer(
    transfer_id: str,
    account: Account,
    units: int,
    kind: TransferKind,
    *,
    at_ns: int,
    account_id: int = HOUSE_ACCOUNT_ID,
) -> Transfer:
    """A transfer that is complete from its first moment."""
    return Transfer(
        transfer_id=transfer_id,
        account_id=account_id,
        kind=kind,
        asset=account.currency,
        scale=account.scale,
        units=units,
        rail=RAIL,
        payment_method_id=f"{RAIL}-{account.currency}",
        created_at_ns=at_ns,
        status=TransferStatus.COMPLETED,
        payment=PaymentState.BOOKED,
        received_units=units,
        completed_at_ns=at_ns,
    )


def deposit_posting(
    line: Line,
    account: Account,
    statement: int,
    owner: int,
    head: Head,
    *,
    debts: Debts,
    at_ns: int,
    expected: Expected | None = None,
    pending: Transfer | None = None,
) -> Posting:
    """Money of a customer's: the deposit that they said would come, or else one of its own."""
    units = asset_units(line.units, account.scale)
    settled = settled_of(units, owed_units(owner, account.currency, debts=debts))
    waits = pending if pending is not None and pending.status is TransferStatus.PENDING else None
    made = waits or done_transfer(
        transfer_id_for("deposit", account.currency, line.key), account, units, TransferKind.DEPOSIT,
        at_ns=at_ns, account_id=owner,
    )  # fmt: skip
    transfer = replace(
        made,
        status=TransferStatus.COMPLETED,
        payment=PaymentState.BOOKED,
        received_units=units,
        completed_at_ns=at_ns,
        settled_units=settled,
        bank_reference=line.key,
    )
    return Posting(
        Booked(
            account.currency, line.key, line.units, Outcome.DEPOSIT, transfer.transfer_id, statement, account.number
        ),
        batch_of(
            head,
            transfer,
            [(CUSTODY, -units), *money_in(owner, units, settled=settled)],
            EntryKind.DEPOSIT,
            at_ns=at_ns,
        ),
        transfer,
        expected=expected,
        completes=waits is not None,
        payee=(owner, Payee(line.other_name or "unknown", line.other_iban)) if line.other_iban else None,
    )


def return_posting(
    line: Line, account: Account, statement: int, withdrawal: Transfer, head: Head, *, debts: Debts, at_ns: int
) -> Posting:
    """A withdrawal that came back, whole or what its bank left of it. Its fee was for sending it, and stays."""
    units, owner = asset_units(line.units, account.scale), withdrawal.account_id
    settled = settled_of(units, owed_units(owner, account.currency, debts=debts))
    transfer = replace(
        done_transfer(
            transfer_id_for("return", account.currency, line.key), account, units, TransferKind.DEPOSIT,
            at_ns=at_ns, account_id=owner,
        ),
        reverses=withdrawal.transfer_id,
        bank_reference=line.key,
        received_units=units - settled,
        settled_units=settled,
        cancel_reason=f"returned by the bank: {line.return_reason or 'reversed'}",
    )  # fmt: skip
    return Posting(
        Booked(
            account.currency, line.key, line.units, Outcome.RETURNED, transfer.transfer_id, statement, account.number
        ),
        batch_of(
            head,
            transfer,
            [(CUSTODY, -units), *money_in(owner, units, settled=settled)],
            EntryKind.REVERSAL,
            at_ns=at_ns,
        ),
        transfer,
        undoes=withdrawal.transfer_id,
    )


def suspense_posting(line: Line, account: Account, statement: int, head: Head, *, at_ns: int, reason: str) -> Posting:
    """Money that nobody could be matched with, until an operator says whose it is."""
    units = asset_units(line.units, account.scale)
    kind = TransferKind.DEPOSIT if units > 0 else TransferKind.WITHDRAW
    transfer = replace(
        done_transfer(transfer_id_for("suspense", account.currency, line.key), account, abs(units), kind, at_ns=at_ns),
        bank_reference=line.key,
    )
    case = Case(
        account.currency, line.key, units, account.scale, line.other_name, line.other_iban,
        " | ".join(line.texts)[:WORDS_MAX], reason, transfer_id=transfer.transfer_id,
    )  # fmt: skip
    entry_kind = EntryKind.DEPOSIT if units > 0 else EntryKind.WITHDRAWAL
    return Posting(
        Booked(
            account.currency, line.key, line.units, Outcome.SUSPENSE, transfer.transfer_id, statement, account.number
        ),
        batch_of(head, transfer, [(CUSTODY, -units), (SUSPENSE, units)], entry_kind, at_ns=at_ns),
        transfer,
        case=case,
    )


def payout_posting(line: Line, account: Account, statement: int, payout: Payout, head: Head, *, at_ns: int) -> Posting:
    """What was on its way from Stripe is here; or it left again, because Stripe's bank took it back."""
    step = Step.ARRIVED if line.units > 0 else Step.LEFT
    transfer = replace(step_transfer(payout, step, at_ns=at_ns), transfer_id=transfer_id_for(
        f"payout-{step}", account.currency, line.key,
    ), bank_reference=line.key)  # fmt: skip
    return Posting(
        Booked(account.currency, line.key, line.units, Outcome.PAYOUT, transfer.transfer_id, statement, account.number),
        step_batch(transfer, step, head, partition=PARTITION),
        transfer,
        payout=Change(payout, replace(payout, arrived=not payout.arrived)),
    )


def sent_back_posting(
    line: Line,
    account: Account,
    statement: int,
    case: Case,
    head: Head,
    *,
    at_ns: int,
    house: Transfer | None = None,
) -> Posting:
    """Money of an unknown sender left us again: by our order, or because its bank took it back."""
    units = -asset_units(line.units, account.scale)
    made = house or done_transfer(
        transfer_id_for("recalled", account.currency, line.key), account, units, TransferKind.WITHDRAW, at_ns=at_ns
    )
    transfer = replace(
        made,
        status=TransferStatus.COMPLETED,
        payment=PaymentState.BOOKED,
        received_units=units,
        completed_at_ns=at_ns,
        bank_reference=line.key,
    )
    return Posting(
        Booked(
            account.currency, line.key, line.units, Outcome.SENT_BACK, transfer.transfer_id, statement, account.number
        ),
        batch_of(head, transfer, [(SUSPENSE, -units), (CUSTODY, units)], EntryKind.WITHDRAWAL, at_ns=at_ns),
        transfer,
        case=replace(case, state=CaseState.RETURNED),
        completes=house is not None,
    )
