"""Folding batches, and the answers to the public."""

import pytest
from exchange.feeds.public import full_message
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.model import Product
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.market_data.paging import Page, parse_page
from exchange.market_data.questions import MarketQuestions
from exchange.market_data.service import BatchError, MarketFold, StreamRecord
from exchange.messages import Side

from tests.fakes.market_data import EPOCH_NS, Listing, MemoryMarkets, RecordingFeed, ToyMarket


class StoppedClock:
    def now_ns(self) -> int:
        return EPOCH_NS


def records(market: ToyMarket, commands_per_record: int = 1) -> list[StreamRecord]:
    return [StreamRecord(market.product_id, data) for data in market.encoded(commands_per_record)]


def a_market(product_id: str = "ACME-USD") -> ToyMarket:
    market = ToyMarket(product_id)
    market.place(Side.SELL, 10_100, 5)
    market.place(Side.SELL, 10_100, 4, display=1)
    market.place(Side.BUY, 9_900, 2_500)
    market.place(Side.BUY, 10_100, 2)
    return market


def questions(product: Product, market: ToyMarket | None = None) -> MarketQuestions:
    tables = MemoryMarkets()
    if market is not None:
        MarketFold(tables, RecordingFeed()).fold(records(market))
    return MarketQuestions(Catalogue(Listing(product), StoppedClock()), tables, StoppedClock(), full_message)


def test_a_gap_stops_its_product_and_no_other() -> None:
    tables, feed = MemoryMarkets(), RecordingFeed()
    good, gappy = a_market(), a_market("BTC-USD")
    batch = [*records(gappy)[1:], *records(good)]
    with pytest.raises(BatchError, match="BTC-USD: SequenceGapError"):
        MarketFold(tables, feed).fold(batch)
    assert set(tables.books) == {"ACME-USD"}
    assert [update.state.product_id for update in feed.updates] == ["ACME-USD"]


def test_unreadable_bytes_stop_the_product_behind_what_is_readable() -> None:
    tables = MemoryMarkets()
    batch = records(a_market())
    batch[2] = StreamRecord("ACME-USD", b"no record")
    with pytest.raises(BatchError, match="MalformedRecordError"):
        MarketFold(tables, RecordingFeed()).fold(batch)
    assert tables.load("ACME-USD").sequence == 4


def test_another_past_is_refused() -> None:
    tables = MemoryMarkets()
    ours, theirs = a_market(), ToyMarket()
    theirs.place(Side.BUY, 1, 1)
    theirs.place(Side.BUY, 1, 1)
    theirs.place(Side.BUY, 1, 1)
    fold = MarketFold(tables, RecordingFeed())
    fold.fold(records(ours)[:1])
    with pytest.raises(BatchError, match="HistoryForkError"):
        fold.fold(records(theirs)[1:])
    with pytest.raises(BatchError, match="HistoryForkError"):
        fold.fold(records(theirs)[:1])
    assert tables.load("ACME-USD").sequence == 2


def test_what_another_worker_committed_is_loaded_before_a_gap_is_called() -> None:
    tables = MemoryMarkets()
    batch = records(a_market())
    one, other = MarketFold(tables, RecordingFeed()), MarketFold(tables, RecordingFeed())
    one.fold(batch[:1])
    other.fold(batch[1:3])
    one.fold(batch[3:])
    assert tables.load("ACME-USD").sequence == a_market().records()[0].last_sequence


def test_a_stale_memory_commits_nothing_and_is_loaded_anew() -> None:
    tables, feed = MemoryMarkets(), RecordingFeed()
    batch = records(a_market())
    one, other = MarketFold(tables, feed), MarketFold(tables, RecordingFeed())
    one.fold(batch[:1])
    other.fold(batch[1:3])
    one.fold(batch[1:])
    assert tables.load("ACME-USD").sequence == a_market().records()[0].last_sequence
    assert [update.is_continued for update in feed.updates] == [False, False]
    assert feed.updates[-1].events[0].sequence == 7


def test_nothing_is_published_before_it_is_committed_nor_twice() -> None:
    tables, feed = MemoryMarkets(), RecordingFeed()
    tables.failures.append(UnavailableError("throttled"))
    fold = MarketFold(tables, feed)
    with pytest.raises(BatchError):
        fold.fold(records(a_market()))
    assert feed.updates == []
    fold.fold(records(a_market()))
    fold.fold(records(a_market()))
    assert len(feed.updates) == 1
    assert feed.repeated == [event.sequence for event in feed.updates[0].said]


def test_the_book_at_each_level(product: Product) -> None:
    asked = questions(product, a_market())
    best = asked.book("ACME/USD", "1")
    assert not isinstance(best, Refused)
    assert best["bids"] == [["99", "2.5", 1]]
    assert best["asks"] == [["101", "0.004", 2]]
    assert (best["sequence"], best["auction_mode"], best["time"]) == (9, False, "2023-11-14T22:13:20.000000Z")
    whole = asked.book("ACME-USD", "3")
    assert not isinstance(whole, Refused)
    assert whole["asks"] == [
        ["101", "0.003", "00000000-0000-0001-8000-000000000001"],
        ["101", "0.001", "00000000-0000-0002-8000-000000000001"],
    ]


def test_a_market_without_events_has_an_empty_book_and_no_last_price(product: Product) -> None:
    asked = questions(product)
    book = asked.book("ACME-USD", "2")
    assert not isinstance(book, Refused)
    assert (book["bids"], book["asks"], book["sequence"]) == ([], [], 0)
    assert asked.ticker("ACME-USD") == {"volume": "0"}
    assert asked.trades("ACME-USD", Page()) == []


def test_ticker_and_trades_speak_text_and_tell_the_makers_side(product: Product) -> None:
    asked = questions(product, a_market())
    moment = "2023-11-14T22:13:20.000000Z"
    trade = {"trade_id": 1, "price": "101", "size": "0.002", "time": moment}
    assert asked.ticker("ACME-USD") == {**trade, "bid": "99", "ask": "101", "volume": "0.002"}
    assert asked.trades("ACME-USD", Page()) == [{**trade, "side": "sell"}]


def test_a_product_shows_every_field_that_clients_read(product: Product) -> None:
    assert questions(product).product("ACME-USD") == {
        "id": "ACME-USD",
        "base_currency": "ACME",
        "quote_currency": "USD",
        "display_name": "ACME/USD",
        "base_increment": "0.001",
        "quote_increment": "0.01",
        "base_min_size": "0.001",
        "base_max_size": "1000000",
        "min_market_funds": "1",
        "reference_price": "100",
        "status": "online",
        "status_message": "",
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "trading_disabled": False,
        "auction_mode": False,
        "margin_enabled": False,
        "fx_stablecoin": False,
    }


def test_an_asset_shows_its_unit_and_kind(product: Product) -> None:
    currency = questions(product).currency("ACME")
    assert not isinstance(currency, Refused)
    assert (currency["max_precision"], currency["status"]) == ("0.0001", "online")
    assert (currency["details"]["type"], currency["details"]["asset_class"]) == ("other", "stock")
    assert [asset["id"] for asset in questions(product).currencies()] == ["ACME", "USD"]


def test_an_unknown_product_is_refused_with_the_text_clients_map(product: Product) -> None:
    asked = questions(product)
    refused = Refused(Code.PRODUCT_NOT_FOUND, "Product not found")
    assert asked.product("NO-SUCH") == refused
    assert asked.ticker("NO-SUCH") == refused
    assert asked.book("NO-SUCH", "1") == refused
    assert asked.trades("NO-SUCH", Page()) == refused
    unknown = asked.currency("NOPE")
    assert isinstance(unknown, Refused)
    assert unknown.code is Code.CURRENCY_NOT_FOUND


@pytest.mark.parametrize("level", ["0", "4", "", "1.0", "x"])
def test_a_level_that_is_none_is_refused(product: Product, level: str) -> None:
    refused = questions(product, a_market()).book("ACME-USD", level)
    assert isinstance(refused, Refused)
    assert refused.code is Code.REQUEST_FIELD_INVALID


@pytest.mark.parametrize(("limit", "rows"), [(None, 1000), ("1", 1), ("1000", 1000), ("1001", 1000), ("12000", 1000)])
def test_more_than_a_page_may_have_gives_a_whole_page(limit: str | None, rows: int) -> None:
    assert parse_page(limit=limit, before=None, after=None) == Page(rows)


@pytest.mark.parametrize(
    ("limit", "before", "after", "says"),
    [
        ("0", None, None, "limit"),
        ("-1", None, None, "limit"),
        ("1e3", None, None, "limit"),
        (None, "x", None, "before"),
        (None, None, "²", "after"),
        (None, None, "9" * 17, "after"),
    ],
)
def test_a_page_that_is_none_is_refused(limit: str | None, before: str | None, after: str | None, says: str) -> None:
    refused = parse_page(limit=limit, before=before, after=after)
    assert isinstance(refused, Refused)
    assert refused.message.startswith(says)
