"""What stock ccxt reads of the public market: books, tickers, trades and candles, by meaning and to the last decimal.

One market that no other test uses; the trades in it are made here, so every figure is known.
"""

import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import pytest

from tests.integration.conftest import RunningLaptop

ccxt = pytest.importorskip("ccxt")
pytestmark = pytest.mark.cloud

SYMBOL, PRODUCT_ID = "EUR/USD", "EUR-USD"
Eventually = Callable[[Callable[[], Any]], Any]
SIZES = [("1.05", 3), ("1.04", 2), ("1.06", 1), ("1.05", 4)]  # Each price with how many are bought at it.


@dataclass(frozen=True)
class Traded:
    """A client who may see what everybody may, and when the trades had been made."""

    public: Any
    before_ms: int


@pytest.fixture(scope="module", params=["sync", "async"])
def traded(request: pytest.FixtureRequest, traded_since: int, client_of: Callable[..., Any]) -> Traded:
    """What was traded, as each kind of client sees it."""
    public = client_of(flavour=request.param)
    public.load_markets()
    return Traded(public, traded_since)


@pytest.fixture(scope="module")
def traded_since(
    newcomer: Callable[[str], dict[str, str]], client_of: Callable[..., Any], eventually: Eventually
) -> int:
    """Four trades, the takers buying, and a book of one bid and one ask that stays."""
    maker, taker, public = client_of(newcomer("quotes-maker")), client_of(newcomer("quotes-taker")), client_of()
    before_ms = int(time.time() * 1000)
    for price, size in SIZES:
        maker.create_order(SYMBOL, "limit", "sell", size, price)
        eventually(lambda: public.fetch_order_book(SYMBOL)["asks"])
        taker.create_order(SYMBOL, "limit", "buy", size, price)
        eventually(lambda: not public.fetch_order_book(SYMBOL)["asks"])
    maker.create_order(SYMBOL, "limit", "buy", 7, "1.01")
    maker.create_order(SYMBOL, "limit", "sell", 8, "1.09")
    eventually(lambda: (book := public.fetch_order_book(SYMBOL))["bids"] and book["asks"])
    return before_ms


def test_candles_of_every_timeframe_add_up_to_the_trades(traded: Traded) -> None:
    public = traded.public
    assert set(public.timeframes) == {"1m", "5m", "15m", "1h", "6h", "1d"}
    for timeframe, seconds in public.timeframes.items():
        rows = public.fetch_ohlcv(SYMBOL, timeframe)
        assert rows, timeframe
        assert [row[0] for row in rows] == sorted(row[0] for row in rows)
        assert all(row[0] % (int(seconds) * 1000) == 0 for row in rows)
        assert all(low <= min(first, last) <= max(first, last) <= high for _, first, high, low, last, _ in rows)
        assert rows[0][1] == 1.05
        assert rows[-1][4] == 1.05
        assert (max(row[2] for row in rows), min(row[3] for row in rows)) == (1.06, 1.04)
        assert sum(row[5] for row in rows) == 10.0


def test_candles_since_a_time_begin_there(traded: Traded) -> None:
    public = traded.public
    whole = public.fetch_ohlcv(SYMBOL, "1m")
    since = traded.before_ms // 60_000 * 60_000
    assert public.fetch_ohlcv(SYMBOL, "1m", since=since) == whole
    assert public.fetch_ohlcv(SYMBOL, "1m", since=since, limit=300) == whole
    assert public.fetch_ohlcv(SYMBOL, "1m", since=since - 400 * 60_000, limit=300) == []
    flat = public.fetch_ohlcv(SYMBOL, "1m", since=since, params={"fill": "flat"})
    assert {row[0] for row in flat} >= {row[0] for row in whole}
    assert [row for row in flat if row[5]] == whole
    assert [row[0] for row in flat] == list(range(whole[0][0], flat[-1][0] + 1, 60_000))


def test_one_ticker_and_all_tickers_tell_the_last_price(traded: Traded) -> None:
    ticker = traded.public.fetch_ticker(SYMBOL)
    assert (ticker["last"], ticker["bid"], ticker["ask"], ticker["baseVolume"]) == (1.05, 1.01, 1.09, 10.0)
    assert ticker["timestamp"] >= traded.before_ms - 1000
    tickers = traded.public.fetch_tickers()
    assert set(tickers) == set(traded.public.symbols)
    assert tickers[SYMBOL]["last"] == 1.05
    client = traded.public
    stats = client.public_get_products_id_stats({"id": PRODUCT_ID})
    expected = {"open": "1.05", "high": "1.06", "low": "1.04", "last": "1.05", "volume": "10", "volume_30day": "10"}
    assert stats == expected
    client.options["fetchTickerMethod"] = "publicGetProductsIdStats"
    ticker = client.fetch_ticker(SYMBOL)
    del client.options["fetchTickerMethod"]
    assert (ticker["open"], ticker["high"], ticker["low"], ticker["last"]) == (1.05, 1.06, 1.04, 1.05)


def test_trades_tell_the_takers_side_and_page_both_ways(traded: Traded) -> None:
    trades = traded.public.fetch_trades(SYMBOL)
    assert [(trade["price"], trade["amount"], trade["side"]) for trade in trades] == [
        (float(price), float(size), "buy") for price, size in SIZES
    ]
    newest = int(trades[-1]["id"])
    older = traded.public.fetch_trades(SYMBOL, limit=2, params={"after": newest})
    assert [int(trade["id"]) for trade in older] == [newest - 2, newest - 1]
    newer = traded.public.fetch_trades(SYMBOL, limit=2, params={"before": newest - 3})
    assert [int(trade["id"]) for trade in newer] == [newest - 2, newest - 1]


def test_books_of_three_levels_agree_and_bear_their_sequence_and_checksum(traded: Traded) -> None:
    public = traded.public
    book = public.fetch_order_book(SYMBOL)
    assert (book["bids"], book["asks"]) == ([[1.01, 7.0, 1]], [[1.09, 8.0, 1]])
    levels = [public.public_get_products_id_book({"id": PRODUCT_ID, "level": level}) for level in (1, 2, 3)]
    assert [level["sequence"] for level in levels] == [book["nonce"]] * 3
    assert [level["bids"][0][:2] for level in levels] == [["1.01", "7"]] * 3
    sides = zip_longest(levels[1]["bids"][:10], levels[1]["asks"][:10])
    text = ":".join(f"{row[0]}:{row[1]}" for pair in sides for row in pair if row)
    assert int(levels[1]["checksum"]) == zlib.crc32(text.encode())


def test_a_gap_is_filled_from_the_events(traded: Traded) -> None:
    public = traded.public
    end = public.fetch_order_book(SYMBOL)["nonce"]
    events = public.fetch(f"{public.urls['api']['public']}/products/{PRODUCT_ID}/events?from=1&to={end}")
    assert [int(event["sequence"]) for event in events] == list(range(1, end + 1))
    matches = [event for event in events if event["type"] == "match"]
    assert [(event["price"], Decimal(event["size"])) for event in matches] == [
        (price, Decimal(size)) for price, size in SIZES
    ]


@pytest.mark.usefixtures("traded_since")
def test_one_command_compares_the_market_with_its_log_and_writes_it_anew(
    laptop: RunningLaptop, client_of: Callable[..., Any]
) -> None:
    settings = laptop.settings
    variables = {
        "EXCHANGE_HOME": str(settings.home),
        "EXCHANGE_PORT": str(settings.port),
        "EXCHANGE_CLOUD_PORT": str(settings.cloud_port),
        "EXCHANGE_MATCHER_PORT": str(settings.matcher_port),
        "EXCHANGE_CHAIN_PORT": str(settings.chain_port),
    }

    def exchange(*arguments: str) -> str:
        command = [sys.executable, "-m", "infra.cli.main", "rebuild", PRODUCT_ID, *arguments]
        run = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    public = client_of()
    before = public.fetch_ohlcv(SYMBOL, "1m"), public.fetch_order_book(SYMBOL)
    assert "are what the log says" in exchange("--check")
    exchange()
    assert "are what the log says" in exchange("--check")
    assert (public.fetch_ohlcv(SYMBOL, "1m"), public.fetch_order_book(SYMBOL)) == before


def test_a_market_that_is_none_is_told_by_the_text_that_ccxt_knows(traded: Traded) -> None:
    with pytest.raises(ccxt.InvalidOrder, match="Product not found"):
        traded.public.public_get_products_id_candles({"id": "NO-SUCH"})
