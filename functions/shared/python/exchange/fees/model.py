"""What trading costs: rates by volume, product and season, in versions that each begin at a moment of their own.

Rates count millionths (ppm): 6000 is 0.6 %. A fee rounds up, against the payer, but on an order's fills together: an
order in a thousand pieces costs what it costs whole. Volumes are in cents of VOLUME_ASSET.

An order pins its rates when it is accepted, so a version that begins later changes nothing that rests.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from exchange.kernel.money import divide_up, format_units

PPM = 1_000_000
VOLUME_ASSET = "USD"
VOLUME_SCALE = 2
VOLUME_DAYS = 30
RATE_SCALE = 6
COMMISSION_DAYS_MAX = 36_500
# What two operators publish a version by: a kind of proposal, the one name in its payload, and how long that may be.
PUBLISH = "fees.publish"
SCHEDULE = "schedule"
SCHEDULE_CHARACTERS_MAX = 12_000
# What they agree rates with one account by.
AGREE = "fees.agree"
_DAY_NS = 86_400 * 1_000_000_000


class FeeScheduleError(ValueError):
    """A fee schedule can't be like this; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What a maker and a taker pay.

    Raises:   FeeScheduleError unless 0 <= maker <= taker < 100 %.
    """

    maker_ppm: int
    taker_ppm: int

    def __post_init__(self) -> None:
        # Holds are made at the taker's rate, so no fill may ever cost more than that.
        if not 0 <= self.maker_ppm <= self.taker_ppm < PPM:
            told = f"{format_rate(self.maker_ppm)} and {format_rate(self.taker_ppm)}"
            raise FeeScheduleError(f"rates must be 0 <= maker <= taker < 1, not {told}")

    def or_lower(self, other: "Rates") -> "Rates":
        """The lower maker's and the lower taker's rate of two."""
        return Rates(min(self.maker_ppm, other.maker_ppm), min(self.taker_ppm, other.taker_ppm))


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates for whoever traded at least `volume` in the last VOLUME_DAYS days. Units: cents of VOLUME_ASSET."""

    volume: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Promotion:
    """Rates that nobody pays more than for a time, in one product or (empty) in all."""

    product_id: str
    from_ns: int
    until_ns: int
    rates: Rates

    def covers(self, product_id: str, now_ns: int) -> bool:
        """Whether it holds for a product at a time."""
        return self.from_ns <= now_ns < self.until_ns and self.product_id in {"", product_id}


@dataclass(frozen=True, slots=True)
class Rebate:
    """What a maker is paid of a trade's value, in one product or (empty) in all that have no row of their own."""

    product_id: str
    rate_ppm: int


@dataclass(frozen=True, slots=True)
class Commission:
    """The share of a customer's fees that goes to who brought them, for so many days after they registered."""

    share_ppm: int
    days: int

    def __post_init__(self) -> None:
        """Raises FeeScheduleError unless 0 < share <= 1 and there is a day."""
        if not 0 < self.share_ppm <= PPM:
            raise FeeScheduleError(f"commission.share: give above 0 and at most 1, not {format_rate(self.share_ppm)}")
        if not 0 < self.days <= COMMISSION_DAYS_MAX:
            raise FeeScheduleError(f"commission.days: give 1 to {COMMISSION_DAYS_MAX} days, not {self.days}")

    def covers(self, since_ns: int, now_ns: int) -> bool:
        """Whether who registered at a time still counts."""
        return since_ns <= now_ns < since_ns + self.days * _DAY_NS


Tiers = tuple[Tier, ...]


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """One version of what trading costs, from `effective_ns` until the next version begins.

    `tiers` rise by volume and begin at 0; `products` has tiers of their own for some products. What goes on to makers
    and to those who brought a payer is never more than takers pay, whichever rate of this version they have.
    Raises:   FeeScheduleError naming the table that is wrong, and the place in it.
    """

    effective_ns: int
    tiers: Tiers
    products: Mapping[str, Tiers] = field(default_factory=dict)
    promotions: tuple[Promotion, ...] = ()
    rebates: tuple[Rebate, ...] = ()
    commission: Commission | None = None

    def __post_init__(self) -> None:
        own = {f"products.{product_id}": tiers for product_id, tiers in self.products.items()}
        for name, tiers in {"tiers": self.tiers, **own}.items():
            _require_rising(tiers, name)
        for place, promotion in enumerate(self.promotions):
            if promotion.from_ns >= promotion.until_ns:
                raise FeeScheduleError(f"promotions.{place}.until: give a time behind its from")
        self._require_funded_rebates()

    def require_listed(self, product_ids: Collection[str]) -> None:
        """Raises FeeScheduleError naming the place of a product that is not among these."""
        rows: Mapping[str, Sequence[Promotion | Rebate]] = {"promotions": self.promotions, "rebates": self.rebates}
        named = {f"products.{product_id}": product_id for product_id in self.products}
        for table, own in rows.items():
            named |= {f"{table}.{place}.product": row.product_id for place, row in enumerate(own) if row.product_id}
        for place, product_id in named.items():
            if product_id not in product_ids:
                raise FeeScheduleError(
                    f"{place}: {product_id} is not listed; there are {', '.join(sorted(product_ids))}"
                )

    def _require_funded_rebates(self) -> None:
        names = [row.product_id for row in self.rebates]
        for place, row in enumerate(self.rebates):
            if not 0 < row.rate_ppm < PPM:
                raise FeeScheduleError(
                    f"rebates.{place}.rate: give above 0 and below 1, not {format_rate(row.rate_ppm)}"
                )
            if row.product_id in names[:place]:
                raise FeeScheduleError(f"rebates.{place}.product: {row.product_id or 'all'} has a row already")
        promoted = {row.product_id for row in self.promotions}
        kept_ppm = PPM - (self.commission.share_ppm if self.commission else 0)
        for product_id in sorted({"", *names, *promoted, *self.products}):
            rebate_ppm, lowest_ppm = self.rebate_ppm(product_id), self.lowest_taker_ppm(product_id)
            if rebate_ppm * PPM > lowest_ppm * kept_ppm:
                place = names.index(product_id if product_id in names else "")
                raise FeeScheduleError(
                    f"rebates.{place}.rate: {format_rate(rebate_ppm)} is more than the takers of"
                    f" {product_id or 'all other products'} bring: they pay from {format_rate(lowest_ppm)} on, and"
                    f" {format_rate(PPM - kept_ppm)} of that may be a commission"
                )

    def rebate_ppm(self, product_id: str) -> int:
        """What a maker of this product is paid."""
        rows = {row.product_id: row.rate_ppm for row in self.rebates}
        return rows.get(product_id, rows.get("", 0))

    def lowest_taker_ppm(self, product_id: str) -> int:
        """The least that a taker of this product pays while this version holds, rates agreed with one account aside."""
        rates = [tier.rates for tier in self.products.get(product_id, self.tiers)]
        rates += [
            row.rates
            for row in self.promotions
            if row.product_id in {"", product_id} and row.until_ns > self.effective_ns
        ]
        return min(found.taker_ppm for found in rates)

    def require_funded_by(self, rates: Rates) -> None:
        """Raises FeeScheduleError where a taker with these rates would bring less than the maker is paid of it."""
        kept_ppm = PPM - (self.commission.share_ppm if self.commission else 0)
        for name in sorted({"", *self.products, *(row.product_id for row in self.rebates)}):
            if self.rebate_ppm(name) * PPM > rates.taker_ppm * kept_ppm:
                least_ppm = divide_up(self.rebate_ppm(name) * PPM, kept_ppm) if kept_ppm else PPM
                raise FeeScheduleError(
                    f"taker: {format_rate(rates.taker_ppm)} is less than makers of {name or 'all other products'} are"
                    f" paid, {format_rate(self.rebate_ppm(name))}, and {format_rate(PPM - kept_ppm)} of it may be a"
                    f" commission; give {format_rate(least_ppm)} or more"
                )

    @property
    def gives(self) -> bool:
        """Whether anything of its fees goes on to others."""
        return bool(self.rebates or self.commission)

    def rates(self, product_id: str, volume: int, now_ns: int) -> Rates:
        """What an order of this product costs an account with this volume."""
        tiers = self.products.get(product_id, self.tiers)
        found = tiers[bisect_right([tier.volume for tier in tiers], volume) - 1].rates
        for promotion in self.promotions:
            if promotion.covers(product_id, now_ns):
                found = found.or_lower(promotion.rates)
        return found


def _require_rising(tiers: Tiers, name: str) -> None:
    if not tiers:
        raise FeeScheduleError(f"{name}: give at least one tier, of volume 0")
    if tiers[0].volume != 0:
        raise FeeScheduleError(f"{name}.0.volume: give 0, for the first tier is everybody's")
    for place, (low, high) in enumerate(pairwise(tiers), start=1):
        if low.volume >= high.volume:
            raise FeeScheduleError(f"{name}.{place}.volume: give more than the tier before it has, for tiers rise")


def flat(maker_ppm: int, taker_ppm: int, *, effective_ns: int = 0) -> FeeSchedule:
    """A version with the same rates for everybody."""
    return FeeSchedule(effective_ns, (Tier(0, Rates(maker_ppm, taker_ppm)),))


def version_at(versions: Sequence[FeeSchedule], now_ns: int) -> FeeSchedule | None:
    """The version that holds at a time, of versions in their order; None before the first."""
    place = bisect_right([version.effective_ns for version in versions], now_ns)
    return versions[place - 1] if place else None


def published(versions: Sequence[FeeSchedule], fresh: FeeSchedule, now_ns: int) -> tuple[FeeSchedule, ...]:
    """The versions with one more at their end. What was published stays for ever.

    Raises:   FeeScheduleError where it would begin in the past, or not after all others.
    """
    if versions and fresh.effective_ns <= now_ns:
        raise FeeScheduleError("effective: a version can't begin in the past; give a time to come")
    if versions and fresh.effective_ns <= versions[-1].effective_ns:
        raise FeeScheduleError("effective: a version that begins then or later is already published")
    return (*versions, fresh)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Rates of one account from a time on, until the account's next agreement; None: the schedule's again."""

    from_ns: int
    rates: Rates | None


Agreements = tuple[Agreement, ...]


def agreed_at(rows: Agreements, now_ns: int) -> Rates | None:
    """The rates that hold for an account at a time, of its agreements in their order."""
    place = bisect_right([row.from_ns for row in rows], now_ns)
    return rows[place - 1].rates if place else None


def agreed(rows: Agreements, fresh: Agreements, versions: Sequence[FeeSchedule], now_ns: int) -> Agreements:
    """An account's agreements with fresh ones, which take the place of all that was to begin later than they do.

    What is over is dropped. Taken twice they change nothing.
    Raises:   FeeScheduleError naming the field: they begin in the past, or a version that holds meanwhile pays makers
              more of a trade than such a taker brings.
    """
    first = fresh[0]
    if first.from_ns <= now_ns:
        raise FeeScheduleError("from: rates can't be agreed for the past; give a time to come")
    if len(fresh) > 1 and fresh[1].from_ns <= first.from_ns:
        raise FeeScheduleError("until: give a time behind from, or none")
    if first.rates:
        until_ns = fresh[1].from_ns if len(fresh) > 1 else None
        for version, after in zip(versions, (*versions[1:], None), strict=True):
            begins = until_ns is None or version.effective_ns < until_ns
            if begins and (after is None or after.effective_ns > first.from_ns):
                version.require_funded_by(first.rates)
    past = bisect_right([row.from_ns for row in rows], now_ns)
    kept = tuple(row for row in rows[max(0, past - 1) :] if row.from_ns < first.from_ns)
    # What only says that the schedule's hold says nothing where nothing else held before.
    return _telling((*kept, *fresh))


def _telling(rows: Agreements) -> Agreements:
    told: Agreements = ()
    for row in rows:
        if row.rates != (told[-1].rates if told else None):
            told = (*told, row)
    return told


@dataclass(frozen=True, slots=True)
class Traded:
    """What an account traded in the period of one closing of the books. Units: cents of VOLUME_ASSET."""

    closing: int
    until_ns: int
    volume: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one account: rates agreed with it alone, and what it traded of late."""

    own: Rates | None = None
    traded: tuple[Traded, ...] = ()

    def volume(self, now_ns: int) -> int:
        """What it traded in the periods that ended within VOLUME_DAYS days. Units: cents of VOLUME_ASSET.

        Not below zero, where more was undone in them than was traded.
        """
        since = now_ns - VOLUME_DAYS * _DAY_NS
        return max(0, sum(row.volume for row in self.traded if row.until_ns > since))

    def with_traded(self, row: Traded) -> "Standing":
        """The standing with one more period; counted again it changes nothing. Periods too old to count are dropped."""
        since = row.until_ns - (VOLUME_DAYS + 1) * _DAY_NS
        others = tuple(old for old in self.traded if old.closing != row.closing and old.until_ns > since)
        return Standing(self.own, (*others, row))


def rates_for(version: FeeSchedule, standing: Standing, product_id: str, now_ns: int) -> Rates:
    """What an order costs an account: its own rates where some were agreed, though never more than all others pay."""
    usual = version.rates(product_id, standing.volume(now_ns), now_ns)
    return standing.own.or_lower(usual) if standing.own else usual


def format_rate(rate_ppm: int) -> str:
    """A rate as decimal text: 6000 ppm is "0.006"."""
    return format_units(rate_ppm, RATE_SCALE)
