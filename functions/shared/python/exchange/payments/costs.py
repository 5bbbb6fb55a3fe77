"""What Stripe takes for itself out of what it holds for us: each charge once, at the venue's cost, its own posting."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from exchange.instruments.model import Asset
from exchange.kernel.clock import Clock
from exchange.kernel.errors import UnavailableError, require
from exchange.kernel.ids import command_id_for, to_uuid
from exchange.ledger.model import (
    Batch,
    Entry,
    EntryKind,
    Head,
    Movements,
    costs_account,
    custody_account,
    next_batch,
)
from exchange.payments.model import STRIPE, minor_digits
from exchange.payments.payouts import PARTITION
from exchange.payments.references import HOUSE_ACCOUNT_ID
from exchange.payments.reversing import Posted, movements_of
from exchange.transfers.model import PaymentState, Transfer, TransferKind, TransferStatus

ATTEMPTS_MAX = 32
# Of two movements in the same minute, the earlier one may be listed later.
OVERLAP_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Cost:
    """One charge. Units: `minor` as Stripe counts the currency; below zero it gave back what it took."""

    cost_id: str
    asset: str
    minor: int
    reason: str
    at_seconds: int

    @property
    def transfer_id(self) -> str:
        """The same charge, the same transfer."""
        digest = command_id_for("cost", 0, f"{STRIPE}:{self.cost_id}")
        return to_uuid((int.from_bytes(digest[:8], "big") >> 1) or 1)


class AtStripe(Protocol):
    """Stripe, as far as it tells what it took."""

    def costs(self, since_seconds: int) -> Sequence[Cost]:
        """What it took since a moment, oldest first."""
        ...


class Seen(Protocol):
    """How far costs were posted."""

    def costs_seen(self) -> int:
        """The moment of the newest one that was posted; 0 before the first. Units: seconds since 1970."""
        ...

    def note_costs_seen(self, at_seconds: int) -> None:
        """Note it."""
        ...


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


class Postings(Protocol):
    """The one write of a cost."""

    def post_reversal(self, transfer: Transfer, batch: Batch, movements: Movements) -> Posted:
        """Put the transfer, append the batch and move the balances, all or nothing."""
        ...


def unposted(*, stripe: AtStripe, seen: Seen, transfers: Transfers) -> list[Cost]:
    """What Stripe took that is in no book of ours yet, oldest first. Raises UnavailableError, OutcomeUnknownError."""
    since = max(seen.costs_seen() - OVERLAP_SECONDS, 0)
    return [cost for cost in stripe.costs(since) if transfers.transfer(cost.transfer_id) is None]


def post_costs(
    *,
    stripe: AtStripe,
    seen: Seen,
    transfers: Transfers,
    journal: Journal,
    postings: Postings,
    assets: Mapping[str, Asset],
    clock: Clock,
    pause: Callable[[int], None],
) -> int:
    """Post what Stripe took and is not posted yet; return how many there were. Again, and after a crash, each is once.

    Raises:   InvariantError for a currency that is not listed; UnavailableError where others were faster at every
              attempt; OutcomeUnknownError.
    """
    waiting = unposted(stripe=stripe, seen=seen, transfers=transfers)
    for cost in waiting:
        require(cost.asset in assets, f"Stripe took {cost.asset} for {cost.reason}, and it is not listed here")
        transfer = cost_transfer(cost, assets[cost.asset], at_ns=clock.now_ns())
        _post(transfer, transfers=transfers, journal=journal, postings=postings, pause=pause)
    if waiting:
        seen.note_costs_seen(waiting[-1].at_seconds)
    return len(waiting)


def _post(
    transfer: Transfer, *, transfers: Transfers, journal: Journal, postings: Postings, pause: Callable[[int], None]
) -> None:
    for attempt in range(ATTEMPTS_MAX):
        batch = cost_batch(transfer, journal.head(PARTITION))
        if postings.post_reversal(transfer, batch, movements_of(batch)) is Posted.DONE:
            return
        if transfers.transfer(transfer.transfer_id) is not None:
            return
        pause(attempt)
    raise UnavailableError(f"cost {transfer.bank_reference}: the chain of Stripe was busy {ATTEMPTS_MAX} times")


def cost_transfer(cost: Cost, asset: Asset, *, at_ns: int) -> Transfer:
    """The transfer that a charge is: of the house, complete at once."""
    units = abs(cost.minor) * int(10 ** (asset.scale - minor_digits(asset.asset_id)))
    return Transfer(
        transfer_id=cost.transfer_id,
        account_id=HOUSE_ACCOUNT_ID,
        kind=TransferKind.WITHDRAW if cost.minor > 0 else TransferKind.DEPOSIT,
        asset=asset.asset_id,
        scale=asset.scale,
        units=units,
        rail=STRIPE,
        payment_method_id=f"{STRIPE}-{asset.asset_id}",
        created_at_ns=at_ns,
        status=TransferStatus.COMPLETED,
        payment=PaymentState.BOOKED,
        received_units=units,
        completed_at_ns=at_ns,
        bank_reference=cost.cost_id,
        cancel_reason=cost.reason,
    )


def cost_batch(transfer: Transfer, head: Head) -> Batch:
    """The posting: custody has less, and it was spent; or all of that undone."""
    units = transfer.units if transfer.kind is TransferKind.WITHDRAW else -transfer.units
    return next_batch(
        head,
        partition=PARTITION,
        posted_at_ns=transfer.completed_at_ns,
        reference=transfer.transfer_id,
        entries=[
            Entry(account, transfer.asset, part, EntryKind.FEE, transfer.transfer_id)
            for account, part in ((custody_account(STRIPE), units), (costs_account(STRIPE), -units))
        ],
    )
