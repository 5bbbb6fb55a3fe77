"""The charts' routes over their tables, through Chalice: refusals in the words of the library and in ours."""

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

from functions.charts import api
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
    market.place(Side.SELL, 10_100, 5)
    market.place(Side.BUY, 10_100, 2)
    fold = MarketFold(MarketDataWriter(connection()), RecordingFeed())
    fold.fold([StreamRecord("ACME-USD", data) for data in market.encoded()])
    api.charts.cache_clear()
    with Client(api.app) as client:
        yield client.http


def asked(http: Any, path: str) -> tuple[int, Any]:
    answer = http.get(path)
    return answer.status_code, json.loads(answer.body)


def test_every_route_answers(http: Any) -> None:
    assert asked(http, "/udf/config")[1]["supports_search"] is True
    status, now = asked(http, "/udf/time")
    assert (status, type(now)) == (200, int)
    assert asked(http, "/udf/symbols?symbol=ACME-USD")[1]["name"] == "ACME-USD"
    assert [hit["symbol"] for hit in asked(http, "/udf/search?query=acme&type=&exchange=&limit=30")[1]] == ["ACME-USD"]
    status, bars = asked(http, "/udf/history?symbol=ACME-USD&resolution=1D&from=0&to=9999999999&countback=5")
    assert (status, bars["s"], bars["c"], bars["v"]) == (200, "ok", ["101"], ["0.002"])


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/udf/symbols?symbol=NOPE", "PRODUCT_NOT_FOUND"),
        ("/udf/symbols", "PRODUCT_NOT_FOUND"),
        ("/udf/history?symbol=NOPE&resolution=1&countback=1", "PRODUCT_NOT_FOUND"),
        ("/udf/history?symbol=ACME-USD&resolution=7&countback=1", "REQUEST_FIELD_INVALID"),
        ("/udf/search?limit=0", "REQUEST_FIELD_INVALID"),
    ],
)
def test_a_refusal_is_told_twice(http: Any, path: str, code: str) -> None:
    status, told = asked(http, path)
    assert (status, told["s"], told["code"]) == (400, "error", code)
    assert told["errmsg"] == told["message"]
    assert "request_id" in told
