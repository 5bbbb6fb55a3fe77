"""What is due of a period's fees, from the journal alone, and the postings that pay it.

Everything here follows from what never changes: closed periods, published versions, referrals. So whoever works it out
again, a second runner or an audit, comes to the same numbers. Units are a product's quote units; `micro_units` are
millionths of one. What is due is rounded down, and the fraction is carried to the payee's next award in that product.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from exchange.fees.model import PPM, FeeSchedule, version_at
from exchange.fees.sharing import ChargedTrade, ShareKind, split_fees
from exchange.instruments.model import Product
from exchange.kernel.errors import require
from exchange.kernel.money import divide_down
from exchange.ledger.model import (
    HOUSE_PREFIX,
    Batch,
    Entry,
    EntryKind,
    Head,
    Movements,
    costs_account,
    customer_account,
    fee_account,
    next_batch,
)
from exchange.referrals.model import Referral
from exchange.settlement.busting import busts_partition
from exchange.settlement.model import journal_partition

_SIDES = 2


@dataclass(frozen=True, slots=True, order=True)
class AwardKey:
    """Who is paid why, in which product."""

    product_id: str
    kind: ShareKind
    payee_id: int


@dataclass(frozen=True, slots=True)
class Award:
    """What a payee was due of a closing's period, and had.

    Units:    `due_units` and `units` (paid) in quote units; `earned_micro_units` of the period, `carried_micro_units`
              into it; both below zero where trades were undone after they had been paid for.
    """

    closing: int
    key: AwardKey
    asset: str
    earned_micro_units: int
    carried_micro_units: int
    due_units: int
    units: int

    @property
    def carry_micro_units(self) -> int:
        """What goes into the payee's next award in that product."""
        return self.carried_micro_units + self.earned_micro_units - self.units * PPM


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a payee stands before a closing: what is carried into it, and the award itself once it is paid."""

    carried_micro_units: int = 0
    paid: Award | None = None


@dataclass(slots=True)
class Earnings:
    """What a period's trades earned for others, and what fees it brought the venue; bust trades count off both."""

    shares: Counter[AwardKey] = field(default_factory=Counter)  # micro-units
    income: Counter[str] = field(default_factory=Counter)  # units by product

    def by_product(self) -> dict[str, dict[AwardKey, int]]:
        """The shares by product, the empty ones left out."""
        found: dict[str, dict[AwardKey, int]] = {}
        for key, micro_units in sorted(self.shares.items()):
            if micro_units:
                found.setdefault(key.product_id, {})[key] = micro_units
        return found


def earnings(
    batches: Iterable[Batch],
    *,
    products: Mapping[str, Product],
    versions: Sequence[FeeSchedule],
    referral_of: Callable[[int], Referral | None],
    settled_in: Callable[[str, int], Batch | None],
) -> Earnings:
    """Add up a period. A trade counts by the version that held when it was settled, also when it is undone later.

    `settled_in` finds the batch of a product that settled a trade.
    """
    found = Earnings()
    of_trades = {journal_partition(product_id): product for product_id, product in products.items()}
    of_busts = {busts_partition(product_id): product for product_id, product in products.items()}

    def count(trade: ChargedTrade, sign: int) -> None:
        version = version_at(versions, trade.traded_at_ns)
        if version is None or not version.gives:
            return
        for share in split_fees(trade, version, referral_of):
            found.shares[AwardKey(trade.product_id, share.kind, share.payee_id)] += sign * share.micro_units

    for batch in batches:
        product = of_trades.get(batch.partition) or of_busts.get(batch.partition)
        if product is None:
            continue
        income = fee_account(product.product_id)
        found.income[product.product_id] += sum(e.units for e in batch.entries if e.account == income)
        if batch.partition in of_trades:
            for trade in charged_trades(batch, product):
                count(trade, 1)
        else:
            settled = settled_in(product.product_id, int(batch.reference))
            require(settled is not None, f"{batch.partition}: trade {batch.reference} was undone and never settled")
            if settled is not None:
                for trade in charged_trades(settled, product, only=batch.reference):
                    count(trade, -1)
    return found


def charged_trades(batch: Batch, product: Product, *, only: str = "") -> Iterator[ChargedTrade]:
    """The trades of a settlement's batch (`only` one), the maker's side first, as settlement posts them.

    Raises:   InvariantError where a trade has not two sides.
    """
    sides: list[list[int]] = []  # account, value, fee
    reference = ""
    for entry in (*batch.entries, None):
        if sides and (entry is None or entry.reference != reference):
            require(len(sides) == _SIDES, f"{batch.partition}: trade {reference} has {len(sides)} sides")
            (maker, value, maker_fee), (taker, _, taker_fee) = sides
            if only in {"", reference}:
                yield ChargedTrade(product.product_id, maker, taker, value, maker_fee, taker_fee, batch.posted_at_ns)
            sides = []
        if entry is None or entry.account.startswith(HOUSE_PREFIX):
            continue
        reference = entry.reference
        if entry.kind is EntryKind.MATCH and entry.asset == product.base.asset_id:
            sides.append([int(entry.account), 0, 0])
        elif entry.kind is EntryKind.MATCH:
            sides[-1][1] = abs(entry.units)
        elif entry.kind is EntryKind.FEE:
            sides[-1][2] = -entry.units


def share_out(
    closing: int, asset: str, income: int, shares: Mapping[AwardKey, int], carried: Mapping[AwardKey, int]
) -> list[Award]:
    """The awards of one product: what is due, and where that is more than the period's income, its part of it.

    What is not paid stays in the carry, so nothing that was earned is lost. Rounded down, for the payee's next award.
    """
    dues = {key: max(divide_down(carried.get(key, 0) + shares[key], PPM), 0) for key in sorted(shares)}
    total, most = sum(dues.values()), max(income, 0)
    paid = {key: due if total <= most else divide_down(due * most, total) for key, due in dues.items()}
    return [Award(closing, key, asset, shares[key], carried.get(key, 0), due, paid[key]) for key, due in dues.items()]


def awards_account(product_id: str) -> str:
    """What the venue spent on a product's awards. Not its fee account: every settlement writes that one, and a trade
    that is undone finds its fees there, whatever was given back of them."""
    return costs_account(f"awards:{product_id}")


def awards_partition(product_id: str) -> str:
    """The journal's chain of a product's awards."""
    return f"awards:{product_id}"


def award_batch(awards: Sequence[Award], head: Head, *, posted_at_ns: int) -> Batch | None:
    """The postings of awards of one product and closing, two entries each; None where none of them pays anything."""
    entries: list[Entry] = []
    for award in awards:
        if award.units:
            kind, reference = EntryKind(award.key.kind.value), str(award.closing)
            payee, cost = customer_account(award.key.payee_id), awards_account(award.key.product_id)
            entries.append(Entry(cost, award.asset, -award.units, kind, reference))
            entries.append(Entry(payee, award.asset, award.units, kind, reference))
    if not entries:
        return None
    first = awards[0]
    return next_batch(
        head,
        partition=awards_partition(first.key.product_id),
        posted_at_ns=posted_at_ns,
        reference=str(first.closing),
        entries=entries,
    )


def award_movements(batch: Batch) -> Movements:
    """What a batch of awards does to balances."""
    movements = Movements()
    for entry in batch.entries:
        movements.of(entry.account, entry.asset).available += entry.units
    return movements
