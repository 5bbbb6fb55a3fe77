"""Connections that come, ask, listen and vanish."""

import json

import pytest
from exchange.feeds.sockets import FRAMES_BURST_MAX
from exchange.messages import Phase, Side

from tests.unit.feeds.house import ADDRESS, SIGNED, House, kinds


@pytest.fixture
def house() -> House:
    house = House()
    house.connect("ann", "bob")
    house.market.place(Side.SELL, 10_100, 5)
    house.market.place(Side.BUY, 10_100, 2)
    house.run()
    return house


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
    assert kinds(house.subscribe("level2", **SIGNED)) == ["subscriptions", "snapshot"]
    assert house.keys.requests[0].path_with_query == "/users/self/verify"
    assert house.keys.requests[0].headers["cb-access-timestamp"] == "1"
    assert house.keys.requests[0].source_address == ADDRESS


def test_a_bad_signature_is_refused_even_where_none_is_needed(house: House) -> None:
    answer = house.subscribe("level2", **SIGNED | {"signature": "bad"})
    assert [(one["type"], one["message"], one["code"]) for one in answer] == [
        ("error", "Authentication Failed", "AUTH_INVALID")
    ]
    assert house.connections.rows["ann"] == set()


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
        '{"type":"subscribe","channels":["status"],"product_ids":[""]}',
        '{"type":"subscribe","channels":[{"name":"status","product_ids":["ACME-USD"]}]}',
        '{"type":"subscribe","channels":[{"name":"ticker","product_ids":["ACME-USD"],"depth":1}]}',
        '{"type":"subscribe","channels":[{"name":"candles","product_ids":["ACME-USD"],"granularity":61}]}',
        '{"type":"subscribe","channels":[{"name":"candles","product_ids":["ACME-USD"],"granularity":[60]}]}',
        '{"type":"subscribe","channels":["full"],"product_ids":["ACME-USD"],"key":{"a":1}}',
        '{"type":"subscribe","channels":["full"],"product_ids":["ACME-USD"],"jwt":"a","key":"b"}',
        '{"type":"subscribe","channels":["candles_60"],"product_ids":["ACME-USD"]}',
        '{"type":"subscribe","channels":["watch"],"product_ids":["ACME-USD"]}',
        json.dumps({"type": "subscribe", "channels": ["full"], "product_ids": ["ACME-USD"] * 4_000}),
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
    assert messages[0]["code"]
    assert house.connections.rows == before


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"unsubscribe","type":"subscribe","channels":["full"],"product_ids":["ACME-USD"]}',
        '{"type":"subscribe","channels":[{"name":"full","name":"ticker","product_ids":["ACME-USD"]}]}',
    ],
)
def test_a_field_that_is_given_twice_is_refused_as_in_a_body(house: House, text: str) -> None:
    house.sockets.receive("ann", text)
    (message,) = house.inboxes.take("ann")
    assert (message["type"], message["code"]) == ("error", "FEED_FRAME_INVALID")
    assert message["reason"] == "a frame is one JSON object: a field is given twice"
    assert not house.connections.rows["ann"]


def test_no_push_is_made_where_nobody_listens(house: House) -> None:
    house.market.place(Side.BUY, 9_000, 1)
    house.run()
    assert house.inboxes.messages == {}


def test_what_the_clock_tells_wakes_the_pulse_and_says_at_once_where_things_stand(house: House) -> None:
    messages = house.ask(
        {"type": "subscribe", "channels": ["status", "heartbeat", "ticker_batch"], "product_ids": ["ACME-USD"]}
    )
    assert kinds(messages) == ["heartbeat", "status", "ticker", "subscriptions"]
    assert (messages[0]["sequence"], messages[0]["last_trade_id"]) == (5, 1)
    assert [product["id"] for product in messages[1]["products"]] == ["ACME-USD"]
    assert {"name": "status", "product_ids": []} in messages[3]["channels"]
    assert house.pulse.woken == 1
    house.subscribe("ticker")
    assert house.pulse.woken == 1


def test_candles_come_with_every_trade_in_the_granularity_asked_for(house: House) -> None:
    messages = house.subscribe("candles", {"name": "candles", "product_ids": ["ACME-USD"], "granularity": 3600})
    assert kinds(messages) == ["candle", "candle", "subscriptions"]
    assert {message["granularity"] for message in messages[:2]} == {60, 3600}
    house.market.place(Side.BUY, 10_100, 1)
    house.run()
    told = house.inboxes.take("ann")
    assert [(one["granularity"], one["candle"][1:]) for one in told] == [
        (seconds, ["101", "101", "101", "101", "0.003"]) for seconds in (3600, 60)
    ]
    house.market.place(Side.BUY, 9_000, 1)
    house.run()
    assert house.inboxes.take("ann") == []
    left = house.ask({"type": "unsubscribe", "channels": [{"name": "candles", "granularity": 60}]})
    assert left[0]["channels"] == [{"name": "candles", "granularity": 3600, "product_ids": ["ACME-USD"]}]
    assert house.ask({"type": "unsubscribe", "channels": ["candles"]})[0]["channels"] == []


def test_an_auction_is_told_while_it_lasts(house: House) -> None:
    assert kinds(house.subscribe("auctionfeed")) == ["subscriptions"]
    house.market.enter(Phase.AUCTION)
    house.run()
    (message,) = house.inboxes.take("ann")
    assert (message["type"], message["auction_state"], message["can_open"]) == ("auction", "collection", "no")
    assert message["best_ask_price"] == "101"
    assert kinds(house.subscribe("auctionfeed")) == ["auction", "subscriptions"]
    house.market.enter(Phase.CONTINUOUS)
    house.run()
    assert house.inboxes.take("ann") == []


def test_a_book_and_its_updates_bear_a_checksum(house: House) -> None:
    snapshot = house.subscribe("level2")[-1]
    house.market.place(Side.BUY, 9_000, 1)
    house.run()
    (first,) = house.inboxes.take("ann")
    assert first["type"] == "snapshot"  # The worker meets this follower for the first time.
    house.market.place(Side.BUY, 9_001, 1)
    house.run()
    (update,) = house.inboxes.take("ann")
    assert len({snapshot["checksum"], first["checksum"], update["checksum"]}) == 3


def test_who_sends_too_many_frames_is_told_and_ended() -> None:
    house = House()
    house.connect("ann")
    for _ in range(FRAMES_BURST_MAX):
        assert kinds(house.subscribe("full")) == ["subscriptions"]
    (error,) = house.subscribe("full")
    assert error["code"] == "RATE_LIMITED"
    assert house.inboxes.disconnected == ["ann"]
    assert house.connections.find("ann") is None


def test_an_address_has_only_so_many_connections() -> None:
    house = House(connections_per_address_max=2)
    house.connect("ann", "bob")
    assert not house.sockets.connect("eve", ADDRESS)
    assert house.sockets.connect("eve", "203.0.113.10")
    house.sockets.disconnect("ann")
    assert house.sockets.connect("ann", ADDRESS)


def test_who_misses_batch_after_batch_is_ended(house: House) -> None:
    house.subscribe("matches")
    house.inboxes.failing.add("ann")
    for _ in range(3):
        assert house.inboxes.disconnected == []
        house.market.place(Side.BUY, 10_100, 1)
        house.run()
    assert house.inboxes.disconnected == ["ann"]
    assert house.connections.find("ann") is None
