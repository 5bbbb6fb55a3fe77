"""The functions of the WebSocket, from AWS's events to the tables."""

from typing import Any

import pytest
from exchange.feeds.store import ConnectionStore
from exchange.instruments.model import Product
from exchange.instruments.store import InstrumentStore

from functions.feeds import schedule, stream, websocket

CONNECTION = "L0SM9cOFvHcCIhw="


@pytest.fixture(autouse=True)
def _environment(tables: Any, product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    for table in ("instruments", "market_data", "connections", "balances", "api_keys", "users", "usage"):
        monkeypatch.setenv(f"{table.upper()}_TABLE", table)
    for name in ("SECRETS_KEY_ID", "USER_POOL_CLIENT_ID", "PULSE_FUNCTION"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("USER_POOL_ID", "us-east-1_x")
    monkeypatch.setenv("CONNECTIONS_PER_ADDRESS", "1")
    monkeypatch.setenv("WEBSOCKET_ENDPOINT", "https://sockets.example")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    InstrumentStore().save_asset(product.base)
    InstrumentStore().save_asset(product.quote)
    InstrumentStore().save_product(product)
    monkeypatch.setenv("ORIGIN_SECRET", "edge")
    for made in (websocket.settings, schedule.parts, stream.feed, websocket.sockets):
        made.cache_clear()


def socket(event_type: str, connection_id: str = CONNECTION, **headers: str) -> dict[str, Any]:
    identity = {"sourceIp": "203.0.113.9"}
    context = {"connectionId": connection_id, "eventType": event_type, "identity": identity}
    return {"requestContext": context, "headers": {name.replace("_", "-"): value for name, value in headers.items()}}


def test_a_connection_comes_and_goes_and_one_too_many_is_refused() -> None:
    assert websocket.handler(socket("CONNECT"), None) == {"statusCode": 200}
    found = ConnectionStore().find(CONNECTION)
    assert found is not None
    assert (found.source_address, found.subscriptions) == ("203.0.113.9", ())
    assert websocket.handler(socket("CONNECT", "another="), None) == {"statusCode": 429}
    assert websocket.handler(socket("DISCONNECT"), None) == {"statusCode": 200}
    assert ConnectionStore().find(CONNECTION) is None
    assert websocket.handler(socket("CONNECT", "another="), None) == {"statusCode": 200}


def test_the_edges_word_for_the_viewers_address_counts_with_its_secret_only() -> None:
    websocket.handler(socket("CONNECT", "a=", x_viewer_address="198.51.100.1", x_origin_secret="edge"), None)
    websocket.handler(socket("CONNECT", "b=", x_viewer_address="198.51.100.2", x_origin_secret="guess"), None)
    found = [ConnectionStore().find(name) for name in ("a=", "b=")]
    assert [one.source_address for one in found if one] == ["198.51.100.1", "203.0.113.9"]


def test_the_pulse_ends_where_nobody_listens() -> None:
    assert schedule.handler({}, None) == {"ended": 0, "beats": 0}


def test_balances_that_nobody_listens_to_are_told_to_nobody() -> None:
    image = {"account": {"S": "1"}, "asset": {"S": "USD"}, "available": {"N": "5"}}
    record = {"dynamodb": {"NewImage": image, "ApproximateCreationDateTime": 1_700_000_000}}
    assert stream.handler({"Records": [record]}, None) == {"told": 0}
