"""Stock ccxt.pro, only its URLs overridden, follows the market and its own orders over the WebSocket.

Its known faults, which no server can mend, are not asked for: `watch_trades_for_symbols`, `watch_orders_for_symbols`
and `watch_my_trades_for_symbols` never resolve, since they wait for other names than the messages bear; `watch_orders`
adds a trade's fee twice, so fees are read from `watch_my_trades`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from tests.integration.conftest import RunningLaptop

ccxtpro = pytest.importorskip("ccxt.pro")
pytestmark = pytest.mark.cloud

SYMBOL = "GOOG/USD"
SECONDS_MAX = 90
Found = TypeVar("Found")


@pytest.fixture(scope="module")
def customers(newcomer: Callable[[str], dict[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    return newcomer("pro-maker"), newcomer("pro-taker")


@asynccontextmanager
async def following(urls: dict[str, str], *users: dict[str, str] | None) -> AsyncIterator[list[Any]]:
    """Clients of these customers, None being nobody's."""
    clients = []
    for user in users:
        credentials = (
            {"apiKey": user["api_key"], "secret": user["secret"], "password": user["passphrase"]} if user else {}
        )
        clients.append(ccxtpro.coinbaseexchange({**credentials, "urls": {"api": urls}}))
    try:
        for client in clients:
            await client.load_markets()
        yield clients
    finally:
        for client in clients:
            await client.close()


class Listeners:
    """Who listens to the product, as the exchange itself has it: a client does not say when it is subscribed."""

    def __init__(self, laptop: RunningLaptop) -> None:
        self._table = laptop.stack["tables"]["connections"]
        self._pages = laptop.client("dynamodb").get_paginator("scan")
        self._known = self._now()

    def _now(self) -> set[str]:
        rows = [row for page in self._pages.paginate(TableName=self._table) for row in page["Items"]]
        return {row["connection_id"]["S"] for row in rows}

    async def come(self, *channels: str) -> None:
        """Wait until this many new subscriptions to these channels are there, each of another connection or channel."""
        missing = sorted(channels)
        async with asyncio.timeout(SECONDS_MAX):
            while missing:
                names = {tuple(key.split("#")[:3]) for key in self._now() - self._known if key.count("#") >= 3}
                there = Counter(channel for _, product, channel in names if product == SYMBOL.replace("/", "-"))
                missing = sorted((Counter(channels) - there).elements())
                await asyncio.sleep(0.05)


@pytest.fixture
def listeners(laptop: RunningLaptop) -> Listeners:
    return Listeners(laptop)


async def watched(watch: Callable[[], Awaitable[Any]], is_it: Callable[[Any], Found | None]) -> Found:
    """Watch until it is seen; what `is_it` returns then."""
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            found = is_it(await watch())
            if found:
                return found


def test_the_book_is_followed_from_its_snapshot(urls: dict[str, str], customers: Any) -> None:
    async def follow() -> None:
        async with following(urls, *customers) as (maker, other):
            order = await maker.create_order(SYMBOL, "limit", "buy", 7, 550.25)
            book = await watched(
                lambda: other.watch_order_book(SYMBOL), lambda book: book if [550.25, 7] in book["bids"] else None
            )
            assert book["symbol"] == SYMBOL
            await maker.cancel_order(order["id"], SYMBOL)
            assert await watched(
                lambda: other.watch_order_book(SYMBOL),
                lambda book: all(price != 550.25 for price, _ in book["bids"]),
            )

    asyncio.run(follow())


def test_trades_and_tickers_say_what_was_traded_and_which_way(
    urls: dict[str, str], customers: Any, listeners: Listeners
) -> None:
    async def follow() -> None:
        async with following(urls, *customers, None) as (maker, taker, public):
            await maker.create_order(SYMBOL, "limit", "sell", 3, 580.5)
            tasks = [
                asyncio.create_task(
                    watched(
                        lambda: public.watch_trades(SYMBOL),
                        lambda trades: [trade for trade in trades if (trade["price"], trade["amount"]) == (580.5, 3)],
                    )
                ),
                asyncio.create_task(
                    watched(lambda: public.watch_ticker(SYMBOL), lambda seen: seen if seen["last"] == 580.5 else None)
                ),
            ]
            await listeners.come("matches", "ticker")
            await taker.create_order(SYMBOL, "limit", "buy", 3, 580.5)
            trades, ticker = await asyncio.gather(*tasks)
            assert trades[-1]["symbol"] == SYMBOL
            assert ticker["symbol"] == SYMBOL

    asyncio.run(follow())


def test_several_tickers_and_books_are_followed_at_once(
    urls: dict[str, str], customers: Any, listeners: Listeners
) -> None:
    async def follow() -> None:
        async with following(urls, *customers, None) as (maker, taker, public):
            book = asyncio.create_task(
                watched(
                    lambda: taker.watch_order_book_for_symbols([SYMBOL]),
                    lambda book: book if [590.5, 5] in book["asks"] else None,
                )
            )
            await maker.create_order(SYMBOL, "limit", "sell", 5, 590.5)
            assert (await book)["symbol"] == SYMBOL
            ticker = asyncio.create_task(
                watched(
                    lambda: public.watch_tickers([SYMBOL]),
                    lambda seen: seen[SYMBOL] if seen.get(SYMBOL, {}).get("last") == 590.5 else None,
                )
            )
            await listeners.come("ticker")
            await taker.create_order(SYMBOL, "limit", "buy", 5, 590.5)
            assert (await ticker)["last"] == (await public.fetch_ticker(SYMBOL))["last"] == 590.5

    asyncio.run(follow())


def test_own_orders_and_trades_are_followed_with_their_fees(
    urls: dict[str, str], customers: Any, listeners: Listeners
) -> None:
    async def follow() -> None:
        async with following(urls, *customers) as (maker, taker):
            fees = await taker.private_get_fees()
            watching = [
                asyncio.create_task(own_trade(client, side)) for client, side in ((maker, "sell"), (taker, "buy"))
            ]
            ending = asyncio.create_task(
                watched(
                    lambda: taker.watch_orders(SYMBOL),
                    lambda orders: [one for one in orders if one["status"] == "closed"],
                )
            )
            await listeners.come("user", "user")
            await maker.create_order(SYMBOL, "limit", "sell", 2, 600)
            order = await taker.create_order(SYMBOL, "limit", "buy", 2, 600)
            made, taken = await asyncio.gather(*watching)
            assert (made["takerOrMaker"], taken["takerOrMaker"]) == ("maker", "taker")
            assert made["id"] == taken["id"]
            assert taken["order"] == order["id"]
            assert made["fee"]["rate"] == float(fees["maker_fee_rate"])
            assert taken["fee"]["rate"] == float(fees["taker_fee_rate"])
            assert taken["fee"]["cost"] == pytest.approx(1200 * float(fees["taker_fee_rate"]))
            (closed,) = await ending
            assert (closed["id"], closed["side"], closed["price"], closed["remaining"]) == (
                order["id"],
                "buy",
                600,
                0,
            )

    asyncio.run(follow())


async def own_trade(client: Any, side: str) -> dict[str, Any]:
    """The client's own trade at 600."""
    found: list[dict[str, Any]] = await watched(
        lambda: client.watch_my_trades(SYMBOL),
        lambda trades: [trade for trade in trades if (trade["price"], trade["side"]) == (600, side)],
    )
    return found[-1]


def test_a_wrong_secret_is_an_authentication_error(urls: dict[str, str], customers: Any) -> None:
    async def follow() -> None:
        forged = {**customers[0], "secret": "c2VjcmV0"}
        async with following(urls, forged) as (client,):
            with pytest.raises(ccxtpro.AuthenticationError):
                await asyncio.wait_for(client.watch_orders(SYMBOL), SECONDS_MAX)

    asyncio.run(follow())
