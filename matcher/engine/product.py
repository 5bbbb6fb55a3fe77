"""What an engine must know of its product: increments, limits and the band, as integers.

Units of funds. A trade of s lots at p ticks is worth p x s ticks x lots. A lot is a/b of the base currency (in lowest
terms), so a tick of quote currency is b/a tick-lots: no whole number unless a is 1. Funds are therefore counted in
`quote_increment`/b, of which one tick-lot has a = `funds_per_value`. Of every product whose lot is 1, 0.1, 0.001, ...
that is 1, and funds are simply tick-lots. (Of the others the packed form's 64 bits can end below the contract's limit
of 10^18 tick-lots: funds above that are refused as funds above the limit are.)
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from exchange.kernel.money import divide_up
from exchange.messages import ProductParameters

LOTS_MAX: Final = 10**12
TICKS_MAX: Final = 10**12
VALUE_MAX: Final = 10**18
INT64_MAX: Final = 2**63 - 1

_DECIMAL: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?", re.ASCII)


class ProductError(ValueError):
    """The parameters are no product; the message names the field."""


@dataclass(frozen=True, slots=True)
class ProductSpec:
    """A product as its engine sees it.

    Units:    size_min, size_max in lots; funds_min, funds_max in funds units (see above); reference_price in ticks and
              band as a part of 1, both exact, None where the product has none.
    """

    product_id: str
    parameters: ProductParameters
    base_increment: Fraction
    quote_increment: Fraction
    size_min: int
    size_max: int
    funds_min: int
    funds_max: int
    funds_per_value: int
    reference_price: Fraction | None
    band: Fraction | None

    @classmethod
    def from_parameters(cls, product_id: str, parameters: ProductParameters) -> "ProductSpec":
        """Read a product's decimal texts.

        Raises:   ProductError.
        """
        lot = _increment("base_increment", parameters.base_increment)
        tick = _increment("quote_increment", parameters.quote_increment)
        reference, band = parameters.reference_price, parameters.price_band
        return cls(
            product_id=product_id,
            parameters=parameters,
            base_increment=lot,
            quote_increment=tick,
            size_min=_ceiling(parse_fraction("base_min_size", parameters.base_min_size) / lot),
            size_max=min(LOTS_MAX, _floor(parse_fraction("base_max_size", parameters.base_max_size) / lot)),
            funds_min=_ceiling(
                parse_fraction("min_market_funds", parameters.min_market_funds) / tick * lot.denominator
            ),
            funds_max=min(VALUE_MAX * lot.numerator, INT64_MAX),
            funds_per_value=lot.numerator,
            reference_price=parse_fraction("reference_price", reference) / tick if reference else None,
            band=parse_fraction("price_band", band) if band else None,
        )

    @classmethod
    def unlisted(cls, product_id: str) -> "ProductSpec":
        """A product of which nothing is known yet: every order is refused until a `configure` arrives."""
        return cls.from_parameters(product_id, ProductParameters("", "", "1", "1", "1", "0", "0"))

    @property
    def is_unlisted(self) -> bool:
        """Whether no `configure` has said what this product is."""
        return not self.parameters.base_currency and self.size_max == 0


def parse_fraction(field: str, text: str) -> Fraction:
    """Read decimal text exactly.

    Raises:   ProductError.
    """
    if _DECIMAL.fullmatch(text) is None:
        raise ProductError(f"{field} is not a decimal like 10 or 0.25: {text[:40]!r}")
    return Fraction(text)


def _increment(field: str, text: str) -> Fraction:
    value = parse_fraction(field, text)
    if not value:
        raise ProductError(f"{field} must be above zero")
    return value


def _ceiling(value: Fraction) -> int:
    return divide_up(value.numerator, value.denominator)


def _floor(value: Fraction) -> int:
    return value.numerator // value.denominator
