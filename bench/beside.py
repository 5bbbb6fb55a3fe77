"""What a deposit and a message to a listener ask of AWS, counted as orders are (bench/costs.py)."""

import asyncio
import json

from websockets.asyncio.client import ClientConnection, connect

from bench.costs import QUIET_SECONDS, Counter, Phase
from bench.laptop import Bench, running
from bench.load import PRICE, PRODUCT_ID, SIZE, LoadError
from infra.demo.client import Accepted, HttpTransport, Trader

DEPOSITS = 20
TRADES = 20
LISTENERS = 20
PAUSE_SECONDS = 0.1
DEPOSIT_SECONDS_MAX = 60
HEARD_SECONDS_MAX = 30


def count_apart() -> list[Phase]:
    """Count on a laptop cloud of its own, ended afterwards: a deposit, a message."""
    with running(customers=2, counting=True) as bench:
        return asyncio.run(count(bench))


async def count(bench: Bench) -> list[Phase]:
    """A deposit from its request until it is credited; then what one listener more adds to a trade."""
    counter = Counter(bench)
    async with HttpTransport(bench.stack["rest_url"], connections=2) as transport:
        maker, taker = (Trader(user, transport) for user in bench.customers[:2])
        await _deposit(taker, "warm", 2)
        await _place(maker, "beside-maker", "sell", str(3 * TRADES))
        await _trade(taker, "warm", 2)
        await asyncio.sleep(QUIET_SECONDS)
        await counter.idle()
        deposit = await counter.phase("a deposit", DEPOSITS, lambda: _deposit(taker, "counted", DEPOSITS))
        unheard = await counter.phase("a trade", TRADES, lambda: _trade(taker, "unheard", TRADES))
        listeners = [await _listener(bench) for _ in range(LISTENERS)]
        await asyncio.sleep(QUIET_SECONDS)
        heard = await counter.phase("a trade", TRADES, lambda: _trade(taker, "heard", TRADES))
        await asyncio.gather(*(_hear(listener, TRADES) for listener in listeners))
        await maker.call("DELETE", "/orders")
    return [deposit, Phase("a message", _share(heard, unheard, LISTENERS))]


def _share(with_listeners: Phase, without: Phase, listeners: int) -> dict[str, float]:
    """What one listener adds; less than a hundredth is how uneven two runs are."""
    added = {
        name: (amount - without.counts.get(name, 0.0)) / listeners for name, amount in with_listeners.counts.items()
    }
    return {name: share for name, share in added.items() if share >= 0.01}


async def _deposit(trader: Trader, run: str, count: int) -> None:
    """One after the other, each waited for."""
    method = next(row["id"] for row in await trader.get("/payment-methods") if row["currency"] == "USD")
    for number in range(count):
        body = {"amount": "1", "currency": "USD", "payment_method_id": method}
        made = await trader.call("POST", "/deposits/payment-method", body | {"client_transfer_id": f"{run}-{number}"})
        await asyncio.wait_for(_credited(trader, made["id"]), DEPOSIT_SECONDS_MAX)


async def _credited(trader: Trader, transfer_id: str) -> None:
    while not (await trader.get(f"/transfers/{transfer_id}")).get("completed_at"):
        await asyncio.sleep(1)


async def _trade(trader: Trader, run: str, count: int) -> None:
    for number in range(count):
        await _place(trader, f"{run}-{number}", "buy", SIZE)
        await asyncio.sleep(PAUSE_SECONDS)


async def _place(trader: Trader, name: str, side: str, size: str) -> None:
    fields = {"product_id": PRODUCT_ID, "side": side, "type": "limit", "price": PRICE, "size": size}
    outcome = await trader.place(name, fields)
    if not isinstance(outcome, Accepted):
        raise LoadError(f"{trader.name}: {outcome}")


async def _listener(bench: Bench) -> ClientConnection:
    # Without a bound, or a socket that nobody reads from yet is not read at all.
    socket = await connect(bench.stack["websocket_url"], max_queue=None)
    await socket.send(json.dumps({"type": "subscribe", "product_ids": [PRODUCT_ID], "channels": ["matches"]}))
    return socket


async def _hear(socket: ClientConnection, matches: int) -> None:
    """Read until so many trades were heard."""
    try:
        async with asyncio.timeout(HEARD_SECONDS_MAX):
            while matches:
                matches -= json.loads(await socket.recv())["type"] == "match"
    except TimeoutError:
        raise LoadError(f"a listener missed {matches} of {TRADES} trades") from None
    await socket.close()
