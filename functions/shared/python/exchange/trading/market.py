"""The market as order entry sees it: the ticker's top, at most a second old, so that most orders read nothing."""

from typing import Protocol

from exchange.instruments.model import Product
from exchange.kernel.clock import Clock
from exchange.kernel.recent import Recent
from exchange.risk.model import MarketView

AGE_MAX_NS = 1_000_000_000
PRODUCTS_MAX = 10_000


class Tops(Protocol):
    """Where the folded market is kept."""

    def top_of_book(self, product_id: str) -> tuple[int, int, int]:
        """Best bid, best ask and last trade in ticks; 0 where there is none. Raises OutageError."""
        ...


class RecentMarket:
    """Views of markets. The engine checks the band again: an old view refuses a little early or late, never wrongly."""

    def __init__(self, tops: Tops, clock: Clock) -> None:
        self._tops = tops
        self._recent: Recent[str, MarketView] = Recent(clock, age_max_ns=AGE_MAX_NS, entries_max=PRODUCTS_MAX)

    def view(self, product: Product) -> MarketView:
        """A product's market, at most a second old. Raises OutageError."""
        known = self._recent.get(product.product_id)
        if known is None:
            bid, ask, last = self._tops.top_of_book(product.product_id)
            known = MarketView(best_bid_ticks=bid, best_ask_ticks=ask, last_ticks=last)
            self._recent.put(product.product_id, known)
        return known
