"""What the tables hold after commits, repeated and torn ones included."""

from dataclasses import replace
from itertools import product
from random import Random
from typing import Any

import pytest
from exchange.aws.dynamodb import connection
from exchange.market_data.bars import HOUR_NS, HOURS, MINUTE_NS, MINUTES, Day, Scale
from exchange.market_data.book import Resting
from exchange.market_data.items import BookItem, TradeItem
from exchange.market_data.model import Batch, MarketState, StaleStateError
from exchange.market_data.service import MarketFold, StreamRecord
from exchange.market_data.snapshot import encode_state
from exchange.market_data.store import MarketDataWriter
from exchange.market_data.ticker import Ticker
from exchange.messages import Side

from tests.fakes.market_data import EPOCH_NS, MemoryMarkets, RecordingFeed, ToyMarket


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
    events = [event for record in market.records() for event in state.apply_record(record)]
    store.commit(Batch(state, 0, events, state.bars.take_pages()))
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
    assert store.ticker("ACME-USD", now_ns=0) is None
    assert store.top_of_book("ACME-USD") == (0, 0, 0)
    assert store.last_trade_ticks("ACME-USD") is None


@pytest.mark.usefixtures("tables")
def test_the_ticker_says_what_the_state_says() -> None:
    store = MarketDataWriter(connection())
    state = committed(store, market_with_trades())
    ticker, told = store.ticker("ACME-USD", now_ns=state.time_ns), Ticker.of(state)
    assert ticker is not None
    assert ticker.bars.day(state.time_ns) == told.bars.day(state.time_ns) == Day(101, 101, 101, 3)
    assert replace(ticker, bars=told.bars) == told
    assert store.top_of_book("ACME-USD") == (99, 101, 101)
    assert store.last_trade_ticks("ACME-USD") == 101


@pytest.mark.usefixtures("tables")
def test_a_commit_from_elsewhere_is_refused_and_changes_nothing() -> None:
    store = MarketDataWriter(connection())
    state = committed(store, market_with_trades())
    with pytest.raises(StaleStateError):
        store.commit(Batch(MarketState.genesis("ACME-USD"), 0, [], []))
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
    assert [trade.trade_id for trade in store.trades("ACME-USD", limit=2, before=5, after=None)] == [7, 6]
    assert store.trades("ACME-USD", limit=9, before=7, after=8) == []
    assert store.trades("ACME-USD", limit=1, before=None, after=30) == [market.trades[28]]


def _both_count_back_alike(table: MarketDataWriter, fake: MemoryMarkets, scale: Scale, last_page: int) -> None:
    bars = table.bars("ACME-USD", scale, first_page=0, last_page=last_page)
    ends = (0, bars[0].start, bars[0].start + 1, bars[-20].start, bars[-1].start, bars[-1].start + 1)
    for end, count in product(ends, (1, 2, 31, 1_000)):
        newest = table.bars_before("ACME-USD", scale, end=end, count=count)
        assert newest == fake.bars_before("ACME-USD", scale, end=end, count=count)
        assert newest == [bar for bar in bars if bar.start < end][-count:]


@pytest.mark.usefixtures("tables")
def test_the_table_answers_as_the_fake_does() -> None:
    market, random = ToyMarket(), Random(5)
    for _ in range(60):
        market.wait(random.choice([0, 1, 20, 90, 700, 2_000]) * MINUTE_NS)
        price = random.randint(90, 110)
        market.place(Side.SELL, price, random.randint(1, 9))
        market.place(Side.BUY, price, random.randint(1, 9))
    table, fake = MarketDataWriter(connection()), MemoryMarkets()
    for store in (table, fake):
        fold = MarketFold(store, RecordingFeed())
        for data in market.encoded(7):
            fold.fold([StreamRecord("ACME-USD", data)])
    first, last = EPOCH_NS // HOUR_NS, market.now_ns // HOUR_NS
    for scale, pages in ((MINUTES, (first, last)), (HOURS, (first // 24, last // 24)), (MINUTES, (last, last))):
        bars = table.bars("ACME-USD", scale, first_page=pages[0], last_page=pages[1])
        assert bars == fake.bars("ACME-USD", scale, first_page=pages[0], last_page=pages[1])
        assert bars
    for scale, end in ((MINUTES, last + 1), (HOURS, last // 24 + 1)):
        _both_count_back_alike(table, fake, scale, end)
    for hour in {first, last, last + 1, *random.sample(range(first, last), 40)}:
        minute = hour * 60 + random.randint(0, 59)
        assert table.close_before("ACME-USD", minute) == fake.close_before("ACME-USD", minute)
    for now_ns in {EPOCH_NS, market.now_ns, *random.sample(range(EPOCH_NS, market.now_ns, MINUTE_NS), 40)}:
        ours, theirs = (store.ticker("ACME-USD", now_ns=now_ns, days=30) for store in (table, fake))
        assert ours is not None
        assert theirs is not None
        assert ours.bars.day(now_ns) == theirs.bars.day(now_ns)
        assert ours.bars.month_volume(now_ns) == theirs.bars.month_volume(now_ns)
    end = table.sequence("ACME-USD")
    for start in range(1, end, 13):
        events = table.events("ACME-USD", first=start, last=start + 40)
        assert events == fake.events("ACME-USD", first=start, last=start + 40)
        assert len(events) == min(41, end - start + 1)
    assert table.tickers(["ACME-USD", "NO-SUCH"]) == fake.tickers(["ACME-USD", "NO-SUCH"])


@pytest.mark.usefixtures("tables")
def test_a_book_too_large_for_an_item_is_kept_in_pieces_and_old_pieces_go() -> None:
    store = MarketDataWriter(connection())
    state = MarketState.genesis("ACME-USD")
    for number in range(60_000):
        state.book.add(Resting((number * 0x9E3779B97F4A7C15) % 2**63, Side.BUY, 1 + number % 50, 7))
    for sequence in (1, 2):
        begun_at, state.sequence = state.sequence, sequence
        store.commit(Batch(state, begun_at, [], []))
    assert encode_state(store.load("ACME-USD")) == encode_state(state)
    items = list(BookItem.query("ACME-USD", BookItem.item.startswith("book#")))
    assert {item.sequence for item in items} == {2}
    assert len(items) > 1


def test_a_batch_costs_two_requests(tables: Any) -> None:
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
    assert calls == ["BatchWriteItem", "TransactWriteItems"]
    calls.clear()
    fold.fold([third])
    assert calls == ["BatchWriteItem", "TransactWriteItems"]
