"""A transfer and the two things that happen to it: what its payment did outside, and what the ledger did about it.

`status` is what the customer sees and moves once, from pending to completed or canceled, with the posting. `payment` is
what the bank has said and moves only forward. A deposit is credited when, and only when, its payment is booked; a
withdrawal is held from its first moment, posted when its payment is booked, given back when it is declined.
"""

from dataclasses import dataclass
from enum import StrEnum

from exchange.kernel.ids import command_id_for, random_id, to_uuid
from exchange.kernel.money import format_units


class TransferKind(StrEnum):
    """The direction, in the trading API's words."""

    DEPOSIT = "deposit"
    WITHDRAW = "withdraw"
    INTERNAL_WITHDRAW = "internal_withdraw"
    INTERNAL_DEPOSIT = "internal_deposit"
    REVERSAL = "reversal"  # of a deposit that its chain no longer has


class TransferStatus(StrEnum):
    """What became of a transfer; completed and canceled are final."""

    PENDING = "pending"
    COMPLETED = "completed"
    CANCELED = "canceled"


class Clearance(StrEnum):
    """Whether a withdrawal may go to whoever pays it. Cleared and refused are final."""

    CLEARED = "cleared"
    WAITING = "waiting"  # nobody has screened it yet, or the screening does not know
    REVIEW = "review"  # operators decide
    REFUSED = "refused"


class WithdrawalStage(StrEnum):
    """How far a withdrawal is, for its owner."""

    HELD = "held"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    SENDING = "sending"  # the payer is asked; until it answers the outcome is unknown, and it is asked again
    SENT = "sent"
    SETTLED = "settled"
    FAILED = "failed"


class PaymentState(StrEnum):
    """What the bank has said; booked and declined are final."""

    NONE = "none"
    REQUESTED = "requested"
    BOOKED = "booked"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer of one account.

    Units:    `units` (asked for), `fee_units` (of a withdrawal, beside them) and `received_units` (booked by the bank)
              in units of 10^-scale of `asset`.
    """

    transfer_id: str
    account_id: int
    kind: TransferKind
    asset: str
    scale: int
    units: int
    rail: str
    payment_method_id: str
    created_at_ns: int
    client_transfer_id: str = ""
    status: TransferStatus = TransferStatus.PENDING
    payment: PaymentState = PaymentState.NONE
    task_token: str = ""
    bank_reference: str = ""
    received_units: int = 0
    decline_reason: str = ""
    completed_at_ns: int = 0
    canceled_at_ns: int = 0
    cancel_reason: str = ""
    fee_units: int = 0
    counterparty_id: int = 0  # of an internal transfer: the account on its other side
    provider_reference: str = ""  # the payment as its provider names it, from when it was asked for
    reverses: str = ""  # of a payment taken back, or given back after that: the transfer that it undoes
    funding: str = ""  # where the customer is to send a deposit's money: names and texts, as JSON
    locked_units: int = 0  # of a deposit from a chain: credited, and held until its block lies deep enough
    crypto_transaction: str = ""
    crypto_address: str = ""
    reversed_by: str = ""
    undone_by: str = ""  # of a deposit: the transfers that took of it, or are about to; ids with blanks between
    settled_units: int = 0  # of money that came in: what of it settled what the account owed
    network_fee_units: int = 0  # of a withdrawal to a chain: the part of its fee that is for the chain
    clearance: Clearance = Clearance.CLEARED
    review_reason: str = ""  # why operators are to look at a withdrawal; empty where they need not
    review_token: str = ""

    @property
    def amount(self) -> str:
        """What was asked for, as decimal text."""
        return format_units(self.units, self.scale)

    @property
    def creditable(self) -> bool:
        """Whether the money is provably here, whole, and not yet in the customer's balance."""
        return (
            self.kind is TransferKind.DEPOSIT
            and self.status is TransferStatus.PENDING
            and self.payment is PaymentState.BOOKED
            and self.received_units == self.units
        )

    @property
    def held_units(self) -> int:
        """What a withdrawal holds while it is pending, and a deposit from a chain while it is locked."""
        pending = self.kind is TransferKind.WITHDRAW and self.status is TransferStatus.PENDING
        return self.units + self.fee_units if pending else self.locked_units

    @property
    def payable(self) -> bool:
        """Whether the bank has paid a withdrawal out, whole, and it is not yet posted."""
        withdrawal = self.kind is TransferKind.WITHDRAW and self.held_units > 0
        return withdrawal and self.payment is PaymentState.BOOKED and self.received_units == self.units

    @property
    def returnable(self) -> bool:
        """Whether it is proven that a withdrawal is never paid, and its money is not yet given back: the payer has
        declined it, or it was refused before anybody was asked to pay."""
        refused = self.clearance is Clearance.REFUSED and self.payment is PaymentState.NONE
        return self.held_units > 0 and (self.payment is PaymentState.DECLINED or refused)

    @property
    def cancelable(self) -> bool:
        """Whether its owner may still call a withdrawal off: not cleared, so nobody can have been asked to pay."""
        pending = self.kind is TransferKind.WITHDRAW and self.status is TransferStatus.PENDING
        return pending and self.payment is PaymentState.NONE and self.clearance in _UNCLEARED

    @property
    def stage(self) -> WithdrawalStage:
        """How far a withdrawal is."""
        if self.status is not TransferStatus.PENDING:
            completed = self.status is TransferStatus.COMPLETED
            return WithdrawalStage.SETTLED if completed else WithdrawalStage.FAILED
        if self.payment is PaymentState.BOOKED:
            return WithdrawalStage.SENT
        if self.payment is PaymentState.REQUESTED:
            return WithdrawalStage.SENDING
        return _STAGES[self.clearance]

    @property
    def asked_address(self) -> str:
        """Where a withdrawal to a chain is to go, in one case of letters; of a deposit nobody asked for it."""
        return self.crypto_address.lower() if self.kind is TransferKind.WITHDRAW else ""

    def same_request(self, other: "Transfer") -> bool:
        """Whether both are the same intent: what makes a repeated request a repeat and not another one."""
        return (
            self.account_id == other.account_id
            and self.kind is other.kind
            and self.asset == other.asset
            and self.units == other.units
            and self.payment_method_id == other.payment_method_id
            and self.counterparty_id == other.counterparty_id
            and self.asked_address == other.asked_address
        )


_UNCLEARED = frozenset({Clearance.WAITING, Clearance.REVIEW})
_STAGES = {
    Clearance.WAITING: WithdrawalStage.HELD,
    Clearance.REVIEW: WithdrawalStage.IN_REVIEW,
    Clearance.CLEARED: WithdrawalStage.APPROVED,
    Clearance.REFUSED: WithdrawalStage.HELD,  # until its money is given back
}


@dataclass(frozen=True, slots=True)
class BankAnswer:
    """What the bank told us about one transfer, after it was found genuine and fitting."""

    event_id: str
    payment: PaymentState
    bank_reference: str
    received_units: int = 0
    reason: str = ""


class Recorded(StrEnum):
    """What became of an attempt to write the bank's answer down."""

    DONE = "done"
    LOST = "lost"  # the transfer has moved on, or its event or reference belongs to another transfer


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list, newest first: next to `after` on its older side, or next to `before` on its newer side."""

    limit: int
    after: str = ""
    before: str = ""


def transfer_id_for(account_id: int, client_transfer_id: str) -> str:
    """The id of the transfer that `account_id` calls `client_transfer_id`; a fresh one where it has no name for it."""
    if not client_transfer_id:
        return to_uuid(random_id())
    digest = command_id_for("transfer", account_id, client_transfer_id)
    return to_uuid((int.from_bytes(digest[:8], "big") >> 1) or 1)


def created_key(transfer: Transfer) -> str:
    """Sorts an account's transfers by creation; the id makes it unique. Also the cursor of a page."""
    return f"{transfer.created_at_ns:020d}-{transfer.transfer_id}"
