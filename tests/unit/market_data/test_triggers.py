"""The stream and socket functions, from AWS's events to the tables."""

import base64
from typing import Any

import pytest
from exchange.instruments.model import Product
from exchange.instruments.store import InstrumentStore
from exchange.market_data.service import BatchError
from exchange.market_data.store import MarketDataStore
from exchange.messages import Side

from functions.market_data import stream
from tests.fakes.market_data import ToyMarket


@pytest.fixture(autouse=True)
def _environment(tables: Any, product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    for table in ("instruments", "market_data", "checkpoints", "connections", "orders"):
        monkeypatch.setenv(f"{table.upper()}_TABLE", table)
    monkeypatch.setenv("WEBSOCKET_ENDPOINT", "https://sockets.example")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    InstrumentStore().save_asset(product.base)
    InstrumentStore().save_asset(product.quote)
    InstrumentStore().save_product(product)
    stream.fold.cache_clear()


def kinesis(*datas: bytes) -> dict[str, Any]:
    return {
        "Records": [
            {"kinesis": {"partitionKey": "ACME-USD", "data": base64.b64encode(data).decode()}} for data in datas
        ]
    }


def test_a_batch_of_the_stream_ends_in_the_tables() -> None:
    market = ToyMarket()
    market.place(Side.SELL, 10_100, 5)
    market.place(Side.BUY, 10_100, 2)
    assert stream.handler(kinesis(*market.encoded(1)), None) == {"batchItemFailures": []}
    assert MarketDataStore().top_of_book("ACME-USD") == (0, 10_100, 10_100)


def test_a_gap_fails_the_invocation() -> None:
    market = ToyMarket()
    market.place(Side.SELL, 10_100, 5)
    market.place(Side.BUY, 10_100, 2)
    with pytest.raises(BatchError, match="SequenceGapError"):
        stream.handler(kinesis(market.encoded(1)[1]), None)
    assert MarketDataStore().state("ACME-USD") is None
