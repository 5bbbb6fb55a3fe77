"""The catalogue a service holds in memory: read once, read again when it is old."""

from collections.abc import Mapping
from typing import Protocol

from exchange.instruments.model import Asset, Product
from exchange.kernel.clock import Clock

AGE_MAX_NS = 30 * 1_000_000_000


class Instruments(Protocol):
    """Where assets and products are kept."""

    def assets(self) -> dict[str, Asset]:
        """Every asset by id."""
        ...

    def products(self) -> dict[str, Product]:
        """Every product by id."""
        ...


class Catalogue:
    """Assets and products, at most 30 seconds old."""

    def __init__(self, instruments: Instruments, clock: Clock) -> None:
        self._instruments = instruments
        self._clock = clock
        self._read_at_ns = 0
        self._products: Mapping[str, Product] = {}
        self._assets: Mapping[str, Asset] = {}

    def product(self, product_id: str) -> Product | None:
        """A product by id; `BTC/USD` is read as BTC-USD. None where there is none."""
        return self.products().get(product_id.replace("/", "-"))

    def products(self) -> Mapping[str, Product]:
        """Every product by id."""
        self._refresh()
        return self._products

    def assets(self) -> Mapping[str, Asset]:
        """Every asset by id."""
        self._refresh()
        return self._assets

    def _refresh(self) -> None:
        now_ns = self._clock.now_ns()
        if self._products and now_ns - self._read_at_ns < AGE_MAX_NS:
            return
        self._products, self._assets = self._instruments.products(), self._instruments.assets()
        self._read_at_ns = now_ns
