"""What the tables hold after commits, repeated and torn ones included."""

from typing import Any

import pytest
from exchange.aws.dynamodb import connection
from exchange.market_data.bars import MINUTE_NS
from exchange.market_data.book import Resting
from exchange.market_data.items import BookItem, TradeItem
from exchange.market_data.model import Cursor, MarketState, StaleStateError
from exchange.market_data.service import MarketFold, StreamRecord
from exchange.market_data.snapshot import encode_state
from exchange.market_data.store import MarketDataWriter
from exchange.market_data.ticker import Ticker
from exchange.messages import Side

from tests.fakes.market_data import RecordingFeed, ToyMarket

GENESIS = Cursor(0, 0)


def market_with_trades() -> ToyMarket:
    market = ToyMarket()
    market.place(Side.SELL, 101, 5)
    market.place(Side.BUY, 99, 4)
    market.place(Side.BUY, 101, 2)
    market.wait(MINUTE_NS)
    market.place(Side.BUY, 101, 1)
    return market


def committed(store: MarketDataWriter, market: ToyMarket) -> MarketState:
    state = MarketState.genesis(market.product_id)
    for record in market.records():
        state.apply_record(record)
    store.commit(state, market.trades, begun_at=GENESIS)
    return state


@pytest.mark.usefixtures("tables")
def test_a_committed_state_is_loaded_whole() -> None:
    store = MarketDataWriter(connection())
    state = committed(store, market_with_trades())
    loaded = store.load("ACME-USD")
    assert encode_state(loaded) == encode_state(state)
    assert loaded.bars == state.bars
    assert store.sequence("ACME-USD") == state.sequence


@pytest.mark.usefixtures("tables")
def test_an_unknown_market_begins_at_its_genesis() -> None:
    store = MarketDataWriter(connection())
    assert store.load("ACME-USD") == MarketState.genesis("ACME-USD")
    assert store.state("ACME-USD") is None
    assert store.ticker("ACME-USD") is None
    assert store.top_of_book("ACME-USD") == (0, 0, 0)
    assert store.last_trade_ticks("ACME-USD") is None


@pytest.mark.usefixtures("tables")
def test_the_ticker_says_what_the_state_says() -> None:
    store = MarketDataWriter(connection())
    state = committed(store, market_with_trades())
    assert store.ticker("ACME-USD") == Ticker.of(state)
    assert store.top_of_book("ACME-USD") == (99, 101, 101)
    assert store.last_trade_ticks("ACME-USD") == 101


@pytest.mark.usefixtures("tables")
def test_a_commit_from_elsewhere_is_refused_and_changes_nothing() -> None:
    store = MarketDataWriter(connection())
    state = committed(store, market_with_trades())
    with pytest.raises(StaleStateError):
        store.commit(MarketState.genesis("ACME-USD"), [], begun_at=GENESIS)
    assert encode_state(store.load("ACME-USD")) == encode_state(state)


@pytest.mark.usefixtures("tables")
def test_trades_page_newest_first() -> None:
    store = MarketDataWriter(connection())
    market = ToyMarket()
    for _ in range(30):
        market.place(Side.SELL, 101, 1)
        market.place(Side.BUY, 101, 1)
    committed(store, market)
    ids = [trade.trade_id for trade in store.trades("ACME-USD", limit=3, before=None, after=None)]
    assert ids == [30, 29, 28]
    assert [trade.trade_id for trade in store.trades("ACME-USD", limit=2, before=None, after=28)] == [27, 26]
    assert [trade.trade_id for trade in store.trades("ACME-USD", limit=9, before=28, after=None)] == [30, 29]
    assert store.trades("ACME-USD", limit=9, before=7, after=8) == []
    assert store.trades("ACME-USD", limit=1, before=None, after=30) == [market.trades[28]]


@pytest.mark.usefixtures("tables")
def test_a_book_too_large_for_an_item_is_kept_in_pieces_and_old_pieces_go() -> None:
    store = MarketDataWriter(connection())
    state = MarketState.genesis("ACME-USD")
    for number in range(60_000):
        state.book.add(Resting((number * 0x9E3779B97F4A7C15) % 2**63, Side.BUY, 1 + number % 50, 7))
    for sequence in (1, 2):
        begun_at, state.sequence = state.cursor, sequence
        store.commit(state, [], begun_at=begun_at)
    assert encode_state(store.load("ACME-USD")) == encode_state(state)
    items = list(BookItem.query("ACME-USD", BookItem.item.startswith("book#")))
    assert {item.sequence for item in items} == {2}
    assert len(items) > 1


def test_a_batch_costs_one_request_and_one_more_where_it_trades(tables: Any) -> None:
    calls: list[str] = []
    market = ToyMarket()
    market.place(Side.BUY, 99, 4)
    market.place(Side.BUY, 98, 4)
    market.place(Side.SELL, 98, 7)
    first, second, third = [StreamRecord("ACME-USD", data) for data in market.encoded(1)]
    database = connection()
    fold = MarketFold(MarketDataWriter(database), RecordingFeed())
    fold.fold([first])
    for client in (database.client, TradeItem._get_connection().connection.client):
        client.meta.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))
    fold.fold([second])
    assert calls == ["TransactWriteItems"]
    calls.clear()
    fold.fold([third])
    assert calls == ["BatchWriteItem", "TransactWriteItems"]
