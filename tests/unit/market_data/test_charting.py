"""Charts: symbols, and bars counted back over gaps, which are the candles of the other route."""

from typing import Any

import pytest
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.model import Asset, Product, list_product
from exchange.kernel.errors import Code, Refused
from exchange.market_data.bars import HOUR_NS, MINUTE_NS
from exchange.market_data.charting import BARS_MAX, RESOLUTIONS, Charts, HistoryQuery, parse_history
from exchange.market_data.service import MarketFold, StreamRecord
from exchange.messages import Side
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.market_data import Listing, MemoryMarkets, RecordingFeed, SteppingClock, ToyMarket, acme

MIDNIGHT_NS = 1_700_006_400_000_000_000  # 2023-11-15T00:00:00Z
MIDNIGHT = MIDNIGHT_NS // 1_000_000_000
# From the trade before each in minutes, the price in ticks and the size in lots.
TRADES = ((0, 10_000, 1), (0, 10_200, 2), (1, 9_900, 3), (3, 10_300, 10), (60, 10_400, 10), (9_000, 10_500, 7))


def charts_of(product: Product, trades: Any) -> Charts:
    """What is asked about a market with these trades."""
    market, tables = ToyMarket(now_ns=MIDNIGHT_NS), MemoryMarkets()
    for minutes, price, size in trades:
        market.wait(minutes * MINUTE_NS)
        market.place(Side.SELL, price, size)
        market.place(Side.BUY, price, size)
    fold = MarketFold(tables, RecordingFeed())
    fold.fold([StreamRecord("ACME-USD", data) for data in market.encoded(3)])
    clock = SteppingClock(market.now_ns)
    return Charts(Catalogue(Listing(product), clock), tables, clock)


def query(**asked: str) -> HistoryQuery:
    """A query that can be read."""
    texts = {"resolution": "1", "first": None, "end": None, "count": None, **asked}
    read = parse_history(now_ns=MIDNIGHT_NS + 365 * 24 * HOUR_NS, **texts)
    assert isinstance(read, HistoryQuery), read
    return read


def test_bars_are_columns_oldest_first_from_one_moment_until_before_another(product: Product) -> None:
    charts = charts_of(product, TRADES)
    asked = query(first=str(MIDNIGHT), end=str(MIDNIGHT + 240))
    assert charts.history("ACME-USD", asked) == {
        "s": "ok",
        "t": [MIDNIGHT, MIDNIGHT + 60],
        "o": ["100", "99"],
        "h": ["102", "99"],
        "l": ["100", "99"],
        "c": ["102", "99"],
        "v": ["0.003", "0.003"],
    }
    assert charts.history("Exchange:ACME/USD", asked) == charts.history("ACME-USD", asked)


def test_bars_are_counted_back_over_gaps_whatever_from_says(product: Product) -> None:
    charts = charts_of(product, TRADES)
    told = charts.history("ACME-USD", query(first=str(MIDNIGHT + 10**6), count="3"))
    assert isinstance(told, dict)
    assert told["t"] == [MIDNIGHT + 60 * minute for minute in (4, 64, 9_064)]
    assert charts.history("ACME-USD", query(count="100", end=str(MIDNIGHT + 60)))["t"] == [MIDNIGHT]  # type: ignore[index]
    days = charts.history("ACME-USD", query(count="9", resolution="D"))
    assert isinstance(days, dict)
    assert (days["t"], days["o"], days["v"]) == ([MIDNIGHT, MIDNIGHT + 6 * 86_400], ["100", "105"], ["0.026", "0.007"])


def test_where_nothing_traded_the_nearest_older_bar_is_told(product: Product) -> None:
    charts = charts_of(product, TRADES)
    assert charts.history("ACME-USD", query(first=str(MIDNIGHT + 300), end=str(MIDNIGHT + 600))) == {
        "s": "no_data",
        "nextTime": MIDNIGHT + 240,
    }
    before = query(first=str(MIDNIGHT - 600), end=str(MIDNIGHT))
    assert charts.history("ACME-USD", before) == {"s": "no_data"}
    assert charts.history("ACME-USD", query(first="-5", end="-1")) == {"s": "no_data"}
    assert charts_of(product, ()).history("ACME-USD", query(count="5")) == {"s": "no_data"}


@given(
    trades=st.lists(
        st.tuples(st.integers(0, 3_000), st.integers(9_000, 11_000), st.integers(1, 9)), min_size=1, max_size=25
    ),
    resolution=st.sampled_from(sorted(RESOLUTIONS)),
    count=st.integers(1, 30),
    back=st.integers(0, 20_000),
)
def test_counted_bars_are_the_last_of_all_bars(trades: Any, resolution: str, count: int, back: int) -> None:
    charts = charts_of(acme(), trades)
    end = charts.now_ns() // 1_000_000_000 - 60 * back
    whole = query(resolution=resolution, first="0", end=str(end))
    every = charts.history("ACME-USD", whole)
    some = charts.history("ACME-USD", query(resolution=resolution, count=str(count), end=str(end)))
    assert isinstance(every, dict)
    assert isinstance(some, dict)
    if every["s"] == "no_data":
        assert some == every == {"s": "no_data"}
        return
    assert some == {name: column[-count:] if isinstance(column, list) else column for name, column in every.items()}
    assert every["t"] == sorted(set(every["t"]))
    assert all(time < end and time % RESOLUTIONS[resolution] == 0 for time in every["t"])


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"resolution": "2", "first": "0"}, "resolution"),
        ({"resolution": None, "first": "0"}, "resolution"),
        ({"first": "x"}, "from"),
        ({"first": "1e9"}, "from"),
        ({"first": "0", "end": "2023-11-15"}, "to"),
        ({"count": "0"}, "countback"),
        ({"count": "-1"}, "countback"),
        ({"count": "1" * 30}, "countback"),
        ({"first": "0", "end": ""}, "to"),
    ],
)
def test_what_can_not_be_read_is_refused_by_name(asked: dict[str, Any], field: str) -> None:
    texts = {"resolution": "1", "first": None, "end": None, "count": None, **asked}
    refused = parse_history(now_ns=MIDNIGHT_NS, **texts)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.message.split(":")[0]) == (Code.REQUEST_FIELD_INVALID, field)


def test_a_large_count_is_cut(product: Product) -> None:
    assert query(count="999999").count == BARS_MAX


def test_a_symbol_tells_how_its_prices_are_written() -> None:
    usd, gold = Asset("USD", "US dollar", 6), Asset("XAU", "Gold", 4, "crypto")
    product = list_product(
        "XAU-USD",
        base=gold,
        quote=usd,
        base_increment="0.001",
        quote_increment="0.05",
        base_min_size="0.001",
        base_max_size="100",
        min_market_funds="1",
    )
    charts = charts_of(product, ())
    told = charts.symbol("XAU/USD")
    assert isinstance(told, dict)
    # A tick of 0.05: prices show hundredths and move by five of them.
    assert (told["pricescale"], told["minmov"], told["volume_precision"]) == (100, 5, 3)
    assert (told["type"], told["session"], told["currency_code"]) == ("crypto", "24x7", "USD")
    assert "1D" not in told["intraday_multipliers"]
    for name in ("XAU", "", None, "ACME-USD"):
        refused = charts.symbol(name)
        assert isinstance(refused, Refused)
        assert refused.code is Code.PRODUCT_NOT_FOUND


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("acme", "", 1), ("ACME/U", "", 1), ("corporation", "stock", 1), ("dollar", "", 1), ("", "", 1),
        ("acme", "crypto", 0), ("btc", "", 0), ("acme", "nonsense", 0),
    ],
)  # fmt: skip
def test_symbols_are_found_by_a_part_of_their_name(product: Product, text: str, kind: str, found: int) -> None:
    charts = charts_of(product, ())
    hits = charts.search(text, kind, 10)
    assert [hit["full_name"] for hit in hits] == ["Exchange:ACME-USD"][:found]
    assert charts.search(text, kind, 0) == []
    assert {one["value"] for one in charts.config()["symbols_types"]} == {"", "stock"}
