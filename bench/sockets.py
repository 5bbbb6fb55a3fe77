"""From a trade to its message: one who trades over REST, and one who listens on the WebSocket."""

import asyncio
import datetime as dt
import json
import time
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect

from bench.laptop import Bench
from bench.load import PRICE, PRODUCT_ID, SIZE, LoadError
from infra.demo.client import Accepted, HttpTransport, Trader

MESSAGE_SECONDS_MAX = 30
Heard = asyncio.Queue[tuple[str, float, float]]


@dataclass(slots=True)
class Delays:
    """Seconds of each trade: from its time in the engine's log, and from the sending of the order, to the message."""

    from_trade: list[float] = field(default_factory=list)
    from_order: list[float] = field(default_factory=list)


async def delays(bench: Bench, trades: int) -> Delays:
    """Trade so often, one after the other; a listener to `matches` takes the time of each message."""
    transport = HttpTransport(bench.stack["rest_url"], connections=2)
    measured, heard = Delays(), Heard()
    async with transport, connect(bench.stack["websocket_url"]) as socket:
        await socket.send(json.dumps({"type": "subscribe", "product_ids": [PRODUCT_ID], "channels": ["matches"]}))
        listener = asyncio.create_task(_listen(socket, heard))  # it hears a trade before its order is answered
        maker, taker = (Trader(user, transport) for user in bench.customers[:2])
        await _place(maker, "sockets-maker", "sell", str(trades))
        for number in range(trades):
            sent = time.time()
            order_id = await _place(taker, f"sockets-{number}", "buy", SIZE)
            traded, arrived = await asyncio.wait_for(_match_of(heard, order_id), MESSAGE_SECONDS_MAX)
            measured.from_order.append(arrived - sent)
            measured.from_trade.append(arrived - traded)
        listener.cancel()
        await maker.call("DELETE", "/orders")
    return measured


async def _listen(socket: ClientConnection, heard: Heard) -> None:
    async for text in socket:
        arrived = time.time()
        message = json.loads(text)
        if message["type"] == "match":
            traded = dt.datetime.fromisoformat(message["time"]).timestamp()
            await heard.put((str(message["taker_order_id"]), traded, arrived))


async def _match_of(heard: Heard, order_id: str) -> tuple[float, float]:
    """When it traded and when that was heard, both on this machine's clock."""
    while True:
        taker, traded, arrived = await heard.get()
        if taker == order_id:
            return traded, arrived


async def _place(trader: Trader, name: str, side: str, size: str) -> str:
    fields = {"product_id": PRODUCT_ID, "side": side, "type": "limit", "price": PRICE, "size": size}
    outcome = await trader.place(name, fields)
    if not isinstance(outcome, Accepted):
        raise LoadError(f"{trader.name}: {outcome}")
    return outcome.order_id
