"""A product as its customers know it: increments, limits and the price to start from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exchange.kernel.money import format_units, parse_decimal

_SCALE = 18


@dataclass(frozen=True, slots=True)
class Market:
    """A product of GET /products.

    Units:    tick_fine and lot_fine in 10^-18 of the quote and base currency; start_ticks in ticks.
    """

    product_id: str
    base: str
    quote: str
    tick_fine: int
    lot_fine: int
    size_min_lots: int
    start_ticks: int

    @classmethod
    def read(cls, product: Mapping[str, Any], last_price: str | None) -> "Market":
        """Read a product; its flow starts at the last price, or at the reference price before the first trade."""
        tick = parse_decimal(product["quote_increment"], _SCALE)
        lot = parse_decimal(product["base_increment"], _SCALE)
        start = last_price or product.get("reference_price") or product["quote_increment"]
        return cls(
            product_id=product["id"],
            base=product["base_currency"],
            quote=product["quote_currency"],
            tick_fine=tick,
            lot_fine=lot,
            size_min_lots=max(1, parse_decimal(product["base_min_size"], _SCALE) // lot),
            start_ticks=max(1, parse_decimal(start, _SCALE) // tick),
        )

    def price(self, ticks: int) -> str:
        """Ticks as decimal text."""
        return format_units(ticks * self.tick_fine, _SCALE)

    def price_between(self, ticks: int) -> str:
        """Decimal text half a tick above: no price of this market."""
        return format_units(ticks * self.tick_fine + self.tick_fine // 2, _SCALE)

    def size(self, lots: int) -> str:
        """Lots as decimal text."""
        return format_units(lots * self.lot_fine, _SCALE)

    def lots(self, size: str) -> int:
        """Decimal text as lots, rounded down."""
        return parse_decimal(size, _SCALE) // self.lot_fine

    def ticks(self, price: str) -> int:
        """Decimal text as ticks, rounded down."""
        return parse_decimal(price, _SCALE) // self.tick_fine
