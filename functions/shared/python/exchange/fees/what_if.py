"""What past trades would have cost under another schedule, and what of it would have gone on to others."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from exchange.fees.model import (
    PPM,
    VOLUME_ASSET,
    VOLUME_SCALE,
    FeeSchedule,
    Rates,
    Standing,
    Traded,
    rates_for,
    version_at,
)
from exchange.fees.sharing import ChargedTrade, split_fees
from exchange.instruments.model import Product
from exchange.kernel.money import divide_down, divide_up
from exchange.referrals.model import Referral

_DAY_NS = 86_400 * 1_000_000_000
Key = tuple[int, str]  # account and product
ReferralOf = Callable[[int], Referral | None]


@dataclass(frozen=True, slots=True)
class PastFill:
    """One side of a trade as it was settled. Units: `value_units`, `fee_units` in quote units."""

    order_id: int
    account_id: int
    product_id: str
    maker: bool
    value_units: int
    fee_units: int
    traded_at_ns: int
    trade_id: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one account paid in one product and had back as rebates and commissions, and what it would have been.

    Units:    quote units; what was given back is reckoned from these fills, rounded down.
    """

    account_id: int
    product_id: str
    value_units: int
    paid_units: int
    what_if_units: int
    given_units: int = 0
    what_if_given_units: int = 0

    @property
    def change_units(self) -> int:
        """What the house would have had more of this account."""
        return self.what_if_units - self.what_if_given_units - (self.paid_units - self.given_units)


def what_if(
    fills: Iterable[PastFill],
    schedule: FeeSchedule,
    own: Mapping[int, Rates],
    products: Mapping[str, Product],
    *,
    versions: Sequence[FeeSchedule] = (),
    referral_of: ReferralOf = lambda _: None,
) -> list[Outcome]:
    """Every account's fees in every product, as they were and as the schedule would have made them.

    Volumes are those of the days (UTC) before an order's first fill, counted from these fills alone in products quoted
    in VOLUME_ASSET; an order keeps the rates of its first fill; fees round up once an order, as they do when settled.
    `own` has the rates agreed with single accounts, `versions` what was published: by these, shares were given.
    """
    rows = sorted(fills, key=lambda row: row.traded_at_ns)
    charged = list(_charged(rows, schedule, own, products))
    value, paid, would = (Counter[Key]() for _ in range(3))
    for fill, fee_units in zip(rows, charged, strict=True):
        key = fill.account_id, fill.product_id
        value[key] += fill.value_units
        paid[key] += fill.fee_units
        would[key] += fee_units
    given = _given(_trades(rows, [fill.fee_units for fill in rows]), lambda at: version_at(versions, at), referral_of)
    would_give = _given(_trades(rows, charged), lambda _: schedule, referral_of)
    return [
        Outcome(*key, value[key], paid[key], would[key], given[key], would_give[key])
        for key in sorted(value.keys() | given.keys() | would_give.keys())
    ]


def _charged(
    rows: Sequence[PastFill], schedule: FeeSchedule, own: Mapping[int, Rates], products: Mapping[str, Product]
) -> Iterator[int]:
    """What each fill would have cost, in their order."""
    traded: dict[int, Counter[int]] = defaultdict(Counter)  # cents by day
    pinned: dict[int, Rates] = {}
    numerators: Counter[int] = Counter()
    for fill in rows:
        day = fill.traded_at_ns // _DAY_NS
        rates = pinned.get(fill.order_id)
        if rates is None:
            standing = _standing(traded[fill.account_id], day, own.get(fill.account_id))
            rates = rates_for(schedule, standing, fill.product_id, fill.traded_at_ns)
            pinned[fill.order_id] = rates
        before = divide_up(numerators[fill.order_id], PPM)
        numerators[fill.order_id] += (rates.maker_ppm if fill.maker else rates.taker_ppm) * fill.value_units
        yield divide_up(numerators[fill.order_id], PPM) - before
        quote = products[fill.product_id].quote
        if quote.asset_id == VOLUME_ASSET:
            traded[fill.account_id][day] += divide_down(fill.value_units * 10**VOLUME_SCALE, 10**quote.scale)


def _trades(rows: Sequence[PastFill], fees: Sequence[int]) -> Iterator[ChargedTrade]:
    """The trades of which both sides are there."""
    first: dict[tuple[str, int], tuple[PastFill, int]] = {}
    for fill, fee_units in zip(rows, fees, strict=True):
        other = first.pop((fill.product_id, fill.trade_id), None)
        if other is None or other[0].maker is fill.maker:
            first[fill.product_id, fill.trade_id] = fill, fee_units
            continue
        (maker, maker_fee), (taker, taker_fee) = sorted((other, (fill, fee_units)), key=lambda side: not side[0].maker)
        yield ChargedTrade(
            fill.product_id,
            maker.account_id,
            taker.account_id,
            fill.value_units,
            maker_fee,
            taker_fee,
            fill.traded_at_ns,
        )


def _given(
    trades: Iterable[ChargedTrade], version_of: Callable[[int], FeeSchedule | None], referral_of: ReferralOf
) -> Counter[Key]:
    """What rebates and commissions come to, by payee and product."""
    shares: Counter[Key] = Counter()
    for trade in trades:
        version = version_of(trade.traded_at_ns)
        for share in split_fees(trade, version, referral_of) if version else ():
            shares[share.payee_id, trade.product_id] += share.micro_units
    return Counter({key: divide_down(micro_units, PPM) for key, micro_units in shares.items()})


def _standing(by_day: Mapping[int, int], today: int, own: Rates | None) -> Standing:
    rows = (Traded(day, (day + 1) * _DAY_NS, cents) for day, cents in by_day.items() if day < today)
    return Standing(own, tuple(rows))
