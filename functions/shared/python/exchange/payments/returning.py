"""What a bank says came back: a deposit that it collected leaves us again, a withdrawal that it paid is here again."""

from collections.abc import Callable

from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.kernel.ids import command_id_for, to_uuid
from exchange.kernel.money import DecimalError, parse_decimal
from exchange.ledger.debts import owed_units, settled_of
from exchange.payments.model import TakenBack, provider_of
from exchange.payments.reversing import (
    ATTEMPTS_MAX,
    Balances,
    Journal,
    Posted,
    Reversals,
    Transfers,
    movements_of,
    reversal_batch,
    take_back,
)
from exchange.transfers.model import PaymentState, Transfer, TransferKind, TransferStatus


def take_return(
    said: TakenBack,
    *,
    transfers: Transfers,
    journal: Journal,
    balances: Balances,
    reversals: Reversals,
    clock: Clock,
    pause: Callable[[int], None],
) -> str | Refused:
    """Post what a bank returned, once, whatever it tells how often in what order; a deposit as `take_back` does.

    A withdrawal comes back whole or less what a bank on the way kept. Its fee was for sending it, and stays.

    Refuses:  TRANSFER_NOT_FOUND, PAYMENT_NOTIFICATION_INVALID (in this order).
    Raises:   UnavailableError where the payment is not posted yet or others were faster at every attempt;
              OutcomeUnknownError. The bank repeats then.
    """
    for attempt in range(ATTEMPTS_MAX):
        paid = transfers.transfer(said.transfer_id)
        if paid is None or paid.kind is not TransferKind.WITHDRAW:
            return take_back(
                said, transfers=transfers, journal=journal, balances=balances, reversals=reversals,
                clock=clock, pause=pause,
            )  # fmt: skip
        units = _returned_units(paid, said)
        if isinstance(units, Refused):
            return units
        known = transfers.transfer(_return_id(paid))
        if known is not None:
            return _told_again(known, units, said)
        owed = owed_units(paid.account_id, paid.asset, debts=balances)
        back = _returned(paid, said, units, owed=owed, at_ns=clock.now_ns())
        batch = reversal_batch(back, journal.head(f"rail:{back.rail}"), posted_at_ns=back.completed_at_ns)
        if reversals.post_reversal(back, batch, movements_of(batch), undoes=paid) is Posted.DONE:
            return "recorded"
        pause(attempt)
    raise UnavailableError(f"the return of {said.transfer_id} found its chain busy {ATTEMPTS_MAX} times")


def _returned_units(paid: Transfer, said: TakenBack) -> int | Refused:
    """What of a withdrawal is here again, in its asset's units. Refuses and raises as `take_return`."""
    if paid.reverses or provider_of(paid.rail) != said.provider:
        return _invalid("this is no withdrawal that this bank paid")
    if paid.status is TransferStatus.CANCELED or paid.payment in {PaymentState.NONE, PaymentState.DECLINED}:
        return _invalid("this withdrawal was never paid")
    if paid.asset != said.currency:
        return _invalid(f"currency: {said.currency} came back, {paid.asset} was paid")
    try:
        units = parse_decimal(said.amount, paid.scale)
    except DecimalError as error:
        return _invalid(f"amount: {error}")
    if not 0 < units <= paid.units:
        return _invalid(f"amount: {said.amount} is not part of the {paid.amount} that was paid")
    if paid.status is TransferStatus.PENDING:
        raise UnavailableError(f"withdrawal {paid.transfer_id} is not posted as paid yet")
    return units


def _told_again(known: Transfer, units: int, said: TakenBack) -> str | Refused:
    """A withdrawal comes back once: whatever else is said of it is money that somebody must look for."""
    if (known.units, known.bank_reference) == (units, said.reversal_id):
        return "repeated"
    return _invalid(f"this withdrawal came back already: {known.amount}, as {known.bank_reference}")


def _returned(paid: Transfer, said: TakenBack, units: int, *, owed: int, at_ns: int) -> Transfer:
    """The transfer by which a withdrawal is undone: what its customer owes is settled first, the rest is theirs."""
    settled = settled_of(units, owed)
    return Transfer(
        transfer_id=_return_id(paid),
        account_id=paid.account_id,
        kind=TransferKind.DEPOSIT,
        asset=paid.asset,
        scale=paid.scale,
        units=units,
        rail=paid.rail,
        payment_method_id=paid.payment_method_id,
        created_at_ns=at_ns,
        status=TransferStatus.COMPLETED,
        payment=PaymentState.BOOKED,
        bank_reference=said.reversal_id,
        received_units=units - settled,
        settled_units=settled,
        completed_at_ns=at_ns,
        cancel_reason=f"returned by the bank: {said.reason or 'no reason given'}",
        reverses=paid.transfer_id,
    )


def _return_id(paid: Transfer) -> str:
    digest = command_id_for("return", 0, paid.transfer_id)
    return to_uuid((int.from_bytes(digest[:8], "big") >> 1) or 1)


def _invalid(message: str) -> Refused:
    return Refused(Code.PAYMENT_NOTIFICATION_INVALID, message)
