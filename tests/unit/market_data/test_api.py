"""The public routes over their tables, through Chalice."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from chalice.test import Client
from exchange.aws.dynamodb import connection
from exchange.instruments.model import Product
from exchange.instruments.store import InstrumentStore
from exchange.market_data.service import MarketFold, StreamRecord
from exchange.market_data.store import MarketDataWriter
from exchange.messages import Side

from functions.market_data import api
from tests.fakes.market_data import RecordingFeed, ToyMarket


@pytest.fixture
def http(tables: Any, product: Product, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("INSTRUMENTS_TABLE", "instruments")
    monkeypatch.setenv("MARKET_DATA_TABLE", "market_data")
    monkeypatch.setenv("USAGE_TABLE", "usage")
    monkeypatch.setenv("PUBLIC_REQUESTS_PER_SECOND", "0")
    monkeypatch.setenv("ORIGIN_SECRET", "told-by-the-edge")
    InstrumentStore().save_asset(product.base)
    InstrumentStore().save_asset(product.quote)
    InstrumentStore().save_product(product)
    market = ToyMarket(now_ns=time.time_ns())
    for number in range(3):
        market.place(Side.SELL, 10_100 + number, 5)
        market.place(Side.BUY, 10_100 + number, 2)
        market.place(Side.BUY, 10_100 + number, 3)
    market.place(Side.BUY, 9_900, 1)
    fold = MarketFold(MarketDataWriter(connection()), RecordingFeed())
    fold.fold([StreamRecord("ACME-USD", data) for data in market.encoded()])
    api.questions.cache_clear()
    with Client(api.app) as client:
        yield client.http


def body(response: Any) -> Any:
    return json.loads(response.body)


def test_every_public_route_answers(http: Any) -> None:
    assert set(body(http.get("/time"))) == {"iso", "epoch"}
    assert [asset["id"] for asset in body(http.get("/currencies"))] == ["ACME", "USD"]
    assert body(http.get("/currencies/USD"))["name"] == "US dollar"
    assert [product["id"] for product in body(http.get("/products"))] == ["ACME-USD"]
    assert body(http.get("/products/ACME-USD"))["quote_increment"] == "0.01"
    assert body(http.get("/products/ACME-USD/ticker"))["volume"] == "0.015"
    assert body(http.get("/products/ACME-USD/book"))["bids"] == [["99", "0.001", 1]]


def test_candles_figures_and_events_answer(http: Any) -> None:
    (minute, *_), hour = body(http.get("/products/ACME-USD/candles")), body(http.get("/products/spark-lines"))
    assert [type(part) for part in minute] == [int, str, str, str, str, str]
    assert sum(float(row[5]) for row in body(http.get("/products/ACME-USD/candles?granularity=86400"))) == 0.015
    assert [len(row) for row in hour["ACME-USD"]] == [5] * len(hour["ACME-USD"])
    day = {"open": "101", "high": "101.02", "low": "101", "last": "101.02", "volume": "0.015"}
    assert body(http.get("/products/ACME-USD/stats")) == {**day, "volume_30day": "0.015"}
    assert body(http.get("/products/stats"))["ACME-USD"]["stats_24hour"] == day
    assert body(http.get("/products/volume-summary"))[0]["spot_volume_24hour"] == "0.015"
    events = http.get("/products/ACME-USD/events?from=2&limit=3")
    assert ([event["sequence"] for event in body(events)], events.headers["CB-AFTER"]) == ([2, 3, 4], "5")
    book = body(http.get("/products/ACME-USD/book?level=2"))
    last = body(http.get(f"/products/ACME-USD/events?from={book['sequence']}"))
    assert [event["type"] for event in last] == ["open"]


def test_trades_lead_on_by_their_cursors(http: Any) -> None:
    first = http.get("/products/ACME-USD/trades?limit=4")
    assert [trade["trade_id"] for trade in body(first)] == [6, 5, 4, 3]
    assert (first.headers["CB-BEFORE"], first.headers["CB-AFTER"]) == ("6", "3")
    second = http.get("/products/ACME-USD/trades?limit=4&after=3")
    assert [trade["trade_id"] for trade in body(second)] == [2, 1]
    newer = http.get("/products/ACME-USD/trades?before=6")
    assert (body(newer), newer.headers.get("CB-AFTER")) == ([], None)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/products/NO-SUCH", 400, "PRODUCT_NOT_FOUND"),
        ("/products/NO-SUCH/trades", 400, "PRODUCT_NOT_FOUND"),
        ("/currencies/NOPE", 404, "CURRENCY_NOT_FOUND"),
        ("/products/NO-SUCH/candles", 400, "PRODUCT_NOT_FOUND"),
        ("/products/NO-SUCH/stats", 400, "PRODUCT_NOT_FOUND"),
        ("/products/NO-SUCH/events?from=1", 400, "PRODUCT_NOT_FOUND"),
        ("/products/ACME-USD/events", 400, "REQUEST_FIELD_INVALID"),
        ("/products/ACME-USD/candles?granularity=59", 400, "REQUEST_FIELD_INVALID"),
        ("/products/ACME-USD/book?level=9", 400, "REQUEST_FIELD_INVALID"),
        ("/products/ACME-USD/trades?limit=0", 400, "REQUEST_FIELD_INVALID"),
        ("/products/ACME-USD/trades?after=-1", 400, "REQUEST_FIELD_INVALID"),
    ],
)
def test_what_is_wrong_is_refused_with_text_and_code(http: Any, path: str, status: int, code: str) -> None:
    response = http.get(path)
    assert (response.status_code, body(response)["code"]) == (status, code)
    assert body(response)["message"]
