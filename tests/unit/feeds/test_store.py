"""The connections table and its fake answer alike; the management API tells gone from failed."""

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from exchange.feeds.model import Subscription
from exchange.feeds.sockets import Connections
from exchange.feeds.store import ConnectionStore, ManagementApi

from tests.fakes.market_data import EPOCH_NS, MemoryConnections


@pytest.fixture(params=["memory", "dynamodb"])
def connections(request: pytest.FixtureRequest, tables: Any) -> Connections:
    return MemoryConnections() if request.param == "memory" else ConnectionStore()


def one(channel: str, connection_id: str = "ann=", generation: str = "1") -> Subscription:
    return Subscription(connection_id, "ACME-USD", channel, generation)


def test_subscriptions_are_found_by_connection_and_by_product(connections: Connections) -> None:
    connections.open("ann=", EPOCH_NS)
    connections.open("bob=", EPOCH_NS)
    connections.subscribe([one("full"), one("ticker")])
    connections.subscribe([one("full", "bob="), Subscription("bob=", "BTC-USD", "full", "2")])
    assert set(connections.subscriptions("ann=")) == {one("full"), one("ticker")}
    assert set(connections.listeners("ACME-USD")) == {one("full"), one("ticker"), one("full", "bob=")}
    assert connections.listeners("ETH-USD") == []


def test_what_is_ended_is_no_longer_found(connections: Connections) -> None:
    connections.open("ann=", EPOCH_NS)
    connections.subscribe([one("full"), one("ticker")])
    connections.unsubscribe([one("full")])
    connections.unsubscribe([])
    assert connections.subscriptions("ann=") == [one("ticker")]
    assert connections.listeners("ACME-USD") == [one("ticker")]


def test_a_closed_connection_leaves_nothing_and_closing_again_is_harmless(connections: Connections) -> None:
    connections.open("ann=", EPOCH_NS)
    connections.subscribe([one("full"), one("full", generation="2")])
    connections.close("ann=")
    connections.close("ann=")
    assert connections.subscriptions("ann=") == []
    assert connections.listeners("ACME-USD") == []


@pytest.mark.parametrize(("code", "gone", "failed"), [("GoneException", 1, 0), ("LimitExceededException", 0, 1)])
def test_the_first_message_that_fails_ends_a_connections_and_no_others(code: str, gone: int, failed: int) -> None:
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
    client = boto3.client("apigatewaymanagementapi", endpoint_url="https://x", region_name="us-east-1", **keys)
    with Stubber(client) as stub:
        stub.add_response("post_to_connection", {}, {"ConnectionId": "ann", "Data": b"1"})
        stub.add_client_error("post_to_connection", code)
        pushed = ManagementApi(client).push({"ann": ["1", "2", "3"]})
        stub.assert_no_pending_responses()
    assert (len(pushed.gone), len(pushed.failed)) == (gone, failed)
