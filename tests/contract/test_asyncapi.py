"""docs/api/asyncapi.yaml says what the code does: every channel, every message, and no more."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from exchange.feeds.frames import parse_frame
from exchange.feeds.model import CHANNELS, GRANULARITIES, Owner
from exchange.feeds.pulse import Pulse
from exchange.ledger.model import Balance
from exchange.messages import Event, EventType, Op, Phase, RejectReason, Side
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tests.unit.feeds.house import SIGNED, House
from tests.unit.feeds.test_private import order, told

DOCUMENT: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[2] / "docs" / "api" / "asyncapi.yaml").read_text(encoding="utf-8")
)
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]
FRAMES = {"subscribe", "unsubscribe"}


@pytest.fixture(scope="module")
def said() -> list[dict[str, Any]]:
    """One of everything that a client can be told."""
    house = House()
    house.connect("ann", "bob")
    house.orders.by_id = {number: order(number, 1 if number % 2 else 2) for number in range(1, 20)}
    house.balances.by_account[1] = [Balance("1", "USD", 1_000_000, 0)]
    return [*trading(house), *asking(house), *beating(house), *private_alone(house)]


def trading(house: House) -> list[dict[str, Any]]:
    """A life of orders, to one who listens to everything."""
    said = house.subscribe("full", "matches", "ticker", "level2", "candles", "auctionfeed", "user", **SIGNED)
    market = house.market
    market.place(Side.SELL, 10_100, 5)
    house.run()
    market.place(Side.BUY, 10_100, 2)
    market.reduce(market.resting[0], 1)
    market.trigger(market.place_stop(), Side.BUY, 9_000, 1)
    market.cancel(market.place_stop())
    market.cancel(99)
    market.enter(Phase.AUCTION)
    house.run()
    return said + house.inboxes.take("ann")


def asking(house: House) -> list[dict[str, Any]]:
    """What subscribing and asking nonsense says."""
    said = house.subscribe("matches", "ticker", "candles", "auctionfeed")
    said += house.ask({"type": "subscribe", "channels": ["status", "balance"], **SIGNED})
    said += house.subscribe("heartbeat", "ticker_batch") + house.ask({"type": "nonsense"})
    return said + house.subscribe("user") + house.ask({"type": "unsubscribe", "channels": ["full"]})


def beating(house: House) -> list[dict[str, Any]]:
    """What the clock tells."""
    pulse = Pulse(
        listeners=house.connections,
        pusher=house.inboxes,
        catalogue=house.catalogue,
        tickers=house.markets,
        clock=house.clock,
        sleep=lambda _: house.connections.close("ann"),
    )
    assert pulse.run("one") == 1
    return house.inboxes.take("ann")


def private_alone(house: House) -> list[dict[str, Any]]:
    """What the toy market's events don't lead to."""
    product = house.catalogue.product("ACME-USD")
    assert product is not None
    rejected = Event(EventType.REJECTED, 9, 1, order_id=1, account_id=1, op=Op.PLACE, reason=RejectReason.POST_ONLY)
    head = {"product_id": "ACME-USD", "sequence": 9, "time": "2026-01-31T12:00:00.000000Z"}
    return [head | told(rejected, product, Owner(1, "user-ann", "ann"))]


def validator(name: str) -> Draft202012Validator:
    registry: Registry[Any] = Registry().with_resource("urn:asyncapi", DRAFT202012.create_resource(DOCUMENT))
    schema = {"$ref": f"urn:asyncapi#/components/messages/{name}/payload"}
    return Draft202012Validator(schema, registry=registry)


def test_every_message_is_described_and_every_description_is_said(said: list[dict[str, Any]]) -> None:
    assert {message["type"] for message in said} == MESSAGES.keys() - FRAMES


def test_every_message_is_as_described(said: list[dict[str, Any]]) -> None:
    for message in said:
        errors = [error.message for error in validator(message["type"]).iter_errors(message)]
        assert errors == [], message


def test_channels_and_granularities_are_the_codes() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert tuple(schemas["channel"]["enum"]) == CHANNELS
    assert tuple(schemas["granularity"]["enum"]) == GRANULARITIES


def test_the_socket_carries_every_message_once() -> None:
    listed = DOCUMENT["channels"]["socket"]["messages"]
    assert {name: {"$ref": f"#/components/messages/{name}"} for name in MESSAGES} == listed


def test_frames_of_the_document_are_understood_and_described() -> None:

    for name in FRAMES:
        for example in MESSAGES[name]["examples"]:
            assert not list(validator(name).iter_errors(example["payload"]))
            assert parse_frame(json.dumps(example["payload"])).is_subscribe == (name == "subscribe")
