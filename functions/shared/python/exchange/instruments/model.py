"""Assets and products, and the exact conversion between decimal text and ticks, lots and units."""

from dataclasses import dataclass
from enum import StrEnum

from exchange.kernel.money import DecimalTooPreciseError, divide_down, divide_up, format_units, parse_decimal

LOTS_MAX = 10**12
TICKS_MAX = 10**12
VALUE_MAX = 10**18  # price x size and funds, in tick x lot units: what the engine's 64-bit integers hold
PPM = 1_000_000
_SCALE_FINE = 18


class ListingError(ValueError):
    """A product can't be listed like this; the message names the field and the remedy."""


class ProductStatus(StrEnum):
    """What customers may do with a product now."""

    ONLINE = "online"
    CANCEL_ONLY = "cancel_only"
    HALTED = "halted"
    AUCTION = "auction"


@dataclass(frozen=True, slots=True)
class Asset:
    """A currency, token or share. Its unit is 10^-scale of it; fee and minimum of a withdrawal are in units."""

    asset_id: str
    name: str
    scale: int
    kind: str = "fiat"  # fiat, crypto or stock: what the trading API shows as details.asset_class
    withdrawal_fee_units: int = 0
    withdrawal_min_units: int = 1

    def parse(self, text: str) -> int:
        """Decimal text as units. Raises DecimalError (DecimalTooPreciseError between two units)."""
        return parse_decimal(text, self.scale)

    def format(self, units: int) -> str:
        """Units as decimal text."""
        return format_units(units, self.scale)

    @property
    def max_precision(self) -> str:
        """One unit as decimal text."""
        return format_units(1, self.scale)


@dataclass(frozen=True, slots=True)
class Product:
    """A market BASE-QUOTE: a price counts ticks of `quote_increment`, a size counts lots of `base_increment`.

    Units:    tick_units in quote units for one whole base; lot_units in base units; *_lots in lots;
              reference_price_ticks in ticks (0: none); band_ppm in millionths (0: no band);
              market_funds_min_units in quote units.
    Raises:   ListingError where a tick times a lot is no whole number of quote units, or a limit makes no sense.
    """

    product_id: str
    base: Asset
    quote: Asset
    tick_units: int
    lot_units: int
    size_min_lots: int
    size_max_lots: int
    market_funds_min_units: int
    reference_price_ticks: int = 0
    band_ppm: int = 0
    open_orders_max: int = 500
    status: ProductStatus = ProductStatus.ONLINE

    def __post_init__(self) -> None:
        if self.tick_units < 1 or self.lot_units < 1:
            raise ListingError(f"{self.product_id}: quote_increment and base_increment must be above zero")
        if 10**self.base.scale % self.lot_units:
            raise ListingError(
                f"{self.product_id}: base_increment must be 1 divided by a whole number, like 1 or 0.001"
            )
        if self.tick_units * self.lot_units % 10**self.base.scale:
            raise ListingError(
                f"{self.product_id}: a tick times a lot is less than one unit of {self.quote.asset_id}; "
                "take a coarser quote_increment or base_increment, or give the quote asset more decimals"
            )
        if not 1 <= self.size_min_lots <= self.size_max_lots <= LOTS_MAX:
            raise ListingError(f"{self.product_id}: base_min_size must be above zero and at most base_max_size")

    @property
    def units_per_tick_lot(self) -> int:
        """Quote units that one lot costs at a price of one tick."""
        return self.tick_units * self.lot_units // int(10**self.base.scale)

    def value_units(self, price_ticks: int, size_lots: int) -> int:
        """What `size_lots` cost at `price_ticks`, in quote units, exactly."""
        return price_ticks * size_lots * self.units_per_tick_lot

    def size_units(self, size_lots: int) -> int:
        """A size in base units."""
        return size_lots * self.lot_units

    def parse_price(self, text: str) -> int:
        """Decimal text as ticks. Raises DecimalError; DecimalTooPreciseError off the tick."""
        return _whole(parse_decimal(text, _SCALE_FINE), self.tick_units * 10 ** (_SCALE_FINE - self.quote.scale), text)

    def parse_size(self, text: str) -> int:
        """Decimal text as lots. Raises DecimalError; DecimalTooPreciseError off the lot."""
        return _whole(parse_decimal(text, _SCALE_FINE), self.lot_units * 10 ** (_SCALE_FINE - self.base.scale), text)

    def format_price(self, price_ticks: int) -> str:
        """Ticks as decimal text."""
        return format_units(price_ticks * self.tick_units, self.quote.scale)

    def format_size(self, size_lots: int) -> str:
        """Lots as decimal text."""
        return format_units(size_lots * self.lot_units, self.base.scale)

    def band_ticks(self, reference_ticks: int) -> tuple[int, int] | None:
        """The lowest and highest price allowed around a reference, in ticks; None without band or reference."""
        if not self.band_ppm or not reference_ticks:
            return None
        lower = divide_up(reference_ticks * (PPM - self.band_ppm), PPM)
        upper = divide_down(reference_ticks * (PPM + self.band_ppm), PPM)
        return max(lower, 1), upper


def _whole(units: int, step: int, text: str) -> int:
    count, rest = divmod(units, step)
    if rest:
        raise DecimalTooPreciseError(f"{text} falls between two increments")
    return count


def list_product(
    product_id: str,
    *,
    base: Asset,
    quote: Asset,
    base_increment: str,
    quote_increment: str,
    base_min_size: str,
    base_max_size: str,
    min_market_funds: str,
    reference_price: str | None = None,
    price_band: str | None = None,
    open_orders_max: int = 500,
) -> Product:
    """Make a product from the decimal text that operators and the trading API use.

    Raises:   ListingError, DecimalError.
    """
    if product_id != f"{base.asset_id}-{quote.asset_id}":
        raise ListingError(f"{product_id}: the id of a product is BASE-QUOTE, here {base.asset_id}-{quote.asset_id}")
    terms = Product(
        product_id=product_id,
        base=base,
        quote=quote,
        tick_units=quote.parse(quote_increment),
        lot_units=base.parse(base_increment),
        size_min_lots=1,
        size_max_lots=LOTS_MAX,
        market_funds_min_units=quote.parse(min_market_funds),
    )
    return Product(
        product_id=product_id,
        base=base,
        quote=quote,
        tick_units=terms.tick_units,
        lot_units=terms.lot_units,
        size_min_lots=terms.parse_size(base_min_size),
        size_max_lots=terms.parse_size(base_max_size),
        market_funds_min_units=terms.market_funds_min_units,
        reference_price_ticks=terms.parse_price(reference_price) if reference_price else 0,
        band_ppm=parse_decimal(price_band, 6) if price_band else 0,
        open_orders_max=open_orders_max,
    )
