"""Connections that come, ask, listen and vanish."""

import json
from typing import Any

import pytest
from exchange.feeds.sockets import Publisher, Sockets
from exchange.instruments.catalogue import Catalogue
from exchange.market_data.service import MarketFold, StreamRecord
from exchange.messages import Side

from tests.fakes.market_data import (
    Inboxes,
    Listing,
    MemoryConnections,
    MemoryMarkets,
    SteppingClock,
    ToyMarket,
    acme,
)


class House:
    """One exchange: a market, its stream function and its socket function."""

    def __init__(self) -> None:
        self.market, self.markets, self.clock = ToyMarket(), MemoryMarkets(), SteppingClock()
        self.connections, self.inboxes = MemoryConnections(), Inboxes()
        self.catalogue = Catalogue(Listing(acme()), self.clock)
        self.sockets = Sockets(self.connections, self.inboxes, self.catalogue, self.markets, self.clock)
        self.fold = self.new_worker()
        self._folded = 0

    def new_worker(self) -> MarketFold:
        return MarketFold(self.markets, Publisher(self.connections, self.inboxes, self.catalogue))

    def run(self) -> None:
        """Let the stream function catch up with the market."""
        encoded = self.market.encoded(1)
        self.fold.fold([StreamRecord("ACME-USD", data) for data in encoded[self._folded :]])
        self._folded = len(encoded)

    def ask(self, frame: dict[str, Any], connection_id: str = "ann") -> list[dict[str, Any]]:
        """Send a frame and take what came back."""
        self.sockets.receive(connection_id, json.dumps(frame))
        return self.inboxes.take(connection_id)

    def subscribe(self, *channels: Any, connection_id: str = "ann") -> list[dict[str, Any]]:
        return self.ask({"type": "subscribe", "product_ids": ["ACME-USD"], "channels": list(channels)}, connection_id)


@pytest.fixture
def house() -> House:
    house = House()
    house.sockets.connect("ann")
    house.market.place(Side.SELL, 10_100, 5)
    house.market.place(Side.BUY, 10_100, 2)
    house.run()
    return house


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    return [str(message["type"]) for message in messages]


def test_subscribing_tells_where_things_stand(house: House) -> None:
    messages = house.subscribe("ticker", "matches", "level2", "full")
    assert kinds(messages) == ["last_match", "ticker", "subscriptions", "snapshot"]
    assert messages[2]["channels"] == [
        {"name": name, "product_ids": ["ACME-USD"]} for name in ("full", "level2", "matches", "ticker")
    ]
    assert messages[3]["asks"] == [["101", "0.003"]]


def test_a_channel_may_be_an_object_with_its_own_products_and_a_slash_is_read(house: House) -> None:
    frame = {"type": "subscribe", "channels": [{"name": "ticker", "product_ids": ["ACME/USD"]}]}
    assert house.ask(frame)[-1]["channels"] == [{"name": "ticker", "product_ids": ["ACME-USD"]}]


def test_a_signed_public_subscription_is_taken(house: House) -> None:
    signed = {"signature": "x", "key": "y", "passphrase": "z", "timestamp": 1}
    frame = {"type": "subscribe", "product_ids": ["ACME-USD"], "channels": ["level2"], **signed}
    assert kinds(house.ask(frame)) == ["subscriptions", "snapshot"]


def test_a_batch_reaches_each_channel_in_its_shape(house: House) -> None:
    house.subscribe("ticker", "full", "level2")
    house.subscribe("matches", connection_id="bob")
    house.market.place(Side.BUY, 10_100, 1)
    house.run()
    assert kinds(house.inboxes.take("ann")) == ["received", "match", "done", "ticker", "snapshot"]
    assert kinds(house.inboxes.take("bob")) == ["match"]
    house.market.place(Side.BUY, 10_000, 1)
    house.run()
    messages = house.inboxes.take("ann")
    assert kinds(messages) == ["received", "open", "l2update"]
    assert messages[2]["changes"] == [["buy", "100", "0.001"]]
    assert house.inboxes.take("bob") == []


def test_full_has_no_gap_from_the_answer_on(house: House) -> None:
    house.subscribe("full")
    for price in (9_000, 9_100, 10_100):
        house.market.place(Side.BUY, price, 1)
        house.run()
    sequences = [message["sequence"] for message in house.inboxes.take("ann")]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
    assert sequences[0] == 6


def test_unsubscribing_ends_what_it_names(house: House) -> None:
    house.subscribe("ticker", "matches", "full")
    left = house.ask({"type": "unsubscribe", "product_ids": ["ACME-USD"], "channels": ["full"]})
    assert [channel["name"] for channel in left[0]["channels"]] == ["matches", "ticker"]
    left = house.ask({"type": "unsubscribe", "channels": ["ticker"]})
    assert [channel["name"] for channel in left[0]["channels"]] == ["matches"]
    assert house.ask({"type": "unsubscribe", "product_ids": ["ACME-USD"]})[0]["channels"] == []
    house.market.place(Side.BUY, 10_100, 1)
    house.run()
    assert house.inboxes.take("ann") == []


def test_subscribing_again_sends_a_fresh_snapshot_and_nothing_twice(house: House) -> None:
    house.subscribe("level2", "matches")
    assert kinds(house.subscribe("level2", "matches")) == ["last_match", "subscriptions", "snapshot"]
    house.market.place(Side.BUY, 10_100, 1)
    house.run()
    assert kinds(house.inboxes.take("ann")) == ["match", "snapshot"]


def test_a_connection_that_is_gone_is_forgotten(house: House) -> None:
    house.subscribe("full")
    house.subscribe("full", connection_id="bob")
    house.inboxes.gone.add("ann")
    house.market.place(Side.BUY, 9_000, 1)
    house.run()
    assert set(house.connections.rows) == {"bob"}
    assert kinds(house.inboxes.take("bob")) == ["received", "open"]


@pytest.mark.parametrize("loss", ["a push that failed", "a worker that was replaced"])
def test_whoever_may_have_missed_an_update_gets_a_snapshot(house: House, loss: str) -> None:
    house.subscribe("level2")
    house.market.place(Side.BUY, 9_000, 1)
    house.run()
    if loss == "a push that failed":
        house.inboxes.failing.add("ann")
        house.market.place(Side.BUY, 9_001, 1)
        house.run()
        house.inboxes.failing.clear()
    else:
        house.fold = house.new_worker()
    house.inboxes.take("ann")
    house.market.place(Side.BUY, 9_002, 1)
    house.run()
    house.market.place(Side.BUY, 9_003, 1)
    house.run()
    assert kinds(house.inboxes.take("ann")) == ["snapshot", "l2update"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "null",
        "[" * 30_000,
        '{"type":"subscribe"}',
        '{"type":"hello","channels":["full"],"product_ids":["ACME-USD"]}',
        '{"type":["subscribe"],"channels":["full"],"product_ids":["ACME-USD"]}',
        '{"type":"subscribe","channels":["full"]}',
        '{"type":"subscribe","channels":["full"],"product_ids":[]}',
        '{"type":"subscribe","channels":["full"],"product_ids":"ACME-USD"}',
        '{"type":"subscribe","channels":["full"],"product_ids":[1]}',
        '{"type":"subscribe","channels":["full"],"product_ids":["NO-SUCH"]}',
        '{"type":"subscribe","channels":["nothing"],"product_ids":["ACME-USD"]}',
        '{"type":"subscribe","channels":[["full"]],"product_ids":["ACME-USD"]}',
        '{"type":"subscribe","channels":[{"product_ids":["ACME-USD"]}]}',
        '{"type":"subscribe","channels":"full","product_ids":["ACME-USD"]}',
        '{"type":"subscribe","channels":["full"],"product_ids":["ACME-USD"],"depth":5}',
        '{"type":"unsubscribe"}',
    ],
)
def test_a_frame_not_understood_gets_an_error_and_changes_nothing(house: House, text: str) -> None:
    house.subscribe("ticker")
    before = {name: set(rows) for name, rows in house.connections.rows.items()}
    house.sockets.receive("ann", text)
    messages = house.inboxes.take("ann")
    assert kinds(messages) == ["error"]
    assert messages[0]["message"]
    assert messages[0]["reason"]
    assert house.connections.rows == before


def test_no_push_is_made_where_nobody_listens(house: House) -> None:
    house.market.place(Side.BUY, 9_000, 1)
    house.run()
    assert house.inboxes.messages == {}
