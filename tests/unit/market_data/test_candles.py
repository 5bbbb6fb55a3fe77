"""Candles, figures and gap fills, from hand-written trades and hostile queries."""

import pytest
from exchange.feeds.public import full_message
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.model import Product
from exchange.kernel.errors import Code, Refused
from exchange.market_data.bars import MINUTE_NS
from exchange.market_data.candles import CandleQuery, parse_candles
from exchange.market_data.paging import EventRange, parse_range
from exchange.market_data.questions import MarketQuestions
from exchange.market_data.service import MarketFold, StreamRecord
from exchange.messages import Phase, Side

from tests.fakes.market_data import Listing, MemoryMarkets, RecordingFeed, ToyMarket

MIDNIGHT_NS = 1_700_006_400_000_000_000  # 2023-11-15T00:00:00Z
MIDNIGHT = MIDNIGHT_NS // 1_000_000_000
EVERYTHING = EventRange(1, 10**16, 500)


class SettableClock:
    def __init__(self, now_ns: int) -> None:
        self.at_ns = now_ns

    def now_ns(self) -> int:
        return self.at_ns


def trade(market: ToyMarket, price: int, size: int) -> None:
    market.place(Side.SELL, price, size)
    market.place(Side.BUY, price, size)


def asked(market: ToyMarket, product: Product, clock: SettableClock) -> MarketQuestions:
    tables = MemoryMarkets()
    fold = MarketFold(tables, RecordingFeed())
    for data in market.encoded(1):
        fold.fold([StreamRecord(market.product_id, data)])
    return MarketQuestions(Catalogue(Listing(product), clock), tables, clock, full_message)


def a_day(product: Product) -> tuple[MarketQuestions, SettableClock]:
    """Trades in the minutes 0 (three), 1, 4, 60 and 61 after midnight."""
    market = ToyMarket(now_ns=MIDNIGHT_NS)
    for price, size in ((10_000, 1), (10_200, 2), (9_900, 3)):
        trade(market, price, size)
    for minutes, price in ((1, 10_100), (3, 10_300), (56, 10_400), (1, 10_500)):
        market.wait(minutes * MINUTE_NS)
        trade(market, price, 10)
    clock = SettableClock(market.now_ns)
    return asked(market, product, clock), clock


def query(granularity: int, first: int, last: int, *, is_flat: bool = False) -> CandleQuery:
    return CandleQuery(granularity, MIDNIGHT + first, MIDNIGHT + last, is_flat)


def test_minutes_without_a_trade_are_absent_and_the_newest_comes_first(product: Product) -> None:
    questions, _ = a_day(product)
    assert questions.candles("ACME-USD", query(60, 0, 61 * 60)) == [
        [MIDNIGHT + 3660, "105", "105", "105", "105", "0.01"],
        [MIDNIGHT + 3600, "104", "104", "104", "104", "0.01"],
        [MIDNIGHT + 240, "103", "103", "103", "103", "0.01"],
        [MIDNIGHT + 60, "101", "101", "101", "101", "0.01"],
        [MIDNIGHT, "99", "102", "100", "99", "0.006"],
    ]


@pytest.mark.parametrize(
    ("granularity", "rows"),
    [
        (300, [[3600, "104", "105", "104", "105", "0.02"], [0, "99", "103", "100", "103", "0.026"]]),
        (3600, [[3600, "104", "105", "104", "105", "0.02"], [0, "99", "103", "100", "103", "0.026"]]),
        (21600, [[0, "99", "105", "100", "105", "0.046"]]),
        (86400, [[0, "99", "105", "100", "105", "0.046"]]),
    ],
)
def test_larger_buckets_add_up(product: Product, granularity: int, rows: list[list[object]]) -> None:
    questions, _ = a_day(product)
    expected = [[MIDNIGHT + row[0], *row[1:]] for row in rows if isinstance(row[0], int)]
    assert questions.candles("ACME-USD", query(granularity, 0, max(granularity, 3600))) == expected


def test_flat_fills_at_the_previous_close_from_the_first_trade_until_now(product: Product) -> None:
    questions, clock = a_day(product)
    clock.at_ns += 2 * MINUTE_NS
    rows = questions.candles("ACME-USD", query(60, 59 * 60, 70 * 60, is_flat=True))
    assert rows == [
        [MIDNIGHT + 3780, "105", "105", "105", "105", "0"],
        [MIDNIGHT + 3720, "105", "105", "105", "105", "0"],
        [MIDNIGHT + 3660, "105", "105", "105", "105", "0.01"],
        [MIDNIGHT + 3600, "104", "104", "104", "104", "0.01"],
        [MIDNIGHT + 3540, "103", "103", "103", "103", "0"],
    ]
    assert questions.candles("ACME-USD", query(60, -600, -60, is_flat=True)) == []
    before = questions.candles("ACME-USD", query(60, -120, 60, is_flat=True))
    assert not isinstance(before, Refused)
    assert [row[0] - MIDNIGHT for row in before] == [60, 0]


def test_figures_cover_exactly_the_last_day_and_month(product: Product) -> None:
    questions, clock = a_day(product)
    assert questions.stats("ACME-USD") == {
        "open": "100", "high": "105", "low": "99", "last": "105", "volume": "0.046", "volume_30day": "0.046",
    }  # fmt: skip
    clock.at_ns = MIDNIGHT_NS + (24 * 60 + 1) * MINUTE_NS  # Minutes 0 and 1 have left the day.
    stats = {"open": "103", "high": "105", "low": "103", "last": "105", "volume": "0.03"}
    assert questions.stats("ACME-USD") == {**stats, "volume_30day": "0.046"}
    assert questions.all_stats() == {"ACME-USD": {"stats_24hour": stats, "stats_30day": {"volume": "0.046"}}}
    clock.at_ns = MIDNIGHT_NS + 30 * 24 * 60 * MINUTE_NS  # The first hour has left the month; the day is flat.
    flat = {"open": "105", "high": "105", "low": "105", "last": "105", "volume": "0"}
    assert questions.stats("ACME-USD") == {**flat, "volume_30day": "0.02"}
    assert questions.volumes()[0]["spot_volume_30day"] == "0.02"


def test_spark_lines_are_the_hours_of_the_last_day_and_never_without_a_last_price(product: Product) -> None:
    questions, clock = a_day(product)
    hour = [MIDNIGHT + 3600, "104", "105", "104", "105"]
    assert questions.spark_lines() == {"ACME-USD": [hour, [MIDNIGHT, "99", "103", "100", "103"]]}
    clock.at_ns += 40 * 24 * 60 * MINUTE_NS
    assert questions.spark_lines() == {"ACME-USD": [hour]}


def test_a_market_without_trades_has_no_prices(product: Product) -> None:
    questions = asked(ToyMarket(), product, SettableClock(MIDNIGHT_NS))
    assert questions.stats("ACME-USD") == {"volume": "0", "volume_30day": "0"}
    assert questions.spark_lines() == {"ACME-USD": []}
    assert questions.candles("ACME-USD", query(60, 0, 60, is_flat=True)) == []
    assert questions.events("ACME-USD", EVERYTHING) == ([], None)


def test_what_covers_every_product_is_read_once_a_second(product: Product) -> None:
    tables, clock = MemoryMarkets(), SettableClock(MIDNIGHT_NS)
    questions = MarketQuestions(Catalogue(Listing(product), clock), tables, clock, full_message)
    market = ToyMarket(now_ns=MIDNIGHT_NS)
    trade(market, 10_000, 1)
    assert questions.spark_lines() == {"ACME-USD": []}
    MarketFold(tables, RecordingFeed()).fold([StreamRecord("ACME-USD", data) for data in market.encoded()])
    assert questions.spark_lines() == {"ACME-USD": []}
    clock.at_ns += 1_000_000_000
    assert len(questions.spark_lines()["ACME-USD"]) == 1


def test_events_fill_a_gap_page_by_page_and_tell_no_more_than_the_feed(product: Product) -> None:
    market = ToyMarket(now_ns=MIDNIGHT_NS)
    trade(market, 10_000, 5)
    market.place_stop()
    market.place(Side.SELL, 10_100, 40, display=10)
    questions = asked(market, product, SettableClock(MIDNIGHT_NS))
    found = questions.events("ACME-USD", EVERYTHING)
    assert not isinstance(found, Refused)
    whole, following = found
    assert following is None
    assert [event["sequence"] for event in whole] == list(range(1, len(whole) + 1))
    stop = [event for event in whole if event["type"] == "activate"]
    assert [set(event) for event in stop] == [{"type", "product_id", "sequence", "time"}]
    assert "0.04" not in str(whole[-2:])  # What the iceberg hides.
    paged, begin = [], 1
    while True:
        page = questions.events("ACME-USD", EventRange(begin, 10**16, 2))
        assert not isinstance(page, Refused)
        paged += page[0]
        if page[1] is None:
            break
        begin = page[1]
    assert paged == whole
    assert questions.events("ACME-USD", EventRange(2, 3, 500)) == (whole[1:3], None)
    assert questions.events("ACME-USD", EventRange(len(whole) + 1, 10**16, 500)) == ([], None)


def test_events_no_longer_kept_are_refused_with_the_remedy(product: Product) -> None:
    market, tables, clock = ToyMarket(now_ns=MIDNIGHT_NS), MemoryMarkets(), SettableClock(MIDNIGHT_NS)
    trade(market, 10_000, 5)
    MarketFold(tables, RecordingFeed()).fold([StreamRecord("ACME-USD", data) for data in market.encoded()])
    tables.event_rows.clear()
    refused = MarketQuestions(Catalogue(Listing(product), clock), tables, clock, full_message).events(
        "ACME-USD", EVERYTHING
    )
    assert isinstance(refused, Refused)
    assert refused.code is Code.EVENTS_EXPIRED
    assert "level 3" in refused.message


def test_an_auction_shows_among_the_products(product: Product) -> None:
    market = ToyMarket(now_ns=MIDNIGHT_NS)
    market.enter(Phase.AUCTION)
    questions = asked(market, product, SettableClock(MIDNIGHT_NS))
    view = questions.product("ACME-USD")
    assert not isinstance(view, Refused)
    assert (view["auction_mode"], view["limit_only"], view["trading_disabled"]) == (True, True, False)
    assert questions.products() == [view]


def test_the_best_prices_are_the_first_of_the_whole_book(product: Product) -> None:
    market = ToyMarket(now_ns=MIDNIGHT_NS)
    for price, size in ((9_900, 5), (9_900, 7), (9_800, 1)):
        market.place(Side.BUY, price, size)
    market.place(Side.SELL, 10_100, 3)
    for phase in (Phase.CONTINUOUS, Phase.AUCTION):
        market.enter(phase)
        questions = asked(market, product, SettableClock(MIDNIGHT_NS))
        top, whole = questions.book("ACME-USD", "1"), questions.book("ACME-USD", "2")
        assert not isinstance(top, Refused)
        assert not isinstance(whole, Refused)
        assert (top["bids"], top["asks"]) == ([["99", "0.012", 2]], [["101", "0.003", 1]])
        shared = ("sequence", "time", "auction_mode", "auction")
        assert [top.get(name) for name in shared] == [whole.get(name) for name in shared]
        assert (top["bids"], top["asks"]) == (whole["bids"][:1], whole["asks"][:1])


def parsed(
    granularity: str | None = None, start: str | None = None, end: str | None = None, fill: str | None = None
) -> CandleQuery | Refused:
    return parse_candles(granularity=granularity, start=start, end=end, fill=fill, now_ns=MIDNIGHT_NS + 59_000_000_000)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((), CandleQuery(60, MIDNIGHT - 299 * 60, MIDNIGHT)),
        (("3600",), CandleQuery(3600, MIDNIGHT - 299 * 3600, MIDNIGHT)),
        (("60", "2023-11-15T00:00:00Z", "2023-11-15T04:59:00.000Z", "flat"), query(60, 0, 299 * 60, is_flat=True)),
        (("60", str(MIDNIGHT), str(MIDNIGHT + 300 * 60)), query(60, 0, 299 * 60)),
        (("60", str(MIDNIGHT + 1), str(MIDNIGHT + 1 + 300 * 60)), query(60, 60, 300 * 60)),
        (("300", "2023-11-15T01:00:00+01:00", "2023-11-15T00:10:00"), query(300, 0, 600)),
        (("60", str(MIDNIGHT + 1), str(MIDNIGHT + 2)), query(60, 60, 0)),
        (("60", str(MIDNIGHT)), CandleQuery(60, MIDNIGHT - 299 * 60, MIDNIGHT)),
    ],
)
def test_a_query_is_read(texts: tuple[str, ...], expected: CandleQuery) -> None:
    assert parsed(*texts) == expected


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (("61",), "granularity: give seconds"),
        (("",), "granularity"),
        (("-60",), "granularity"),
        (("60", "yesterday", "2023-11-15"), "start"),
        (("60", "2023-11-15", "1e9"), "end"),
        (("60", "1969-12-31T23:59:59Z", "2023-11-15"), "start"),
        (("60", "0001-01-01T00:00:00+23:59", "1"), "start"),
        (("60", "9" * 12, "1"), "start"),
        (("60", str(MIDNIGHT + 1), str(MIDNIGHT)), "start: must not be after end"),
        (("60", str(MIDNIGHT), str(MIDNIGHT + 300 * 60 + 1)), "granularity: 60 is too small"),
        (("60", None, None, "linear"), "fill"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(texts: tuple[str | None, ...], says: str) -> None:
    refused = parsed(*texts)
    assert isinstance(refused, Refused)
    assert refused.code is Code.REQUEST_FIELD_INVALID
    assert refused.message.startswith(says)


def test_a_range_is_cut_to_what_one_answer_may_have() -> None:
    assert parse_range(first="5", last=None, limit="501") == parse_range(first="5", last=None, limit="500")


@pytest.mark.parametrize(
    ("first", "last", "limit", "says"),
    [
        (None, None, None, "from"),
        ("0", None, None, "from"),
        ("-1", None, None, "from"),
        ("5", "4", None, "to"),
        ("5", "x", None, "to"),
        ("5", None, "0", "limit"),
    ],
)
def test_a_range_that_is_none_is_refused(first: str | None, last: str | None, limit: str | None, says: str) -> None:
    refused = parse_range(first=first, last=last, limit=limit)
    assert isinstance(refused, Refused)
    assert refused.message.startswith(says)
