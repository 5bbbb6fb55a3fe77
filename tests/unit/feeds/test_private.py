"""What owners are told of their own orders and balances, and nobody else is."""

from dataclasses import replace
from typing import Any

import pytest
from exchange.feeds.balances import BalanceFeed, Moved, moved_from_stream
from exchange.feeds.model import Owner
from exchange.feeds.private import user_message
from exchange.instruments.model import Product
from exchange.kernel.ids import account_uuid, to_uuid
from exchange.ledger.model import Balance
from exchange.market_data.service import BatchError, MarketFold, StreamRecord
from exchange.messages import (
    CancelReason,
    ChangeReason,
    DoneReason,
    Event,
    EventType,
    Op,
    OrderType,
    RejectReason,
    Side,
    StopKind,
)
from exchange.orders.model import Order

from tests.fakes.market_data import RecordingFeed, ToyMarket
from tests.unit.feeds.house import SIGNED, House, kinds

ANN, BOB = 1, 2
OWNER = Owner(ANN, "user-ann", "ann")
MAKER, TAKER, STOP = 11, 12, 13


def order(order_id: int, account_id: int, side: Side = Side.BUY, client_oid: str = "mine") -> Order:
    return Order(
        order_id=order_id,
        account_id=account_id,
        product_id="ACME-USD",
        side=side,
        order_type=OrderType.LIMIT,
        created_at_ns=1,
        maker_ppm=4_000,
        taker_ppm=6_000,
        client_oid=client_oid,
        size_lots=7,
    )


def told(event: Event, product: Product, owner: Owner = OWNER) -> dict[str, Any]:
    orders = {one.order_id: one for one in (order(MAKER, BOB), order(TAKER, ANN), order(STOP, ANN))}
    message = user_message(event, owner, product, orders)
    head = {name: message.pop(name) for name in ("product_id", "sequence", "time", "user_id", "profile_id")}
    assert head["profile_id"] == to_uuid(owner.account_id)
    assert head["user_id"] == owner.user_id
    return message


def event(kind: EventType, **fields: Any) -> Event:
    return Event(kind, 9, 1_700_000_000_000_000_000, **({"order_id": TAKER, "account_id": ANN} | fields))


def test_an_iceberg_is_told_to_its_owner_in_full(product: Product) -> None:
    opened = event(EventType.OPEN, side=Side.BUY, price=10_000, size=5, remaining_size=50)
    assert told(opened, product) == {
        "type": "open",
        "order_id": to_uuid(TAKER),
        "side": "buy",
        "price": "100",
        "remaining_size": "0.05",
    }


def test_a_received_order_bears_its_client_id_and_a_size_or_funds(product: Product) -> None:
    received = event(EventType.RECEIVED, side=Side.BUY, order_type=OrderType.LIMIT, price=10_000, size=7)
    assert told(received, product) == {
        "type": "received",
        "order_id": to_uuid(TAKER),
        "side": "buy",
        "price": "100",
        "order_type": "limit",
        "size": "0.007",
        "client_oid": "mine",
    }
    by_funds = event(EventType.RECEIVED, side=Side.BUY, order_type=OrderType.MARKET, funds=10_000, by_funds=True)
    assert told(by_funds, product)["funds"] == "0.1"


def test_a_stop_order_that_waits_is_told_with_what_was_asked(product: Product) -> None:
    activated = event(EventType.ACTIVATE, order_id=STOP, stop=StopKind.ENTRY, stop_price=11_000)
    message = told(activated, product)
    assert (message["stop_type"], message["stop_price"], message["size"]) == ("entry", "110", "0.007")
    assert told(event(EventType.TRIGGERED, order_id=STOP), product) == {"type": "triggered", "order_id": to_uuid(STOP)}


@pytest.mark.parametrize(
    ("owner", "own", "other", "rate"),
    [(OWNER, "taker", "maker", "0.006"), (Owner(BOB, "user-bob", "bob"), "maker", "taker", "0.004")],
)
def test_a_match_bears_exactly_one_fee_rate(product: Product, owner: Owner, own: str, other: str, rate: str) -> None:
    match = event(
        EventType.MATCH,
        maker_order_id=MAKER,
        maker_account_id=BOB,
        trade_id=3,
        side=Side.SELL,
        price=10_000,
        size=2,
    )
    message = told(match, product, owner)
    assert message[f"{own}_fee_rate"] == rate
    assert message[f"{own}_profile_id"] == to_uuid(owner.account_id)
    assert not [name for name in message if name.startswith(other) and name != f"{other}_order_id"]
    assert (message["side"], message["price"], message["size"]) == ("sell", "100", "0.002")


def test_a_change_is_told_as_a_change_even_if_it_loses_its_place(product: Product) -> None:
    amended = event(
        EventType.CHANGE,
        side=Side.BUY,
        price=9_900,
        old_size=5,
        new_size=8,
        old_price=10_000,
        new_price=9_900,
        reason=ChangeReason.AMEND,
    )
    message = told(amended, product)
    assert (message["type"], message["old_size"], message["new_size"]) == ("change", "0.005", "0.008")
    assert (message["old_price"], message["new_price"], message["reason"]) == ("100", "99", "amend")


def test_an_end_and_a_refusal_name_their_reasons(product: Product) -> None:
    done = event(
        EventType.DONE,
        side=Side.BUY,
        price=10_000,
        remaining_size=5,
        done_reason=DoneReason.CANCELED,
        reason=CancelReason.EXPIRED,
    )
    message = told(done, product)
    assert (message["reason"], message["cancel_reason"], message["remaining_size"]) == ("canceled", "expired", "0.005")
    rejected = event(EventType.REJECTED, op=Op.PLACE, reason=RejectReason.POST_ONLY)
    assert told(rejected, product) == {
        "type": "rejected",
        "order_id": to_uuid(TAKER),
        "command": "place",
        "reason": "post_only",
    }


@pytest.fixture
def house() -> House:
    """Odd orders are Ann's, the others Bob's."""
    house = House()
    house.connect("ann", "bob", "eve")
    house.orders.by_id = {number: order(number, ToyMarket.owner(number)) for number in range(1, 9)}
    return house


def trade(house: House) -> None:
    house.market.place(Side.SELL, 10_000, 5)
    house.market.place(Side.BUY, 10_000, 2)
    house.run()


def test_owners_are_told_their_own_events_and_nobody_elses(house: House) -> None:
    house.subscribe("user", **SIGNED)
    house.subscribe("user", connection_id="bob", **SIGNED | {"key": "bob"})
    house.subscribe("level2", connection_id="eve", **SIGNED)
    house.inboxes.take("eve")
    trade(house)
    ann, bob = house.inboxes.take("ann"), house.inboxes.take("bob")
    assert kinds(ann) == ["received", "open", "match"]
    assert kinds(bob) == ["received", "match", "done"]
    assert ("maker_fee_rate" in ann[2], "taker_fee_rate" in bob[1]) == (True, True)
    assert [one["sequence"] for one in ann] == sorted(one["sequence"] for one in ann)
    assert kinds(house.inboxes.take("eve")) == ["snapshot"]


def test_subscribing_again_loses_no_event_meanwhile_and_tells_none_twice(house: House) -> None:
    channels = ("user", "full", "ticker", "balance")
    house.subscribe(*channels, **SIGNED)
    house.connections.moments.clear()
    house.subscribe(*channels, **SIGNED)
    assert house.connections.moments
    assert all(("ann", channel) in moment for channel in channels for moment in house.connections.moments)
    assert sorted(house.connections.moments[-1]) == sorted({("ann", name) for name in (*channels, "watch")})
    house.subscribe(*channels, connection_id="bob", **SIGNED)
    trade(house)
    heard = house.inboxes.take("ann")
    assert kinds(heard).count("match") == 2  # one on `full` and one on `user`
    assert heard == house.inboxes.take("bob")


def test_two_subscriptions_that_two_frames_at_once_have_made_are_told_once(house: House) -> None:
    house.subscribe("user", **SIGNED)
    (first,) = [one for one in house.connections.rows["ann"] if one.channel == "user"]
    house.connections.subscribe([replace(first, generation=f"{int(first.generation) + 1:019d}")])
    trade(house)
    assert kinds(house.inboxes.take("ann")) == ["received", "open", "match"]


def test_an_unsigned_frame_earns_nothing_private(house: House) -> None:
    (error,) = house.subscribe("user", "ticker")
    assert (error["message"], error["code"]) == ("Authentication Failed", "AUTH_MISSING")
    assert house.connections.rows["ann"] == set()


def test_who_could_not_be_told_in_full_is_ended(house: House) -> None:
    house.subscribe("user", **SIGNED)
    house.subscribe("user", connection_id="bob", **SIGNED | {"key": "bob"})
    house.orders.is_down = True
    trade(house)
    assert sorted(house.inboxes.disconnected) == ["ann", "bob"]


def test_who_did_not_take_a_private_message_is_ended(house: House) -> None:
    house.subscribe("user", **SIGNED)
    house.inboxes.failing.add("ann")
    trade(house)
    assert house.inboxes.disconnected == ["ann"]
    assert house.connections.find("ann") is None


def test_what_was_committed_while_nobody_could_say_who_listens_is_told_when_its_batch_comes_again(house: House) -> None:
    house.subscribe("user", **SIGNED)
    house.connections.is_down = True
    with pytest.raises(BatchError, match="ACME-USD: UnavailableError"):
        trade(house)
    assert house.markets.sequence("ACME-USD") == house.market.records()[-1].last_sequence
    assert house.inboxes.take("ann") == []
    with pytest.raises(BatchError):
        house.run()
    house.connections.is_down = False
    house.run()
    ann = house.inboxes.take("ann")
    assert kinds(ann) == ["received", "open", "match"]
    assert house.inboxes.disconnected == []
    again(house)
    assert house.inboxes.take("ann") == []


def test_what_a_worker_committed_that_fell_before_it_told_anybody_is_told_by_the_next(house: House) -> None:
    house.subscribe("user", "full", **SIGNED)
    house.subscribe("user", connection_id="bob", **SIGNED | {"key": "bob"})
    house.market.place(Side.SELL, 10_000, 5)
    MarketFold(house.markets, RecordingFeed()).fold(batch(house))
    trade(house)
    own = [one for one in house.inboxes.take("ann") if "user_id" in one]
    assert kinds(own) == ["received", "open", "received", "match", "done"]
    assert [one["sequence"] for one in own] == sorted(one["sequence"] for one in own)
    assert kinds(house.inboxes.take("bob"))[0] == "received"


def test_a_worker_repeats_nothing_that_it_told_and_another_repeats_it_under_the_same_sequence(house: House) -> None:
    house.subscribe("user", **SIGNED)
    trade(house)
    first = house.inboxes.take("ann")
    again(house)
    assert house.inboxes.take("ann") == []
    house.fold = house.new_worker()
    again(house)
    assert house.inboxes.take("ann") == first
    again(house)
    assert house.inboxes.take("ann") == []


def test_who_can_t_be_told_what_is_repeated_is_ended(house: House) -> None:
    house.subscribe("user", **SIGNED)
    house.subscribe("user", connection_id="bob", **SIGNED | {"key": "bob"})
    house.market.place(Side.SELL, 10_000, 5)
    MarketFold(house.markets, RecordingFeed()).fold(batch(house))
    house.inboxes.failing.add("ann")
    house.run()
    assert house.inboxes.disconnected == ["ann"]
    house.fold, house.orders.is_down = house.new_worker(), True
    trade(house)
    assert house.inboxes.disconnected == ["ann", "bob"]


def batch(house: House) -> list[StreamRecord]:
    return [StreamRecord("ACME-USD", data) for data in house.market.encoded(1)]


def again(house: House) -> None:
    """The stream brings everything once more."""
    house.fold.fold(batch(house))


def balance(asset: str, available: int, held: int = 0) -> Balance:
    return Balance(str(ANN), asset, available, held)


def test_balances_are_told_at_once_and_again_where_they_moved_meanwhile(house: House) -> None:
    house.balances.by_account[ANN] = [balance("ACME", 50_000), balance("USD", 1_000_000)]
    house.balances.moves = [balance("USD", 900_000, 100_000)]
    messages = house.ask({"type": "subscribe", "channels": ["balance"], **SIGNED})
    assert kinds(messages) == ["subscriptions", "balance", "balance", "balance"]
    assert [(one["currency"], one["available"], one["holds"]) for one in messages[1:]] == [
        ("ACME", "5", "0"),
        ("USD", "1", "0"),
        ("USD", "0.9", "0.1"),
    ]
    assert messages[1]["account_id"] == account_uuid(ANN, "ACME")


def test_the_last_state_of_a_batch_is_told_to_its_owner_alone(house: House) -> None:
    house.ask({"type": "subscribe", "channels": ["balance"], **SIGNED})
    house.ask({"type": "subscribe", "channels": ["balance"], **SIGNED | {"key": "bob"}}, "bob")
    feed = BalanceFeed(house.connections, house.inboxes, house.balances, house.catalogue, house.clock)
    house.balances.by_account[ANN] = [balance("USD", 6)]
    assert feed.publish([Moved(ANN, "USD", 1), Moved(ANN, "USD", 2)]) == 1
    assert [one["available"] for one in house.inboxes.take("ann")] == ["0.000006"]
    assert house.inboxes.take("bob") == []
    house.inboxes.failing.add("ann")
    assert feed.publish([Moved(ANN, "USD", 3)]) == 0
    assert house.inboxes.disconnected == ["ann"]


def test_the_tables_stream_is_read_and_the_houses_own_balances_are_left_out() -> None:
    def record(account: str) -> dict[str, Any]:
        image = {"account": {"S": account}, "asset": {"S": "#ACME-USD"}, "USD:available": {"N": "5"}}
        return {"dynamodb": {"NewImage": image, "ApproximateCreationDateTime": 1_700_000_000}}

    removed: dict[str, Any] = {
        "dynamodb": {"Keys": {"account": {"S": "1"}}, "ApproximateCreationDateTime": 1_700_000_000}
    }
    assert moved_from_stream([record("1"), record("house:fees:ACME-USD"), removed]) == [
        Moved(ANN, "USD", 1_700_000_000_000_000_000)
    ]


@pytest.mark.parametrize("kind", sorted(set(EventType) - {EventType.PHASE, EventType.AUCTION}))
def test_every_event_of_an_order_has_a_message(product: Product, kind: EventType) -> None:
    said = event(
        kind, side=Side.BUY, order_type=OrderType.LIMIT, reason=1, done_reason=1, op=Op.PLACE, stop=StopKind.LOSS
    )
    assert told(said, product)["type"] == kind.name.lower()
