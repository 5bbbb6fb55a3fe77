"""What one event costs to tell to many: `python -m bench.fan_out`.

The publisher and the gateway are the ones that run in Lambda, boto3's HTTP requests included. In the place of API
Gateway's management API stands a server on this machine that counts posts and answers each after POST_SECONDS; in the
place of the connections table stands memory, and its query is reckoned from the size of its keys. Posts are counted,
not reckoned; milliseconds are this machine's, whose server shares its processors with what is measured.
"""

import argparse
import asyncio
import multiprocessing
import os
import resource
import time
import urllib.request
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.synchronize import Event as Stop

from aiohttp import web
from exchange.feeds.gateway import ManagementApi
from exchange.feeds.model import Subscription
from exchange.feeds.publishing import Publisher
from exchange.instruments.catalogue import Catalogue
from exchange.market_data.service import MarketFold, StreamRecord
from exchange.messages import Side

from bench import machine
from tests.fakes.feeds import MemoryConnections, MemoryOrders
from tests.fakes.market_data import Listing, MemoryMarkets, SteppingClock, ToyMarket, acme

POST_SECONDS = 0.008
FUNCTION_GB = 1.0
PUSH_SECONDS_MAX = 600.0  # All are told, so that all is measured; the function itself stops sooner.
KEY_BYTES = 110  # A subscription's two keys and the index's overhead an item.
# Dollars at list price in us-east-1: a WebSocket message of at most 32 KB, a GB second of Lambda, a read unit.
MESSAGE_DOLLARS = 1.00 / 1_000_000
GB_SECOND_DOLLARS = 0.0000166667
READ_UNIT_DOLLARS = 0.125 / 1_000_000


@dataclass(frozen=True, slots=True)
class Told:
    """What telling one event to `subscribers` took."""

    channel: str
    subscribers: int
    posts: int
    seconds: float
    processor_seconds: float

    @property
    def dollars(self) -> float:
        """Posts, the function while it posts, and the query for who listens."""
        read_units = self.subscribers * KEY_BYTES / 4096 / 2
        return (
            self.posts * MESSAGE_DOLLARS
            + self.seconds * FUNCTION_GB * GB_SECOND_DOLLARS
            + read_units * READ_UNIT_DOLLARS
        )


def serve(port_to: Pipe, stop: Stop) -> None:
    """Count posts on a free port until told to stop."""
    asyncio.run(_serve(port_to, stop))


async def _serve(port_to: Pipe, stop: Stop) -> None:
    posts = 0

    async def post(request: web.Request) -> web.Response:
        nonlocal posts
        await request.read()
        posts += 1
        await asyncio.sleep(POST_SECONDS)
        return web.Response()

    async def counted(_request: web.Request) -> web.Response:
        return web.Response(text=str(posts))

    app = web.Application()
    app.router.add_post("/@connections/{connection_id}", post)
    app.router.add_get("/counted", counted)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port_to.send(runner.addresses[0][1])
    while not stop.is_set():
        await asyncio.sleep(0.1)
    await runner.cleanup()


def tell(endpoint: str, channel: str, subscribers: int) -> Told:
    """Tell one trade to so many subscribers of a channel."""
    clock, connections, markets, market = SteppingClock(), MemoryConnections(), MemoryMarkets(), ToyMarket()
    gateway = ManagementApi.at(endpoint, seconds_max=PUSH_SECONDS_MAX)
    fold = MarketFold(markets, Publisher(connections, gateway, Catalogue(Listing(acme()), clock), MemoryOrders()))
    market.place(Side.SELL, 10_100, 5)
    fold.fold([StreamRecord("ACME-USD", data) for data in market.encoded(1)])
    for number in range(subscribers):
        name = f"connection-{number:06d}="
        connections.open(name, "203.0.113.9", clock.now_ns())
        connections.subscribe([Subscription(name, "ACME-USD", channel, f"{number:019d}")])
    market.place(Side.BUY, 10_100, 2)
    before, used, started = counted(endpoint), _processor_seconds(), time.perf_counter()
    fold.fold([StreamRecord("ACME-USD", data) for data in market.encoded(1)[1:]])
    seconds, used_after = time.perf_counter() - started, _processor_seconds()
    return Told(channel, subscribers, counted(endpoint) - before, seconds, used_after - used)


def counted(endpoint: str) -> int:
    """How many posts the server has taken."""

    with urllib.request.urlopen(f"{endpoint}/counted") as answer:
        return int(answer.read())


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="bench.fan_out", description=__doc__)
    parser.add_argument("--subscribers", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--channels", nargs="+", default=["ticker", "full"])
    options = parser.parse_args()
    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    ours, theirs = multiprocessing.Pipe()
    stop = multiprocessing.Event()
    server = multiprocessing.Process(target=serve, args=(theirs, stop))
    server.start()
    try:
        endpoint = f"http://127.0.0.1:{ours.recv()}"
        tell(endpoint, "ticker", 50)  # The first requests make the connections.
        print(machine.describe())
        print("| channel | subscribers | posts | ms | processor ms | dollars |\n|---|--:|--:|--:|--:|--:|")
        for channel in options.channels:
            for subscribers in options.subscribers:
                told = tell(endpoint, channel, subscribers)
                print(
                    f"| {channel} | {subscribers:,} | {told.posts:,} | {told.seconds * 1000:,.0f} "
                    f"| {told.processor_seconds * 1000:,.0f} | {told.dollars:.5f} |",
                    flush=True,
                )
    finally:
        stop.set()
        server.join(5)


if __name__ == "__main__":
    main()
