"""The kept market, compared with what the log says or written anew. store.py tells how it is kept."""

from collections.abc import Sequence, Set
from typing import Any, Final, TypeVar

from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import cancellation_codes
from exchange.market_data.bars import Page, Scale
from exchange.market_data.items import (
    TRADE_ID_MAX,
    CandlesItem,
    EventsItem,
    TickerItem,
    TradeItem,
    events_key,
    page_item,
    page_key,
    ticker_item,
    trade_item,
    trade_key,
)
from exchange.market_data.model import Batch, MarketState, StaleStateError, trades_of
from exchange.market_data.rebuild import Position
from exchange.market_data.snapshot import encode_state
from exchange.market_data.store import MarketDataWriter, book_items, delete_old_pieces, outages, put_final, put_pieces
from exchange.market_data.ticker import Ticker

PAGE_MAX: Final = 10**8 - 1
_AnyModel = TypeVar("_AnyModel", CandlesItem, TickerItem, TradeItem)


class MarketDataRewriter(MarketDataWriter):
    """Compares and rewrites. Every method raises UnavailableError or OutcomeUnknownError; repeating it is harmless."""

    def position(self, product_id: str) -> Position:
        """How far the kept market is folded."""
        with outages():
            for item in TickerItem.query(product_id, TickerItem.item == "ticker", consistent_read=True):
                return Position(item.sequence, item.edition)
        return Position()

    def differences(self, batch: Batch) -> list[str]:
        """What of a batch's trades and final pages is kept otherwise or not at all; what of its events otherwise."""
        product_id = batch.state.product_id
        wanted = [trade_item(product_id, trade) for trade in trades_of(batch.events)]
        pages = [page_item(product_id, page) for page in batch.pages if page.is_final]
        first, last = batch.events[0].sequence, batch.events[-1].sequence
        kept = {event.sequence: event for event in self.events(product_id, first=first, last=last)}
        wrong = [event.sequence for event in batch.events if kept.get(event.sequence, event) != event]
        return [
            *_differing(TradeItem, wanted),
            *_differing(CandlesItem, pages),
            *(f"{product_id} event {sequence} is kept otherwise" for sequence in wrong),
        ]

    def end_differences(self, state: MarketState, pages: Set[tuple[Scale, int]]) -> list[str]:
        """What of book, ticker and growing pages is kept otherwise, and what is kept that the log doesn't say."""
        product_id, last_id = state.product_id, state.last_trade.trade_id if state.last_trade else 0
        state.edition = self.position(product_id).edition
        book = self.book(product_id, consistent=True)
        found = []
        if state.sequence and (book is None or encode_state(book) != encode_state(state)):
            found.append(f"{product_id} book is kept otherwise")
        if state.sequence:
            found += _differing(TickerItem, [ticker_item(Ticker.of(state), product_id, state.edition)])
        found += _differing(CandlesItem, [page_item(product_id, page) for page in growing_pages(state)])
        with outages():
            found += [f"{product_id} {item.item} is not in the log" for item in _strangers(state, pages)]
            beyond = TradeItem.item.between(trade_key(last_id + 1), trade_key(TRADE_ID_MAX))
            found += [f"{product_id} {item.item} is not in the log" for item in TradeItem.query(product_id, beyond)]
        return found

    def begin(self, until: MarketState, pages: Set[tuple[Scale, int]]) -> None:
        """Remove what is kept of the time up to this state that the log doesn't say: other pages, and all events."""
        product_id = until.product_id
        events = EventsItem.item.between(events_key(0), events_key(until.sequence))
        with outages():
            gone: list[Any] = _strangers(until, pages)
            gone += EventsItem.query(product_id, events, attributes_to_get=["product_id", "item"])
            with CandlesItem.batch_write() as writer:  # One table's kinds share its requests.
                for item in gone:
                    writer.delete(item)

    def put(self, batch: Batch) -> None:
        """Write what is final of a batch."""
        with outages():
            put_final(batch)

    def finish(self, state: MarketState, *, before: Position) -> None:
        """Put book, ticker and growing pages in one transaction.

        Raises:   StaleStateError where the market has gone past this state, or was rebuilt by somebody else.
        """
        book, pieces = book_items(state)
        ticker = ticker_item(Ticker.of(state), state.product_id, state.edition)
        is_ours: Condition = (TickerItem.sequence <= state.sequence) & (TickerItem.edition == before.edition)
        if not before.sequence:
            is_ours = TickerItem.item.does_not_exist()
        with outages():
            put_pieces(pieces)
            try:
                with TransactWrite(connection=self._connection) as transaction:
                    transaction.save(ticker, condition=is_ours)
                    transaction.save(book)
                    for page in growing_pages(state):
                        transaction.save(page_item(state.product_id, page))
            except TransactWriteError as error:
                if "ConditionalCheckFailed" in cancellation_codes(error):
                    raise StaleStateError(f"{state.product_id}: the market is past {state.sequence}") from error
                raise
            delete_old_pieces(state)


def growing_pages(state: MarketState) -> list[Page]:
    """The pages of the bars that may still grow, as far as bars in them are closed."""
    return [
        Page(series.scale, number, tuple(series.pages[number]), is_final=False)
        for series in (state.bars.minutes, state.bars.hours)
        if series.current is not None
        for number in [series.current.start // series.scale.page_bars]
        if number in series.pages
    ]


def _strangers(state: MarketState, pages: Set[tuple[Scale, int]]) -> list[CandlesItem]:
    """Kept pages, up to those that grow, that are none of these."""
    found = []
    for series in (state.bars.minutes, state.bars.hours):
        now = series.current.start // series.scale.page_bars if series.current else PAGE_MAX
        known = {page_key(scale, number) for scale, number in pages if scale == series.scale}
        until = CandlesItem.item.between(page_key(series.scale, 0), page_key(series.scale, now))
        items = CandlesItem.query(state.product_id, until, attributes_to_get=["product_id", "item"])
        found += [item for item in items if item.item not in known]
    return found


def _differing(model: type[_AnyModel], wanted: Sequence[_AnyModel]) -> list[str]:
    """The wanted items that are kept otherwise, or not at all."""
    by_key = {(item.product_id, item.item): item for item in wanted}
    with outages():
        found = {(item.product_id, item.item): item for item in model.batch_get(list(by_key), consistent_read=True)}
    return [
        f"{product_id} {item} is {'kept otherwise' if (product_id, item) in found else 'missing'}"
        for (product_id, item), one in by_key.items()
        if (product_id, item) not in found or found[product_id, item].serialize() != one.serialize()
    ]
