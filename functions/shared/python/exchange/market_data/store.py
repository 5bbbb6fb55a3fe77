"""Market data in DynamoDB.

One batch of the stream is two requests: what says the same whenever it is repeated (trades, events, pages of bars that
are over), then ONE transaction of ticker and book, on the condition that the ticker, which is the cursor, stands where
the batch began. So a torn write leaves only what the batch that comes again writes again.

    product_id  item                            what
    ACME-USD    ticker                          how far the fold is; best prices, last trade, bars that may still grow
    ACME-USD    book                            the state after that sequence, deflated
    ACME-USD    book#{sequence:019d}#{n:03d}    its pieces, where it outgrows one item
    ACME-USD    candles#00060#{hour:08d}        the minutes of an hour; written when a minute closes
    ACME-USD    candles#03600#{day:08d}         the hours of a day; written when an hour closes
    ACME-USD    trade#{trade_id:016d}           a trade
    ACME-USD    events#{last:019d}              public events up to this sequence; they expire after a day

A reader that finds pieces gone has met a commit: it reads the book again. A reader of bars reads the ticker first: what
closes in between is then in the page, and counts from there.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from pynamodb.connection import Connection
from pynamodb.exceptions import DoesNotExist, PynamoDBException, TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.models import Model, _ModelFuture
from pynamodb.transactions import TransactGet, TransactWrite

from exchange.aws.dynamodb import cancellation_codes, outage
from exchange.kernel.errors import UnavailableError, require
from exchange.market_data.bars import MINUTES, Bar, Bars, Scale, pages_held, pages_of_days
from exchange.market_data.history import CHUNK_EVENTS_MAX, cut, decode_chunk
from exchange.market_data.items import (
    TRADE_ID_MAX,
    BookItem,
    CandlesItem,
    EventsItem,
    TickerItem,
    TradeItem,
    bind_market_data,
    events_item,
    events_key,
    page_item,
    page_key,
    piece_key,
    read_ticker,
    read_trade,
    ticker_item,
    trade_item,
    trade_key,
)
from exchange.market_data.model import Batch, MarketState, PublicEvent, StaleStateError, Trade, trades_of
from exchange.market_data.snapshot import decode_bars, decode_state, encode_state
from exchange.market_data.ticker import Ticker

__all__ = ["MarketDataStore", "MarketDataWriter", "bind_market_data"]

PIECE_BYTES_MAX: Final = 350_000  # An item holds 400 KB, its names and its other attributes included.
READ_ATTEMPTS_MAX: Final = 3


class MarketDataStore:
    """Reads, for everybody. Every method raises UnavailableError."""

    def state(self, product_id: str, *, consistent: bool = False) -> MarketState | None:
        """The state as last committed, with its trailing day; None where nothing was."""
        state = self.book(product_id, consistent=consistent)
        if state is not None:
            with outages():
                _keep_pages(product_id, state.bars, pages_of_days(state.time_ns, 1), consistent=consistent)
        return state

    def book(self, product_id: str, *, consistent: bool = False) -> MarketState | None:
        """The state as last committed, without closed bars; None where nothing was."""
        for _ in range(READ_ATTEMPTS_MAX):
            with outages():
                book = _get(BookItem, product_id, "book", consistent=consistent)
                if book is None:
                    return None
                data = _joined(book, consistent=consistent)
            if data is not None:
                return decode_state(data)
        raise UnavailableError(f"{product_id}: the book was replaced at every reading")

    def ticker(self, product_id: str, *, now_ns: int, days: int = 1) -> Ticker | None:
        """The ticker with the bars of the day before `now_ns`, and the hours of so many days; None at the beginning."""
        with outages():
            item = _get(TickerItem, product_id, "ticker")
            if item is None:
                return None
            ticker = read_ticker(item)
            if ticker.last_trade is not None:
                _keep_pages(product_id, ticker.bars, pages_of_days(now_ns, days), consistent=False)
            return ticker

    def tickers(self, product_ids: Iterable[str]) -> dict[str, Ticker]:
        """The tickers of many products as they stand, without closed bars."""
        with outages():
            items = list(TickerItem.batch_get([(product_id, "ticker") for product_id in product_ids]))
        return {item.product_id: read_ticker(item) for item in items}

    def bars(self, product_id: str, scale: Scale, *, first_page: int, last_page: int) -> list[Bar]:
        """The bars of these pages that had a trade, oldest first."""
        with outages():
            item = _get(TickerItem, product_id, "ticker")
            if item is None:
                return []
            between = CandlesItem.item.between(page_key(scale, first_page), page_key(scale, last_page))
            pages = list(CandlesItem.query(product_id, between))
        closed = {bar.start: bar for page in pages for bar in decode_bars(page.data)}
        ticker = read_ticker(item)
        current = (ticker.bars.minutes if scale == MINUTES else ticker.bars.hours).current
        if current is not None and first_page <= current.start // scale.page_bars <= last_page:
            closed.setdefault(current.start, current)
        return [closed[start] for start in sorted(closed)]

    def bars_before(self, product_id: str, scale: Scale, *, end: int, count: int) -> list[Bar]:
        """The newest `count` bars that begin before `end`, oldest first, over whatever gaps; all where there are fewer.

        Units:    `end` in the scale's bars since 1970.
        """
        if end < 1:
            return []
        with outages():
            item = _get(TickerItem, product_id, "ticker")
            if item is None:
                return []
            ticker = read_ticker(item)
            current = (ticker.bars.minutes if scale == MINUTES else ticker.bars.hours).current
            found = {current.start: current} if current is not None and current.start < end else {}
            until = CandlesItem.item.between(page_key(scale, 0), page_key(scale, (end - 1) // scale.page_bars))
            for page in CandlesItem.query(product_id, until, scan_index_forward=False, page_size=100):
                # What is closed is the last word on a bar that the ticker still calls current.
                found |= {bar.start: bar for bar in decode_bars(page.data) if bar.start < end}
                if len(found) >= count:
                    break
        return [found[start] for start in sorted(found)][-count:]

    def close_before(self, product_id: str, minute: int) -> int | None:
        """The last price before a minute since 1970, in ticks; None where nothing had traded."""
        with outages():
            item = _get(TickerItem, product_id, "ticker")
            current = read_ticker(item).bars.minutes.current if item else None
            if current is None or current.start < minute:
                return current.close if current else None
            # The page of the minute itself may begin only after it: then the page before it knows.
            until = CandlesItem.item.between(page_key(MINUTES, 0), page_key(MINUTES, minute // MINUTES.page_bars))
            for page in CandlesItem.query(product_id, until, scan_index_forward=False, limit=2):
                before = [bar.close for bar in decode_bars(page.data) if bar.start < minute]
                if before:
                    return before[-1]
        return None

    def events(self, product_id: str, *, first: int, last: int) -> list[PublicEvent]:
        """The public events from `first` to `last`, as far as they are kept without a gap from `first` on."""
        found: list[PublicEvent] = []
        ends = EventsItem.item.between(events_key(first), events_key(last + CHUNK_EVENTS_MAX))
        with outages():
            for item in EventsItem.query(product_id, ends, page_size=100):
                wanted = first + len(found)
                chunk = decode_chunk(item.data).events
                if chunk[0].sequence > wanted or wanted > last:
                    break
                found += [event for event in chunk if wanted <= event.sequence <= last]
        return found

    def sequence(self, product_id: str) -> int:
        """The last sequence committed, read consistently."""
        with outages():
            item = _get(TickerItem, product_id, "ticker", consistent=True)
            return item.sequence if item else 0

    def top_of_book(self, product_id: str) -> tuple[int, int, int]:
        """Best bid, best ask and last trade's price in ticks; 0 for each that there is not. One cheap read."""
        with outages():
            item = _get(TickerItem, product_id, "ticker")
        return (item.bid, item.ask, item.price or 0) if item else (0, 0, 0)

    def last_trade_ticks(self, product_id: str) -> int | None:
        """The last trade's price in ticks; None before the first trade."""
        return self.top_of_book(product_id)[2] or None

    def trades(self, product_id: str, *, limit: int, before: int | None, after: int | None) -> list[Trade]:
        """Trades newest first: the nearest above `before`, else the newest, of those below `after` where given."""
        newest = after - 1 if after is not None else TRADE_ID_MAX
        oldest = before + 1 if before is not None else 0
        if newest < oldest:
            return []
        condition = TradeItem.item.between(trade_key(oldest), trade_key(newest))
        is_upward = before is not None
        with outages():
            items = list(TradeItem.query(product_id, condition, scan_index_forward=is_upward, limit=limit))
        return [read_trade(item) for item in (reversed(items) if is_upward else items)]


class MarketDataWriter(MarketDataStore):
    """The one writer: the stream function."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def load(self, product_id: str) -> MarketState:
        """The state as of one moment, with the bars that a fold holds; genesis where nothing was ever committed.

        Raises:   UnavailableError.
        """
        for _ in range(READ_ATTEMPTS_MAX):
            with outages():
                ticker, book = self._read_together(product_id)
                if ticker is None or book is None:
                    require(ticker is None and book is None, f"{product_id}: half a commit")
                    return MarketState.genesis(product_id)
                data = _joined(book, consistent=True)
                if data is None:
                    continue
                state = decode_state(data)
                held = (ticker.sequence, ticker.edition)
                require(held == (state.sequence, state.edition), f"{product_id}: book and ticker disagree")
                _keep_pages(product_id, state.bars, pages_held(state.bars), consistent=True)
                return state
        raise UnavailableError(f"{product_id}: the book was replaced at every reading")

    def _read_together(self, product_id: str) -> tuple[TickerItem | None, BookItem | None]:
        with TransactGet(connection=self._connection) as transaction:
            ticker = transaction.get(TickerItem, product_id, "ticker")
            book = transaction.get(BookItem, product_id, "book")
        return _found(ticker), _found(book)

    def commit(self, batch: Batch) -> None:
        """Write what a batch did. Committing the same batch again, after any failure, ends in the same state.

        Raises:   StaleStateError when the ticker is not where the batch began; UnavailableError,
                  OutcomeUnknownError: then load again before the next commit.
        """
        book, pieces = book_items(batch.state)
        with outages():
            put_final(batch)
            put_pieces(pieces)
            self._transact(batch, book)
            if pieces:
                delete_old_pieces(batch.state)

    def _transact(self, batch: Batch, book: BookItem) -> None:
        state = batch.state
        ticker = ticker_item(Ticker.of(state), state.product_id, state.edition)
        is_where_we_began: Condition = TickerItem.item.does_not_exist()
        if batch.begun_at:
            is_where_we_began = (TickerItem.sequence == batch.begun_at) & (TickerItem.edition == state.edition)
        try:
            with TransactWrite(connection=self._connection) as transaction:
                transaction.save(ticker, condition=is_where_we_began)
                transaction.save(book)
                for page in batch.pages:
                    if not page.is_final:
                        transaction.save(page_item(state.product_id, page))
        except TransactWriteError as error:
            if "ConditionalCheckFailed" in cancellation_codes(error):
                raise StaleStateError(f"{state.product_id}: the fold is not at {batch.begun_at}") from error
            raise


_AnyModel = TypeVar("_AnyModel", bound=Model)


@contextmanager
def outages() -> Iterator[None]:
    """Whatever PynamoDB raises inside is raised as the outage it is."""
    try:
        yield
    except PynamoDBException as error:
        raise outage(error) from error


def _get(
    model: type[_AnyModel], partition: str, item: str | None = None, *, consistent: bool = False
) -> _AnyModel | None:
    try:
        return model.get(partition, item, consistent_read=consistent)
    except DoesNotExist:
        return None


def put_final(batch: Batch) -> None:
    """Put what nobody will ever write otherwise, whatever becomes of this batch."""
    product_id = batch.state.product_id
    items: list[Any] = [trade_item(product_id, trade) for trade in trades_of(batch.events)]
    items += [events_item(product_id, chunk) for chunk in cut(batch.events)]
    items += [page_item(product_id, page) for page in batch.pages if page.is_final]
    with TradeItem.batch_write() as writer:  # All these kinds are of one table, so they share its requests.
        for item in items:
            writer.save(item)


def put_pieces(pieces: Sequence[BookItem]) -> None:
    """Put the pieces of a large book, before the book that names them."""
    if not pieces:
        return
    with BookItem.batch_write() as writer:
        for piece in pieces:
            writer.save(piece)


def book_items(state: MarketState) -> tuple[BookItem, list[BookItem]]:
    """The state as an item, and the pieces of one that is too large for it."""
    data = encode_state(state)
    if len(data) <= PIECE_BYTES_MAX:
        return BookItem(state.product_id, "book", sequence=state.sequence, data=data), []
    cuts = [data[start : start + PIECE_BYTES_MAX] for start in range(0, len(data), PIECE_BYTES_MAX)]
    pieces = [
        BookItem(state.product_id, piece_key(state.sequence, index), sequence=state.sequence, data=cut)
        for index, cut in enumerate(cuts)
    ]
    return BookItem(state.product_id, "book", sequence=state.sequence, pieces=len(pieces)), pieces


def _joined(book: BookItem, *, consistent: bool) -> bytes | None:
    """The state's bytes; None where the pieces are no longer there."""
    if not book.pieces:
        return book.data
    keys = [(book.product_id, piece_key(book.sequence, index)) for index in range(book.pieces)]
    found = {piece.item: piece.data for piece in BookItem.batch_get(keys, consistent_read=consistent)}
    if len(found) < len(keys):
        return None
    return b"".join(found[item] or b"" for _, item in keys)


def delete_old_pieces(state: MarketState) -> None:
    """Delete the pieces of the books before this one."""
    old = BookItem.item.between("book#", piece_key(state.sequence - 1, 999))
    items = list(BookItem.query(state.product_id, old, attributes_to_get=["product_id", "item"]))
    with BookItem.batch_write() as batch:
        for item in items:
            batch.delete(item)


def _found(future: _ModelFuture[_AnyModel]) -> _AnyModel | None:
    try:
        return future.get()
    except DoesNotExist:
        return None


def _keep_pages(product_id: str, bars: Bars, wanted: Sequence[tuple[Scale, int]], *, consistent: bool) -> None:
    keys = {(product_id, page_key(scale, number)): (scale, number) for scale, number in wanted}
    if not keys:
        return
    pages: dict[Scale, dict[int, list[Bar]]] = defaultdict(dict)
    for item in CandlesItem.batch_get(list(keys), consistent_read=consistent):
        scale, number = keys[item.product_id, item.item]
        pages[scale][number] = decode_bars(item.data)
    for series in (bars.minutes, bars.hours):
        series.keep(pages[series.scale])
