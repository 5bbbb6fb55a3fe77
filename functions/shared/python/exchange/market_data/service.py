"""Folding the stream, and answering what the public asks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from exchange.instruments.catalogue import Catalogue
from exchange.instruments.model import Product
from exchange.kernel.clock import Clock
from exchange.kernel.errors import Code, OutageError, Refused
from exchange.market_data.model import Cursor, FeedError, MarketState, PublicEvent, StaleStateError, Trade, trades_of
from exchange.market_data.paging import Page
from exchange.market_data.ticker import Ticker
from exchange.market_data.views import (
    View,
    book_view,
    currency_view,
    product_view,
    ticker_view,
    time_view,
    trade_view,
)
from exchange.messages import EventRecord, RecordError, Side, decode_events

DEPTHS = {"1": 1, "2": 2, "3": 3}


class MarketWriter(Protocol):
    """Where the fold keeps its states."""

    def load(self, product_id: str) -> MarketState:
        """The state at the checkpoint."""
        ...

    def commit(self, state: MarketState, trades: Sequence[Trade], *, begun_at: Cursor) -> None:
        """Write what a batch did, if the checkpoint is still where the batch began."""
        ...


class MarketReader(Protocol):
    """Where the answers come from."""

    def state(self, product_id: str) -> MarketState | None:
        """The state as last committed."""
        ...

    def ticker(self, product_id: str) -> Ticker | None:
        """The ticker with its trailing day."""
        ...

    def trades(self, product_id: str, *, limit: int, before: int | None, after: int | None) -> list[Trade]:
        """Trades newest first."""
        ...


@dataclass(frozen=True, slots=True)
class Update:
    """What a batch did to one market: the state after it, its events, the levels it touched.

    `is_continued` is false where the state before was read from the store, so that somebody else may have folded
    what came before it.
    """

    state: MarketState
    events: Sequence[PublicEvent]
    touched: frozenset[tuple[Side, int]]
    is_continued: bool


class Feed(Protocol):
    """Who is told of updates once they are committed."""

    def publish(self, update: Update) -> None:
        """Tell everybody who listens. Never fails the batch."""
        ...


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """A record of the executions stream; its partition key is the product."""

    product_id: str
    data: bytes


class BatchError(RuntimeError):
    """Some products' records could not be folded; the batch must come again. The others' are committed."""


class MarketFold:
    """Folds batches of one shard. Keeps every state it committed last, and loads where somebody else went on."""

    def __init__(self, store: MarketWriter, feed: Feed) -> None:
        self._store = store
        self._feed = feed
        self._states: dict[str, MarketState] = {}

    def fold(self, records: Iterable[StreamRecord]) -> None:
        """Fold a batch, product by product. The same batch again, in any cut, changes nothing.

        Raises:   BatchError after every product was tried; InvariantError at once.
        """
        failures = []
        for product_id, datas in _by_product(records).items():
            try:
                self._fold_product(product_id, datas)
            except (OutageError, RecordError, FeedError) as error:
                failures.append(f"{product_id}: {type(error).__name__}: {error}")
        if failures:
            raise BatchError("; ".join(failures))

    def _fold_product(self, product_id: str, datas: Sequence[bytes]) -> None:
        records, unread = _decode(datas)
        held = self._states.pop(product_id, None)
        is_behind = held is None or (bool(records) and records[0].first_sequence > held.sequence + 1)
        if held is not None and not is_behind:
            try:
                self._states[product_id] = self._fold_records(held, records, is_continued=True)
            except StaleStateError:
                is_behind = True
        if is_behind:
            self._states[product_id] = self._fold_records(self._store.load(product_id), records, is_continued=False)
        if unread is not None:
            raise unread

    def _fold_records(self, state: MarketState, records: Sequence[EventRecord], *, is_continued: bool) -> MarketState:
        """Fold the records and commit them together; where one does not fit, none counts."""
        begun_at = state.cursor
        events = [event for record in records for event in state.apply_record(record)]
        if state.sequence > begun_at.sequence:
            self._store.commit(state, trades_of(events), begun_at=begun_at)
            self._feed.publish(Update(state, events, state.book.take_touched(), is_continued))
        return state


class MarketQuestions:
    """Answers the public's questions."""

    def __init__(self, catalogue: Catalogue, markets: MarketReader, clock: Clock) -> None:
        self._catalogue = catalogue
        self._markets = markets
        self._clock = clock

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
        return [product_view(product) for _, product in sorted(self._catalogue.products().items())]

    def product(self, product_id: str) -> View | Refused:
        """One product. Refuses PRODUCT_NOT_FOUND."""
        product = self._find(product_id)
        return product if isinstance(product, Refused) else product_view(product)

    def ticker(self, product_id: str) -> View | Refused:
        """A product's ticker. Refuses PRODUCT_NOT_FOUND."""
        product = self._find(product_id)
        if isinstance(product, Refused):
            return product
        return ticker_view(self._markets.ticker(product.product_id), product, self._clock.now_ns())

    def book(self, product_id: str, level: str) -> View | Refused:
        """A product's book at level 1, 2 or 3. Refuses PRODUCT_NOT_FOUND, REQUEST_FIELD_INVALID."""
        product = self._find(product_id)
        if isinstance(product, Refused):
            return product
        depth = DEPTHS.get(level)
        if depth is None:
            return Refused(Code.REQUEST_FIELD_INVALID, "level: must be 1, 2 or 3")
        state = self._markets.state(product.product_id)
        if state is None:
            nothing = MarketState.genesis(product.product_id)
            return book_view(nothing, product, depth=depth, time_ns=self._clock.now_ns())
        return book_view(state, product, depth=depth, time_ns=state.time_ns)

    def trades(self, product_id: str, page: Page) -> list[View] | Refused:
        """A page of a product's trades, newest first. Refuses PRODUCT_NOT_FOUND."""
        product = self._find(product_id)
        if isinstance(product, Refused):
            return product
        found = self._markets.trades(product.product_id, limit=page.limit, before=page.before, after=page.after)
        return [trade_view(trade, product) for trade in found]

    def _find(self, product_id: str) -> Product | Refused:
        # Clients map this very text.
        return self._catalogue.product(product_id) or Refused(Code.PRODUCT_NOT_FOUND, "Product not found")


def _by_product(records: Iterable[StreamRecord]) -> dict[str, list[bytes]]:
    grouped: dict[str, list[bytes]] = {}
    for record in records:
        grouped.setdefault(record.product_id, []).append(record.data)
    return grouped


def _decode(datas: Sequence[bytes]) -> tuple[list[EventRecord], RecordError | None]:
    """The records up to the first that can't be read, and what is wrong with that one."""
    records: list[EventRecord] = []
    for data in datas:
        try:
            records.append(decode_events(data))
        except RecordError as error:
            return records, error
    return records, None
