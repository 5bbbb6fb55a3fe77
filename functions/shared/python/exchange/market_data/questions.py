"""Answering what the public asks."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from exchange.instruments.catalogue import Catalogue
from exchange.instruments.model import Product
from exchange.kernel.clock import Clock, iso_utc
from exchange.kernel.errors import Code, Refused
from exchange.kernel.recent import Recent
from exchange.market_data.bars import MINUTE_NS, SECOND_NS, Bar, Scale
from exchange.market_data.candles import CandleQuery, candles, filled
from exchange.market_data.model import MarketState, PublicEvent, Trade
from exchange.market_data.paging import EventRange, Page
from exchange.market_data.ticker import Ticker
from exchange.market_data.views import (
    Row,
    View,
    book_view,
    candle_row,
    currency_view,
    day_and_month_view,
    product_view,
    spark_line,
    stats_view,
    ticker_view,
    time_view,
    top_view,
    trade_view,
    volume_view,
)
from exchange.messages import Phase

DEPTHS: Final = {"1": 1, "2": 2, "3": 3}
MONTH_DAYS: Final = 30
# What tells of every product reads several items of each, so a process gives the same answer for a second.
OVERVIEW_AGE_MAX_NS: Final = SECOND_NS


# How an event is told: as the feed tells it, whose words these must be.
TellEvent = Callable[[PublicEvent, Product], View]


class MarketReader(Protocol):
    """Where the answers come from."""

    def book(self, product_id: str) -> MarketState | None:
        """The state as last committed."""
        ...

    def ticker(self, product_id: str, *, now_ns: int, days: int = 1) -> Ticker | None:
        """The ticker with the bars of its trailing day, and the hours of so many days."""
        ...

    def tickers(self, product_ids: Iterable[str]) -> dict[str, Ticker]:
        """The tickers of many products, without closed bars."""
        ...

    def bars(self, product_id: str, scale: Scale, *, first_page: int, last_page: int) -> list[Bar]:
        """The bars of these pages, oldest first."""
        ...

    def close_before(self, product_id: str, minute: int) -> int | None:
        """The last price before a minute."""
        ...

    def trades(self, product_id: str, *, limit: int, before: int | None, after: int | None) -> list[Trade]:
        """Trades newest first."""
        ...

    def sequence(self, product_id: str) -> int:
        """The last sequence committed."""
        ...

    def events(self, product_id: str, *, first: int, last: int) -> list[PublicEvent]:
        """The public events from one sequence to another, as far as they are kept."""
        ...


class MarketQuestions:
    """Answers the public's questions. A product that is none is refused with PRODUCT_NOT_FOUND."""

    def __init__(self, catalogue: Catalogue, markets: MarketReader, clock: Clock, tell: TellEvent) -> None:
        self._catalogue = catalogue
        self._markets = markets
        self._clock = clock
        self._tell = tell
        self._overviews: Recent[str, dict[str, Ticker]] = Recent(clock, age_max_ns=OVERVIEW_AGE_MAX_NS, entries_max=4)

    def now_ns(self) -> int:
        """The moment of a question."""
        return self._clock.now_ns()

    def time(self) -> View:
        """The exchange's clock."""
        return time_view(self._clock.now_ns())

    def currencies(self) -> list[View]:
        """Every asset, by id."""
        return [currency_view(asset) for _, asset in sorted(self._catalogue.assets().items())]

    def currency(self, asset_id: str) -> View | Refused:
        """One asset. Refuses CURRENCY_NOT_FOUND."""
        asset = self._catalogue.assets().get(asset_id)
        return currency_view(asset) if asset else Refused(Code.CURRENCY_NOT_FOUND, "Currency not found")

    def products(self) -> list[View]:
        """Every product, by id."""
        tickers = self._overview("phases", self._markets.tickers)
        return [product_view(product, _phase(tickers.get(name))) for name, product in self._products()]

    def product(self, product_id: str) -> View | Refused:
        """One product."""
        product = self._find(product_id)
        if isinstance(product, Refused):
            return product
        ticker = self._markets.tickers([product.product_id]).get(product.product_id)
        return product_view(product, _phase(ticker))

    def ticker(self, product_id: str) -> View | Refused:
        """A product's ticker."""
        product = self._find(product_id)
        if isinstance(product, Refused):
            return product
        now_ns = self._clock.now_ns()
        return ticker_view(self._markets.ticker(product.product_id, now_ns=now_ns), product, now_ns)

    def book(self, product_id: str, level: str | None) -> View | Refused:
        """A product's book at level 1, 2 or 3; 1 where none is named. Refuses REQUEST_FIELD_INVALID."""
        product = self._find(product_id)
        if isinstance(product, Refused):
            return product
        depth = DEPTHS.get("1" if level is None else level)
        if depth is None:
            return Refused(Code.REQUEST_FIELD_INVALID, "level: must be 1, 2 or 3")
        return self._top(product) if depth == 1 else self._book(product, depth)

    def _top(self, product: Product) -> View:
        """The best prices, from the ticker, which is small; an auction is told from the whole book."""
        ticker = self._markets.tickers([product.product_id]).get(product.product_id)
        top = top_view(ticker or Ticker.of(MarketState.genesis(product.product_id)), product)
        if ticker is None:
            return {**top, "time": iso_utc(self._clock.now_ns())}
        if ticker.phase is not Phase.AUCTION:
            return top
        whole = self._book(product, 2)
        return {**whole, "bids": whole["bids"][:1], "asks": whole["asks"][:1]}

    def _book(self, product: Product, depth: int) -> View:
        state = self._markets.book(product.product_id)
        if state is None:
            nothing = MarketState.genesis(product.product_id)
            return book_view(nothing, product, depth=depth, time_ns=self._clock.now_ns())
        return book_view(state, product, depth=depth, time_ns=state.time_ns)

    def trades(self, product_id: str, page: Page) -> list[View] | Refused:
        """A page of a product's trades, newest first."""
        product = self._find(product_id)
        if isinstance(product, Refused):
            return product
        found = self._markets.trades(product.product_id, limit=page.limit, before=page.before, after=page.after)
        return [trade_view(trade, product) for trade in found]

    def candles(self, product_id: str, query: CandleQuery) -> list[Row] | Refused:
        """A product's candles, newest first."""
        product = self._find(product_id)
        if isinstance(product, Refused):
            return product
        if query.is_empty:
            return []
        first_page, last_page = query.pages
        bars = self._markets.bars(product.product_id, query.scale, first_page=first_page, last_page=last_page)
        found = candles(bars, query)
        if query.is_flat:
            minute = query.first * SECOND_NS // MINUTE_NS
            before = self._markets.close_before(product.product_id, minute)
            found = filled(found, query, close_before=before, now_ns=self._clock.now_ns())
        return [candle_row(candle, product) for candle in reversed(found)]

    def stats(self, product_id: str) -> View | Refused:
        """A product's 24 hours and its volume of 30 days."""
        product = self._find(product_id)
        if isinstance(product, Refused):
            return product
        now_ns = self._clock.now_ns()
        return stats_view(self._markets.ticker(product.product_id, now_ns=now_ns, days=MONTH_DAYS), product, now_ns)

    def all_stats(self) -> dict[str, View]:
        """Every product's 24 hours and volume of 30 days, by id."""
        tickers, now_ns = self._months(), self._clock.now_ns()
        return {name: day_and_month_view(tickers.get(name), product, now_ns) for name, product in self._products()}

    def volumes(self) -> list[View]:
        """Every product's volume of 24 hours and of 30 days."""
        tickers, now_ns = self._months(), self._clock.now_ns()
        return [volume_view(tickers.get(name), product, now_ns) for name, product in self._products()]

    def spark_lines(self) -> dict[str, list[Row]]:
        """Every product's hours of the last day that had a trade, newest first; else the last hour that had one."""
        tickers, now_ns = self._months(), self._clock.now_ns()
        return {name: spark_line(tickers.get(name), product, now_ns) for name, product in self._products()}

    def events(self, product_id: str, wanted: EventRange) -> tuple[list[View], int | None] | Refused:
        """A page of public events by rising sequence, and where the next begins; None where there is no more yet.

        Refuses:  EVENTS_EXPIRED.
        """
        product = self._find(product_id)
        if isinstance(product, Refused):
            return product
        end = min(wanted.last, self._markets.sequence(product.product_id))
        last = min(end, wanted.first + wanted.limit - 1)
        if last < wanted.first:
            return [], None
        found = self._markets.events(product.product_id, first=wanted.first, last=last)
        if not found:
            return Refused(
                Code.EVENTS_EXPIRED,
                f"from: event {wanted.first} is no longer kept; begin anew from the book at level 3",
            )
        through = found[-1].sequence
        return [self._tell(event, product) for event in found], through + 1 if through < end else None

    def _months(self) -> dict[str, Ticker]:
        def read(product_ids: Sequence[str]) -> dict[str, Ticker]:
            now_ns = self._clock.now_ns()
            found = ((name, self._markets.ticker(name, now_ns=now_ns, days=MONTH_DAYS)) for name in product_ids)
            return {name: ticker for name, ticker in found if ticker is not None}

        return self._overview("months", read)

    def _overview(self, name: str, read: Callable[[Sequence[str]], dict[str, Ticker]]) -> dict[str, Ticker]:
        found = self._overviews.get(name)
        if found is None:
            found = read([product_id for product_id, _ in self._products()])
            self._overviews.put(name, found)
        return found

    def _products(self) -> list[tuple[str, Product]]:
        return sorted(self._catalogue.products().items())

    def _find(self, product_id: str) -> Product | Refused:
        # Clients map this very text.
        return self._catalogue.product(product_id) or Refused(Code.PRODUCT_NOT_FOUND, "Product not found")


def _phase(ticker: Ticker | None) -> Phase:
    return ticker.phase if ticker else Phase.CONTINUOUS
