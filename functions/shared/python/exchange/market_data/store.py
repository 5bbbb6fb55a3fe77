"""Market data in DynamoDB.

One batch of the stream is two requests: the trades (puts that say the same whenever they are repeated), then ONE
transaction of book, ticker and checkpoint, on the condition that the checkpoint is where the batch began. So a torn
write leaves trades only, and the batch that comes again writes the same trades and goes on.

    product_id  item                            what
    ACME-USD    book                            the state after the checkpoint's sequence, deflated
    ACME-USD    book#{sequence:019d}#{n:03d}    its pieces, where it outgrows one item
    ACME-USD    stats                           the closed minutes of the trailing day; written when a minute closes
    ACME-USD    ticker                          best prices, last trade and the minute that may still grow
    ACME-USD    trade#{trade_id:016d}           a trade

A reader that finds pieces gone has met a commit: it reads the book again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from pynamodb.connection import Connection
from pynamodb.exceptions import DoesNotExist, PynamoDBException, TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.models import Model, _ModelFuture
from pynamodb.transactions import TransactGet, TransactWrite

from exchange.aws.dynamodb import cancellation_codes, outage
from exchange.kernel.errors import UnavailableError, require
from exchange.market_data.bars import Bar, bars_before
from exchange.market_data.items import (
    TRADE_ID_MAX,
    BookItem,
    CheckpointItem,
    StatsItem,
    TickerItem,
    TradeItem,
    bind_market_data,
    checkpoint_name,
    piece_key,
    read_ticker,
    read_trade,
    ticker_item,
    trade_item,
    trade_key,
)
from exchange.market_data.model import Cursor, MarketState, StaleStateError, Trade
from exchange.market_data.snapshot import decode_bars, decode_state, encode_bars, encode_state
from exchange.market_data.ticker import Ticker

__all__ = ["MarketDataStore", "MarketDataWriter", "bind_market_data"]

PIECE_BYTES_MAX: Final = 350_000  # An item holds 400 KB, its names and its other attributes included.
READ_ATTEMPTS_MAX: Final = 3


class MarketDataStore:
    """Reads, for everybody."""

    def state(self, product_id: str, *, consistent: bool = False) -> MarketState | None:
        """The state as last committed; None where nothing was.

        Raises:   UnavailableError.
        """
        for _ in range(READ_ATTEMPTS_MAX):
            with _outages():
                book = _get(BookItem, product_id, "book", consistent=consistent)
                if book is None:
                    return None
                data = _joined(book, consistent=consistent)
                bars = _closed_bars(product_id)
            if data is not None:
                state = decode_state(data)
                state.bars.closed = bars_before(bars, state.bars.current)
                return state
        raise UnavailableError(f"{product_id}: the book was replaced at every reading")

    def ticker(self, product_id: str) -> Ticker | None:
        """The ticker with its trailing day; None where nothing has happened.

        Raises:   UnavailableError.
        """
        with _outages():
            item = _get(TickerItem, product_id, "ticker")
            return read_ticker(item, _closed_bars(product_id)) if item else None

    def sequence(self, product_id: str) -> int:
        """The last sequence committed, read consistently.

        Raises:   UnavailableError.
        """
        with _outages():
            item = _get(TickerItem, product_id, "ticker", consistent=True)
            return item.sequence if item else 0

    def top_of_book(self, product_id: str) -> tuple[int, int, int]:
        """Best bid, best ask and last trade's price in ticks; 0 for each that there is not. One cheap read.

        Raises:   UnavailableError.
        """
        with _outages():
            item = _get(TickerItem, product_id, "ticker")
        return (item.bid, item.ask, item.price or 0) if item else (0, 0, 0)

    def last_trade_ticks(self, product_id: str) -> int | None:
        """The last trade's price in ticks; None before the first trade.

        Raises:   UnavailableError.
        """
        return self.top_of_book(product_id)[2] or None

    def trades(self, product_id: str, *, limit: int, before: int | None, after: int | None) -> list[Trade]:
        """Trades newest first: those with ids above `before` and below `after`, where given.

        Raises:   UnavailableError.
        """
        newest = after - 1 if after is not None else TRADE_ID_MAX
        oldest = before + 1 if before is not None else 0
        if newest < oldest:
            return []
        condition = TradeItem.item.between(trade_key(oldest), trade_key(newest))
        with _outages():
            items = TradeItem.query(product_id, condition, scan_index_forward=False, limit=limit)
            return [read_trade(item) for item in items]


class MarketDataWriter(MarketDataStore):
    """The one writer: the stream function."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def load(self, product_id: str) -> MarketState:
        """The state at the checkpoint, read as of one moment; a market's genesis where nothing was ever committed.

        Raises:   UnavailableError.
        """
        for _ in range(READ_ATTEMPTS_MAX):
            with _outages():
                checkpoint, book, stats = self._read_together(product_id)
                if checkpoint is None or book is None:
                    require(checkpoint is None and book is None, f"{product_id}: half a commit")
                    return MarketState.genesis(product_id)
                data = _joined(book, consistent=True)
            if data is not None:
                state = decode_state(data, decode_bars(stats.data) if stats else [])
                held = (checkpoint.sequence, checkpoint.hash)
                require(held == (state.sequence, state.chain), f"{product_id}: book and checkpoint disagree")
                return state
        raise UnavailableError(f"{product_id}: the book was replaced at every reading")

    def _read_together(self, product_id: str) -> tuple[CheckpointItem | None, BookItem | None, StatsItem | None]:
        with TransactGet(connection=self._connection) as transaction:
            checkpoint = transaction.get(CheckpointItem, checkpoint_name(product_id))
            book = transaction.get(BookItem, product_id, "book")
            stats = transaction.get(StatsItem, product_id, "stats")
        return _found(checkpoint), _found(book), _found(stats)

    def commit(self, state: MarketState, trades: Sequence[Trade], *, begun_at: Cursor) -> None:
        """Write what a batch did. Committing the same batch again, after any failure, ends in the same items.

        Raises:   StaleStateError when the checkpoint is not where the batch began; UnavailableError,
                  OutcomeUnknownError: then load again before the next commit.
        """
        book, pieces = _book_items(state)
        with _outages():
            _put_trades(state.product_id, trades)
            if pieces:
                with BookItem.batch_write() as batch:
                    for piece in pieces:
                        batch.save(piece)
            self._transact(state, book, begun_at)
            if pieces:
                _delete_old_pieces(state)

    def _transact(self, state: MarketState, book: BookItem, begun_at: Cursor) -> None:
        name = checkpoint_name(state.product_id)
        is_where_we_began: Condition = (
            CheckpointItem.sequence == begun_at.sequence if begun_at.sequence else CheckpointItem.name.does_not_exist()
        )
        try:
            with TransactWrite(connection=self._connection) as transaction:
                checkpoint = CheckpointItem(name, sequence=state.sequence, hash=state.chain)
                transaction.save(checkpoint, condition=is_where_we_began)
                transaction.save(book)
                transaction.save(ticker_item(Ticker.of(state), state.product_id))
                if state.bars.closed_through != begun_at.closed_through:
                    transaction.save(StatsItem(state.product_id, "stats", data=encode_bars(state.bars.closed)))
        except TransactWriteError as error:
            if "ConditionalCheckFailed" in cancellation_codes(error):
                raise StaleStateError(f"{state.product_id}: the checkpoint is not at {begun_at.sequence}") from error
            raise


_AnyModel = TypeVar("_AnyModel", bound=Model)


@contextmanager
def _outages() -> Iterator[None]:
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


def _put_trades(product_id: str, trades: Sequence[Trade]) -> None:
    if not trades:
        return
    with TradeItem.batch_write() as batch:
        for trade in trades:
            batch.save(trade_item(product_id, trade))


def _book_items(state: MarketState) -> tuple[BookItem, list[BookItem]]:
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


def _delete_old_pieces(state: MarketState) -> None:
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


def _closed_bars(product_id: str) -> list[Bar]:
    item = _get(StatsItem, product_id, "stats")
    return decode_bars(item.data) if item else []
