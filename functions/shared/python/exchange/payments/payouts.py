"""Payouts: what customers paid in at Stripe, brought to the venue's own account at its bank.

Two parties speak of one. Stripe says how far it is: its word moves money between what Stripe holds and what is under
way. Where the money goes, it arrives: on a rail with statements the bank's line says so, on others Stripe's word does.
So the money under way is the difference of the two, whoever speaks first.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from exchange.kernel.ids import ID_MAX, command_id_for, to_uuid
from exchange.kernel.money import format_units
from exchange.ledger.model import Batch, Entry, EntryKind, Head, custody_account, next_batch
from exchange.payments.model import BANK_FILES, STRIPE
from exchange.payments.references import HOUSE_ACCOUNT_ID, number_of, reference_of
from exchange.transfers.model import PaymentState, Transfer, TransferKind, TransferStatus

UNDER_WAY = "stripe-payouts"  # The rail of what has left Stripe and is not at the bank.
PARTITION = f"rail:{STRIPE}"


class Stage(StrEnum):
    """How far a payout is, as Stripe has said; failed and canceled are final."""

    APPROVED = "approved"  # Stripe is to be asked, or was asked and its answer was lost.
    SENT = "sent"
    PAID = "paid"
    FAILED = "failed"  # Also after it was paid: the bank did not want it.
    CANCELED = "canceled"


_RANKS = {Stage.APPROVED: 0, Stage.SENT: 1, Stage.PAID: 2, Stage.FAILED: 3, Stage.CANCELED: 3}


class Step(StrEnum):
    """What is posted, each step at most once."""

    SENT = "sent"  # from Stripe to under way
    ARRIVED = "arrived"  # from under way to the bank
    LEFT = "left"  # from the bank to under way: it was paid, and failed after that
    RETURNED = "returned"  # from under way to Stripe


@dataclass(frozen=True, slots=True)
class Payout:
    """One payout. Units: `units` of 10^-`scale` of `asset`. `reference` is what the bank's line will say."""

    payout_id: str
    asset: str
    scale: int
    units: int
    rail: str
    reference: str
    approved_at_ns: int
    stage: Stage = Stage.APPROVED
    arrived: bool = False
    stripe_id: str = ""
    reason: str = ""

    @property
    def amount(self) -> str:
        """As decimal text."""
        return format_units(self.units, self.scale)

    @property
    def stated(self) -> bool:
        """Whether the bank's own line says that it arrived, and nobody else."""
        return self.rail == BANK_FILES

    @property
    def over(self) -> bool:
        """Whether the money is Stripe's to keep for us again."""
        return self.stage in {Stage.FAILED, Stage.CANCELED}

    @property
    def open(self) -> bool:
        """Whether Stripe is still to be asked."""
        return self.stage in {Stage.APPROVED, Stage.SENT}

    @property
    def under_way_units(self) -> int:
        """What has left Stripe and is not at the bank; below zero where it came back before the bank gave it up."""
        return self.units * ((not self.over) - self.arrived)


@dataclass(frozen=True, slots=True)
class Told:
    """What Stripe has a payout as."""

    payout_id: str
    stage: Stage
    stripe_id: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One write: the payout as it was read and as it is then, and what that posts; a stage may post nothing."""

    before: Payout | None
    after: Payout
    transfer: Transfer | None = None
    batch: Batch | None = None


def payout_id_for(proposal_id: str) -> tuple[str, str]:
    """The id of the payout that a proposal asks for, and its reference at the bank."""
    number = (int.from_bytes(command_id_for("payout", 0, proposal_id)[:8], "big") >> 1) or 1
    return to_uuid(number), reference_of(number)


def payout_id_of(reference: str) -> str:
    """The payout that a reference of this form would be of; empty for a number that none has."""
    number = number_of(reference)
    return to_uuid(number) if number <= ID_MAX else ""


def moved(payout: Payout, told: Told) -> Payout:
    """The payout one step on towards what Stripe says; the same one where that is nothing new.

    A stage once passed is never gone back to: of two answers that were asked for one after the other, the later one
    may be written first.
    """
    if _RANKS[told.stage] <= _RANKS[payout.stage]:
        return payout
    heard = replace(payout, stripe_id=told.stripe_id or payout.stripe_id, reason=told.reason)
    if told.stage in {Stage.FAILED, Stage.CANCELED} and payout.arrived and not payout.stated:
        return replace(heard, arrived=False)  # First the bank has it no more, then Stripe has it again.
    arrives = told.stage is Stage.PAID and not payout.stated
    return replace(heard, stage=told.stage, arrived=payout.arrived or arrives)


def step_between(before: Payout | None, after: Payout) -> Step | None:
    """What a change posts; None where no money moves by it."""
    if before is None:
        return Step.SENT
    if before.arrived != after.arrived:
        return Step.ARRIVED if after.arrived else Step.LEFT
    return Step.RETURNED if after.over and not before.over else None


def step_transfer(payout: Payout, step: Step, *, at_ns: int) -> Transfer:
    """The transfer that a step is: of the house, on the rail whose custody it changes, complete at once."""
    at_stripe = step in {Step.SENT, Step.RETURNED}
    comes = step in {Step.ARRIVED, Step.RETURNED}
    rail = STRIPE if at_stripe else payout.rail
    return Transfer(
        transfer_id=step_transfer_id(payout.payout_id, step),
        account_id=HOUSE_ACCOUNT_ID,
        kind=TransferKind.DEPOSIT if comes else TransferKind.WITHDRAW,
        asset=payout.asset,
        scale=payout.scale,
        units=payout.units,
        rail=rail,
        payment_method_id=f"{rail}-{payout.asset}",
        created_at_ns=at_ns,
        status=TransferStatus.COMPLETED,
        payment=PaymentState.BOOKED,
        received_units=payout.units,
        completed_at_ns=at_ns,
        bank_reference=payout.reference,
        provider_reference=payout.payout_id,
        cancel_reason=payout.reason if step in {Step.LEFT, Step.RETURNED} else "",
    )


def step_transfer_id(payout_id: str, step: Step) -> str:
    """The same step, the same transfer."""
    digest = command_id_for("payout", 0, f"{step}:{payout_id}")
    return to_uuid((int.from_bytes(digest[:8], "big") >> 1) or 1)


def step_batch(transfer: Transfer, step: Step, head: Head, *, partition: str = PARTITION) -> Batch:
    """The posting of a step: from one custody to the other."""
    place, under_way = custody_account(transfer.rail), custody_account(UNDER_WAY)
    sign = 1 if step in {Step.ARRIVED, Step.RETURNED} else -1  # What others hold for us is below zero.
    return next_batch(
        head,
        partition=partition,
        posted_at_ns=transfer.completed_at_ns,
        reference=transfer.transfer_id,
        entries=[
            Entry(account, transfer.asset, units, EntryKind.CUSTODY, transfer.transfer_id)
            for account, units in ((place, -sign * transfer.units), (under_way, sign * transfer.units))
        ],
    )
