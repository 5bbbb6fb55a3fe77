"""Paying what a closed period's fees give back: each payee once, however often it is run, wherever it broke off."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from exchange.awards.model import (
    Award,
    AwardKey,
    Standing,
    award_batch,
    awards_partition,
    earnings,
    share_out,
)
from exchange.fees.model import FeeSchedule
from exchange.instruments.model import Product
from exchange.kernel.clock import Clock
from exchange.kernel.errors import UnavailableError, require
from exchange.ledger.model import Batch, Head
from exchange.referrals.model import Referral
from exchange.settlement.busting import trade_batch

# An award writes its row, its carry and a balance; with the journal and the fee account they fit one transaction.
AWARDS_A_BATCH = 30
ATTEMPTS_MAX = 32


class Journal(Protocol):
    """Where trades and awards are posted."""

    def head(self, partition: str) -> Head:
        """The last batch of a partition, as it is now."""
        ...

    def batch(self, partition: str, number: int) -> Batch | None:
        """One batch; None where there is none with this number."""
        ...


class Awards(Protocol):
    """Where awards are kept."""

    def standings(self, closing: int, keys: Sequence[AwardKey]) -> Mapping[AwardKey, Standing]:
        """Where these payees stand before a closing, as it is now."""
        ...

    def post(self, awards: Sequence[Award], batch: Batch | None) -> bool:
        """Keep awards, their carries, journal and balances, all or nothing; False where somebody else was there."""
        ...


class Referrals(Protocol):
    """Who brought whom."""

    def referral(self, account_id: int) -> Referral | None:
        """Who brought the customer whose account it is."""
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What paying needs."""

    products: Mapping[str, Product]
    versions: Sequence[FeeSchedule]
    referrals: Referrals
    journal: Journal
    awards: Awards
    clock: Clock
    pause: Callable[[int], None]


def pay_awards(closing: int, batches: Iterable[Batch], desk: Desk) -> list[Award]:
    """Pay what a closing's period gives back and return every award of it, also those that were paid before.

    `batches` are those of the period. Closings are paid in their order.
    Raises:   InvariantError where what was paid is not what is due; OutageError: what is paid is paid, run it again.
    """
    known: dict[int, Referral | None] = {}

    def referral_of(account_id: int) -> Referral | None:
        if account_id not in known:
            known[account_id] = desk.referrals.referral(account_id)
        return known[account_id]

    found = earnings(
        batches,
        products=desk.products,
        versions=desk.versions,
        referral_of=referral_of,
        settled_in=lambda product_id, trade_id: trade_batch(product_id, trade_id, desk.journal),
    )
    paid: list[Award] = []
    for product_id, shares in found.by_product().items():
        paid += _pay_product(closing, desk.products[product_id], found.income[product_id], shares, desk)
    return paid


def _pay_product(
    closing: int, product: Product, income: int, shares: Mapping[AwardKey, int], desk: Desk
) -> list[Award]:
    for attempt in range(ATTEMPTS_MAX):
        standings = desk.awards.standings(closing, list(shares))
        carried = {key: standing.carried_micro_units for key, standing in standings.items()}
        awards = share_out(closing, product.quote.asset_id, income, shares, carried)
        for award in awards:
            before = standings[award.key].paid
            require(before in {None, award}, f"closing {closing} paid {before}, and {award} is due")
        waiting = [award for award in awards if standings[award.key].paid is None]
        if all(
            _post(waiting[start : start + AWARDS_A_BATCH], product, desk)
            for start in range(0, len(waiting), AWARDS_A_BATCH)
        ):
            return awards
        desk.pause(attempt)
    raise UnavailableError(f"the chain {awards_partition(product.product_id)} was busy {ATTEMPTS_MAX} times")


def _post(awards: Sequence[Award], product: Product, desk: Desk) -> bool:
    head = desk.journal.head(awards_partition(product.product_id))
    return desk.awards.post(awards, award_batch(awards, head, posted_at_ns=desk.clock.now_ns()))
