"""What past trades would have cost under another schedule."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exchange.fees.model import PPM, VOLUME_ASSET, VOLUME_SCALE, FeeSchedule, Rates, Standing, Traded, rates_for
from exchange.instruments.model import Product
from exchange.kernel.money import divide_down, divide_up

_DAY_NS = 86_400 * 1_000_000_000


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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one account paid in one product, and would have paid. Units: quote units."""

    account_id: int
    product_id: str
    value_units: int
    paid_units: int
    what_if_units: int


def what_if(
    fills: Iterable[PastFill], schedule: FeeSchedule, own: Mapping[int, Rates], products: Mapping[str, Product]
) -> list[Outcome]:
    """Every account's fees in every product, as they were and as the schedule would have made them.

    Volumes are those of the days (UTC) before an order's first fill, counted from these fills alone in products quoted
    in VOLUME_ASSET; an order keeps the rates of its first fill; fees round up once an order, as they do when settled.
    `own` has the rates agreed with single accounts.
    """
    traded: dict[int, Counter[int]] = defaultdict(Counter)  # cents by day
    pinned: dict[int, Rates] = {}
    numerators: Counter[int] = Counter()
    value, paid, would = (Counter[tuple[int, str]]() for _ in range(3))
    for fill in sorted(fills, key=lambda row: row.traded_at_ns):
        day = fill.traded_at_ns // _DAY_NS
        rates = pinned.get(fill.order_id)
        if rates is None:
            standing = _standing(traded[fill.account_id], day, own.get(fill.account_id))
            rates = rates_for(schedule, standing, fill.product_id, fill.traded_at_ns)
            pinned[fill.order_id] = rates
        charged = divide_up(numerators[fill.order_id], PPM)
        numerators[fill.order_id] += (rates.maker_ppm if fill.maker else rates.taker_ppm) * fill.value_units
        key = fill.account_id, fill.product_id
        value[key] += fill.value_units
        paid[key] += fill.fee_units
        would[key] += divide_up(numerators[fill.order_id], PPM) - charged
        quote = products[fill.product_id].quote
        if quote.asset_id == VOLUME_ASSET:
            traded[fill.account_id][day] += divide_down(fill.value_units * 10**VOLUME_SCALE, 10**quote.scale)
    return [Outcome(*key, value[key], paid[key], would[key]) for key in sorted(value)]


def _standing(by_day: Mapping[int, int], today: int, own: Rates | None) -> Standing:
    rows = (Traded(day, (day + 1) * _DAY_NS, cents) for day, cents in by_day.items() if day < today)
    return Standing(own, tuple(rows))
