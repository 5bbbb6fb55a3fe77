"""A plain WebSocket client on the laptop cloud: every channel, private ones signed, and what is refused."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import requests
from websockets.asyncio.client import ClientConnection, connect

from tests.integration.conftest import RunningLaptop

pytestmark = pytest.mark.cloud
PRODUCT = "BTC-USD"
SECONDS_MAX = 90
Message = dict[str, Any]


class Client:
    """A connection and everything that came over it."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.seen: list[Message] = []

    async def send(self, frame: Message) -> None:
        """Send a frame."""
        await self._connection.send(json.dumps(frame))

    async def subscribe(self, *channels: Any, **more: Any) -> None:
        """Subscribe to channels of the product."""
        await self.send({"type": "subscribe", "product_ids": [PRODUCT], "channels": list(channels), **more})

    async def until(self, is_it: Callable[[Message], bool]) -> Message:
        """Read until such a message comes."""
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                message: Message = json.loads(await self._connection.recv())
                self.seen.append(message)
                if is_it(message):
                    return message

    async def until_type(self, kind: str) -> Message:
        """Read until a message of this type comes."""
        return await self.until(lambda message: message["type"] == kind)


@asynccontextmanager
async def client_of(laptop: RunningLaptop) -> AsyncIterator[Client]:
    """A connection to the laptop cloud, with the empty `?` that ccxt leaves behind its URL."""
    async with connect(laptop.stack["websocket_url"] + "?", max_size=None) as connection:
        yield Client(connection)


def signed(user: dict[str, str], text: str = "GET/users/self/verify") -> dict[str, str]:
    """The fields of a signed frame."""
    timestamp = f"{time.time():.3f}"
    return {
        "key": user["api_key"],
        "passphrase": user["passphrase"],
        "timestamp": timestamp,
        "signature": _digest(user, timestamp + text),
    }


def _digest(user: dict[str, str], text: str) -> str:
    secret = base64.b64decode(user["secret"])
    return base64.b64encode(hmac.digest(secret, text.encode(), hashlib.sha256)).decode()


def call(laptop: RunningLaptop, user: dict[str, str], method: str, path: str, body: Message | None = None) -> Any:
    """A signed REST call."""
    text, timestamp = json.dumps(body) if body else "", str(int(time.time()))
    headers = {
        "CB-ACCESS-KEY": user["api_key"],
        "CB-ACCESS-PASSPHRASE": user["passphrase"],
        "CB-ACCESS-TIMESTAMP": timestamp,
        "CB-ACCESS-SIGN": _digest(user, f"{timestamp}{method}{path}{text}"),
        "Content-Type": "application/json",
    }
    answer = requests.request(method, laptop.stack["rest_url"] + path, data=text, headers=headers, timeout=30)
    answer.raise_for_status()
    return answer.json()


def limit(side: str, price: str, size: str) -> Message:
    """A limit order of the product."""
    return {"type": "limit", "side": side, "product_id": PRODUCT, "price": price, "size": size}


def test_heartbeats_come_every_second_and_status_at_once(laptop: RunningLaptop) -> None:
    async def follow() -> None:
        async with client_of(laptop) as client:
            await client.subscribe("heartbeat", "status")
            status = await client.until_type("status")
            assert PRODUCT in {product["id"] for product in status["products"]}
            assert "USD" in {currency["id"] for currency in status["currencies"]}
            await client.until(lambda _: sum(one["type"] == "heartbeat" for one in client.seen) == 5)
            beats = [one for one in client.seen if one["type"] == "heartbeat"]
            assert {beat["product_id"] for beat in beats} == {PRODUCT}
            assert [beat["time"] for beat in beats] == sorted(beat["time"] for beat in beats)

    asyncio.run(follow())


def test_one_trade_is_told_on_every_channel_in_its_shape(laptop: RunningLaptop) -> None:
    maker, taker = laptop.user("alice"), laptop.user("bob")

    async def follow() -> None:
        async with client_of(laptop) as public, client_of(laptop) as own:
            await own.send(
                {"type": "subscribe", "product_ids": [PRODUCT], "channels": ["user", "balance"], **signed(maker)}
            )
            await own.until_type("balance")
            await public.subscribe("full", "matches", "ticker", "level2", "candles")
            await public.until_type("snapshot")
            order = await asyncio.to_thread(call, laptop, maker, "POST", "/orders", limit("sell", "50001", "1"))
            await public.until(lambda one: one.get("order_id") == order["id"] and one["type"] == "open")
            await asyncio.to_thread(call, laptop, taker, "POST", "/orders", limit("buy", "50001", "0.4"))
            match = await public.until_type("match")
            await public.until_type("candle")
            await asyncio.to_thread(call, laptop, maker, "DELETE", f"/orders/{order['id']}")
            await public.until(lambda one: one.get("order_id") == order["id"] and one["type"] == "done")
            done = await own.until(lambda one: one.get("order_id") == order["id"] and one["type"] == "done")
            assert (match["maker_order_id"], match["size"], match["price"]) == (order["id"], "0.4", "50001")
            assert (done["reason"], done["cancel_reason"], done["remaining_size"]) == ("canceled", "user", "0.6")
            check_private(own.seen, public.seen, order["id"])

    asyncio.run(follow())


def check_private(own: list[Message], public: list[Message], order_id: str) -> None:
    """The owner's messages are of the owner alone and rise; the public ones name no account."""
    told = [one for one in own if "sequence" in one]
    assert [one["sequence"] for one in told] == sorted(one["sequence"] for one in told)
    match = next(one for one in told if one["type"] == "match")
    assert "maker_fee_rate" in match
    assert "taker_fee_rate" not in match
    assert {one["order_id"] for one in told if "order_id" in one} == {order_id}
    assert not [one for one in public if {"user_id", "profile_id", "maker_fee_rate", "taker_fee_rate"} & one.keys()]
    full = [one["sequence"] for one in public if one["type"] in {"received", "open", "match", "done", "change"}]
    assert full == list(range(full[0], full[0] + len(full)))


def test_who_follows_level2_holds_the_book_that_rest_shows(
    laptop: RunningLaptop, eventually: Callable[[Callable[[], Any]], Any]
) -> None:
    user = laptop.user("alice")

    async def follow() -> None:
        async with client_of(laptop) as client:
            await client.subscribe("level2")
            await client.until_type("snapshot")
            ids = [
                (await asyncio.to_thread(call, laptop, user, "POST", "/orders", limit("buy", f"4000{n}", "0.5")))["id"]
                for n in range(1, 6)
            ]
            await asyncio.to_thread(call, laptop, user, "DELETE", f"/orders/{ids[2]}")
            rest = await asyncio.to_thread(eventually, lambda: settled_book(laptop, ids))
            if not client.seen or client.seen[-1]["sequence"] < rest["sequence"]:
                await client.until(lambda one: one.get("sequence", 0) >= rest["sequence"])
            book = followed(client.seen)
            assert {price: size for (side, price), size in book.items() if side == "buy"} == {
                price: size for price, size, _ in rest["bids"]
            }
            assert client.seen[-1]["checksum"] == rest["checksum"] == checksum(book)
            for order_id in (ids[0], ids[1], ids[3], ids[4]):
                await asyncio.to_thread(call, laptop, user, "DELETE", f"/orders/{order_id}")

    asyncio.run(follow())


def settled_book(laptop: RunningLaptop, ids: list[str]) -> Message | None:
    """The REST book, once it shows exactly the orders that were left."""
    full = requests.get(f"{laptop.stack['rest_url']}/products/{PRODUCT}/book?level=3", timeout=30).json()
    shown = {order_id for _, _, order_id in full["bids"]}
    if set(ids) - shown != {ids[2]}:
        return None
    book: Message = requests.get(f"{laptop.stack['rest_url']}/products/{PRODUCT}/book?level=2", timeout=30).json()
    return book


def followed(messages: list[Message]) -> dict[tuple[str, str], str]:
    """The book that a client holds after these messages."""
    book: dict[tuple[str, str], str] = {}
    for message in messages:
        if message["type"] == "snapshot":
            sides = (("buy", message["bids"]), ("sell", message["asks"]))
            book = {(side, price): size for side, rows in sides for price, size in rows}
        for side, price, size in message.get("changes", []):
            book[side, price] = size
            if size == "0":
                del book[side, price]
    return book


def checksum(book: dict[tuple[str, str], str]) -> int:
    """The book's checksum, computed as docs/api/asyncapi.yaml tells clients to."""
    bids, asks = (
        sorted(((price, size) for (side, price), size in book.items() if side == own), key=lambda row: float(row[0]))
        for own in ("buy", "sell")
    )
    rows = []
    for depth in range(10):
        rows += [f"{price}:{size}" for price, size in bids[::-1][depth : depth + 1] + asks[depth : depth + 1]]
    return zlib.crc32(":".join(rows).encode())


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("hello", "FEED_FRAME_INVALID"),
        ("[1,2]", "FEED_FRAME_INVALID"),
        ('{"type":"subscribe","product_ids":["NO-PE"],"channels":["ticker"]}', "PRODUCT_NOT_FOUND"),
        ('{"type":"subscribe","product_ids":["BTC-USD"],"channels":["rumours"]}', "FEED_CHANNEL_UNKNOWN"),
        ('{"type":"subscribe","product_ids":["BTC-USD"],"channels":["user"]}', "AUTH_MISSING"),
        ('{"type":"subscribe","product_ids":["BTC-USD"],"channels":["user"],"jwt":"a.b.c"}', "AUTH_INVALID"),
    ],
)
def test_what_is_not_understood_or_not_allowed_gets_an_error(laptop: RunningLaptop, frame: str, code: str) -> None:
    async def ask() -> None:
        async with connect(laptop.stack["websocket_url"]) as connection:
            await connection.send(frame)
            answer = json.loads(await asyncio.wait_for(connection.recv(), SECONDS_MAX))
            assert (answer["type"], answer["code"]) == ("error", code)

    asyncio.run(ask())


def test_a_token_of_a_login_earns_private_channels_and_a_signature_of_something_else_none(
    laptop: RunningLaptop,
) -> None:
    user = laptop.user("alice")
    login = {"email": user["email"], "password": user["password"]}
    session = requests.post(f"{laptop.stack['rest_url']}/v1/sessions", json=login, timeout=30).json()

    async def ask() -> None:
        async with client_of(laptop) as client:
            await client.subscribe("user", jwt=session["access_token"])
            told = await client.until_type("subscriptions")
            assert told["channels"] == [{"name": "user", "product_ids": [PRODUCT]}]
            await client.subscribe("user", **signed(user, "GET/orders"))
            error = await client.until_type("error")
            assert (error["message"], error["code"]) == ("Authentication Failed", "AUTH_INVALID")

    asyncio.run(ask())


def test_who_sends_too_many_frames_is_ended(laptop: RunningLaptop) -> None:
    async def flood() -> None:
        async with connect(laptop.stack["websocket_url"]) as connection:
            for _ in range(120):
                await connection.send("{}")
            async with asyncio.timeout(SECONDS_MAX):
                async for text in connection:
                    if json.loads(text)["code"] == "RATE_LIMITED":
                        return
            pytest.fail("the connection ended without a word")

    asyncio.run(flood())
