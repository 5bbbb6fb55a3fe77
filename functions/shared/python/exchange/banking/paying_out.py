"""Paying out: asking Stripe for what two operators want, hearing what it says, and posting each step once."""

from collections.abc import Callable, Sequence
from typing import Protocol

from exchange.banking.model import Posted
from exchange.instruments.model import Asset
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, OutageError, Refused, UnavailableError
from exchange.kernel.money import DecimalError, parse_decimal
from exchange.ledger.model import Head
from exchange.payments.model import minor_digits
from exchange.payments.payouts import (
    PARTITION,
    Change,
    Payout,
    Told,
    moved,
    payout_id_for,
    step_batch,
    step_between,
    step_transfer,
)

ATTEMPTS_MAX = 32


class Payouts(Protocol):
    """Where payouts are kept."""

    def payout(self, payout_id: str) -> Payout | None:
        """One payout, as it is now."""
        ...

    def open_payouts(self) -> Sequence[Payout]:
        """Those that Stripe is still to be asked about, oldest first."""
        ...

    def change(self, change: Change) -> Posted:
        """Write a payout and what that posts, all or nothing; LOST where it is not any more as it was."""
        ...


class Journal(Protocol):
    """Where batches are chained."""

    def head(self, partition: str) -> Head:
        """The last batch of a partition, as it is now."""
        ...


class AtStripe(Protocol):
    """Stripe, as far as it pays out."""

    def pay_out(self, payout: Payout) -> Told:
        """Ask for a payout, or where it was asked for, what became of it. Asking again is asking once."""
        ...


def new_payout(proposal_id: str, *, asset: Asset, amount: str, rail: str, at_ns: int) -> Payout | Refused:
    """The payout that an approved proposal asks for. Refuses TRANSFER_AMOUNT_INVALID."""
    digits = minor_digits(asset.asset_id)
    try:
        units = parse_decimal(amount, digits) * int(10 ** (asset.scale - digits)) if asset.scale >= digits else 0
    except DecimalError as error:
        return Refused(Code.TRANSFER_AMOUNT_INVALID, f"amount: {error}")
    if units <= 0:
        return Refused(Code.TRANSFER_AMOUNT_INVALID, "amount: must be above zero, and something that Stripe moves")
    payout_id, reference = payout_id_for(proposal_id)
    return Payout(payout_id, asset.asset_id, asset.scale, units, rail, reference, at_ns)


def change_to(after: Payout, before: Payout | None, *, journal: Journal, at_ns: int) -> Change:
    """What it takes to make one payout of the other."""
    step = step_between(before, after)
    if step is None:
        return Change(before, after)
    transfer = step_transfer(after, step, at_ns=at_ns)
    return Change(before, after, transfer, step_batch(transfer, step, journal.head(PARTITION)))


def hear(
    told: Told, *, payouts: Payouts, journal: Journal, clock: Clock, pause: Callable[[int], None]
) -> str | Refused:
    """Take what Stripe has a payout as, and post what follows; again it changes nothing.

    Refuses:  TRANSFER_NOT_FOUND.
    Raises:   UnavailableError where others were faster at every attempt; OutcomeUnknownError. It is told again then.
    """
    said = "repeated"
    for attempt in range(ATTEMPTS_MAX):
        before = payouts.payout(told.payout_id)
        if before is None:
            return Refused(Code.TRANSFER_NOT_FOUND, "no payout of ours has this id")
        after = moved(before, told)
        if after == before:
            return said
        if payouts.change(change_to(after, before, journal=journal, at_ns=clock.now_ns())) is Posted.DONE:
            said = "recorded"
        else:
            pause(attempt)
    raise UnavailableError(f"payout {told.payout_id}: the chain of Stripe was busy {ATTEMPTS_MAX} times")


def see_to_payouts(
    *,
    payouts: Payouts,
    stripe: AtStripe,
    journal: Journal,
    clock: Clock,
    pause: Callable[[int], None],
    note: Callable[[str], None],
) -> int:
    """Ask Stripe for every payout that was approved, and after each that it has; return how many it was asked about.

    A lost answer and a lost event are made good for by asking again. One that can't be asked does not stop the others.

    Raises:   UnavailableError where the list can't be read.
    """
    waiting = payouts.open_payouts()
    for payout in waiting:
        try:
            hear(stripe.pay_out(payout), payouts=payouts, journal=journal, clock=clock, pause=pause)
        except OutageError as error:
            note(f"payout {payout.payout_id} is asked for again: {error}")
    return len(waiting)
