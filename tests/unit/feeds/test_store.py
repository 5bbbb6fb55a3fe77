"""The connections table and its fake answer alike; the management API tells gone from failed."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from exchange.feeds.gateway import ManagementApi
from exchange.feeds.model import Connection, Owner, Pace, Subscription
from exchange.feeds.store import CONNECTION_SECONDS_MAX, ConnectionStore

from tests.fakes.feeds import MemoryConnections
from tests.fakes.market_data import EPOCH_NS

AnyConnections = MemoryConnections | ConnectionStore


@pytest.fixture(params=["memory", "dynamodb"])
def connections(request: pytest.FixtureRequest, tables: Any) -> AnyConnections:
    return MemoryConnections() if request.param == "memory" else ConnectionStore()


def one(channel: str, connection_id: str = "ann=", generation: str = "1") -> Subscription:
    return Subscription(connection_id, "ACME-USD", channel, generation)


def found(connections: AnyConnections) -> Connection:
    connection = connections.find("ann=")
    assert connection is not None
    return connection


def held(connections: AnyConnections) -> tuple[Subscription, ...]:
    connection = found(connections)
    assert connection.source_address == "203.0.113.9"
    return connection.subscriptions


def test_subscriptions_are_found_by_connection_and_by_product(connections: AnyConnections) -> None:
    connections.open("ann=", "203.0.113.9", EPOCH_NS)
    connections.open("bob=", "203.0.113.9", EPOCH_NS)
    connections.subscribe([one("full"), one("ticker")])
    connections.subscribe([one("full", "bob="), Subscription("bob=", "BTC-USD", "full", "2")])
    assert set(held(connections)) == {one("full"), one("ticker")}
    assert set(connections.listeners("ACME-USD")) == {one("full"), one("ticker"), one("full", "bob=")}
    assert connections.listeners("ETH-USD") == []


def test_what_is_ended_is_no_longer_found(connections: AnyConnections) -> None:
    connections.open("ann=", "203.0.113.9", EPOCH_NS)
    connections.subscribe([one("full"), one("ticker")])
    connections.unsubscribe([one("full")])
    connections.unsubscribe([])
    assert held(connections) == (one("ticker"),)
    assert connections.listeners("ACME-USD") == [one("ticker")]


def test_a_closed_connection_leaves_nothing_and_closing_again_is_harmless(connections: AnyConnections) -> None:
    connections.open("ann=", "203.0.113.9", EPOCH_NS)
    connections.subscribe([one("full"), one("full", generation="2")])
    connections.close("ann=")
    connections.close("ann=")
    assert connections.find("ann=") is None
    assert connections.listeners("ACME-USD") == []


def test_topics_are_products_accounts_the_pulse_and_the_watch(connections: AnyConnections) -> None:
    owner = Owner(7, "user-ann", "key", 5)
    connections.open("ann=", "203.0.113.9", EPOCH_NS)
    user = Subscription("ann=", "ACME-USD", "user", "1", owner)
    balance = Subscription("ann=", "", "balance", "1", owner)
    heartbeat, watch = one("heartbeat"), Subscription("ann=", "", "watch", "1", owner)
    connections.subscribe([user, balance, heartbeat, watch])
    assert connections.listeners("ACME-USD") == [user]
    assert connections.listeners("@account:7") == [balance]
    assert connections.listeners("@pulse") == [heartbeat]
    assert connections.listeners("@watch") == [watch]


def test_connections_of_an_address_are_counted_while_they_last(connections: AnyConnections) -> None:
    for name in ("ann=", "bob=", "eve="):
        connections.open(name, "203.0.113.9", EPOCH_NS)
    connections.open("dan=", "203.0.113.10", EPOCH_NS)
    assert connections.count_from("203.0.113.9", EPOCH_NS, 2) == 2
    connections.close("ann=")
    assert connections.count_from("203.0.113.9", EPOCH_NS, 9) == 2
    assert connections.count_from("203.0.113.11", EPOCH_NS, 9) == 0


def test_connections_that_ended_unseen_count_no_more_once_their_time_is_over(connections: AnyConnections) -> None:
    for name in ("ann=", "bob=", "eve="):
        connections.open(name, "203.0.113.9", EPOCH_NS)
    connections.open("dan=", "203.0.113.9", EPOCH_NS + 1_000_000_000)
    over_ns = EPOCH_NS + CONNECTION_SECONDS_MAX * 1_000_000_000
    assert connections.count_from("203.0.113.9", over_ns - 1_000_000_000, 4) == 4
    assert connections.count_from("203.0.113.9", over_ns, 4) == 1
    assert connections.count_from("203.0.113.9", over_ns + 1_000_000_000, 4) < 4


def test_where_an_address_is_full_what_is_over_is_forgotten_with_its_subscriptions(tables: Any) -> None:
    store = ConnectionStore()
    store.open("ann=", "203.0.113.9", EPOCH_NS)
    store.open("bob=", "203.0.113.9", EPOCH_NS + 1_000_000_000)
    store.subscribe([one("full"), one("full", "bob=")])
    assert store.count_from("203.0.113.9", EPOCH_NS + CONNECTION_SECONDS_MAX * 1_000_000_000, 2) == 1
    assert store.find("ann=") is None
    assert store.listeners("ACME-USD") == [one("full", "bob=")]


@pytest.mark.parametrize("frames_before", [0, 1, 4])
def test_of_frames_read_together_each_is_counted_and_the_one_too_many_is_told(
    connections: AnyConnections, frames_before: int
) -> None:
    pace = Pace(frame_ns=100, burst=7)
    connections.open("ann=", "203.0.113.9", EPOCH_NS)
    for _ in range(frames_before):
        assert connections.pace(found(connections), EPOCH_NS, pace)
    read_by_all = found(connections)
    answers = [connections.pace(read_by_all, EPOCH_NS, pace) for _ in range(8 - frames_before)]
    assert answers == [True] * (7 - frames_before) + [False]


def test_a_pace_is_earned_again_frame_by_frame_and_no_more_than_a_burst(connections: AnyConnections) -> None:
    pace = Pace(frame_ns=100, burst=2)
    connections.open("ann=", "203.0.113.9", EPOCH_NS)
    times_ns = [0, 0, 99, 100, 199, 200, 5_000, 5_000, 5_000]
    answers = [connections.pace(found(connections), EPOCH_NS + time_ns, pace) for time_ns in times_ns]
    assert answers == [True, True, False, True, False, True, True, True, False]


def test_frames_of_many_workers_at_once_are_let_in_up_to_the_burst_and_not_beyond(tables: Any) -> None:
    store, pace = ConnectionStore(), Pace(frame_ns=100, burst=20)
    store.open("ann=", "203.0.113.9", EPOCH_NS)

    def frame(_: int) -> bool:
        return store.pace(found(store), EPOCH_NS, pace)

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(frame, range(20))) == [True] * 20
        assert list(pool.map(frame, range(3))) == [False] * 3


def test_no_frame_is_counted_on_a_connection_that_has_ended(connections: AnyConnections) -> None:
    connections.open("ann=", "203.0.113.9", EPOCH_NS)
    before = found(connections)
    connections.close("ann=")
    assert not connections.pace(before, EPOCH_NS, Pace(frame_ns=100, burst=2))
    assert connections.find("ann=") is None


def test_subscribing_on_a_connection_that_has_ended_leaves_nothing(connections: AnyConnections) -> None:
    connections.open("ann=", "203.0.113.9", EPOCH_NS)
    connections.close("ann=")
    connections.subscribe([one("full")])
    assert connections.find("ann=") is None
    assert connections.listeners("ACME-USD") == []


def test_the_pulse_that_began_last_goes_on(connections: AnyConnections) -> None:
    assert connections.pulse() == ("", 0)
    connections.start_pulse("first", EPOCH_NS)
    connections.start_pulse("second", EPOCH_NS + 1_000_000_000)
    connections.stop_pulse("first")
    assert connections.pulse() == ("second", EPOCH_NS + 1_000_000_000)
    connections.stop_pulse("second")
    connections.stop_pulse("second")
    assert connections.pulse() == ("", 0)


def test_a_push_that_takes_too_long_leaves_the_rest_for_later_and_begins_elsewhere_next() -> None:
    client = SlowClient()
    api = ManagementApi(client, monotonic=client.now)
    names = [f"c{number}" for number in range(40)]
    pushed = api.push({name: ["1"] for name in names})
    assert set(client.posted) | pushed.failed == set(names)
    assert 0 < len(pushed.failed) < 40
    assert not pushed.gone


class SlowClient:
    """Takes a second for every post."""

    def __init__(self) -> None:
        self.posted: list[str] = []

    def now(self) -> float:
        return float(len(self.posted))

    def post_to_connection(self, *, ConnectionId: str, Data: bytes) -> None:  # noqa: N803 - boto3's names
        assert Data == b"1"
        self.posted.append(ConnectionId)


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
