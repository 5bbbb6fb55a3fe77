"""A replay sends in the day's order and compares what traded here with what traded there."""

import asyncio
import json
from typing import Any

from infra.demo.client import Trader
from infra.demo.lobster import Best, Kind, Row
from infra.demo.nasdaq import Role, Take
from infra.demo.replay import Replay, compare, kinds, outline, time_of_day
from tests.unit.demo.fake_exchange import FakeExchange, user
from tests.unit.demo.test_client import no_pause
from tests.unit.demo.test_nasdaq import BID, OPENING, row

SECOND = 10**9
DAY: list[Row] = [
    OPENING,
    row(Kind.NEW, order_id=7, at=2 * SECOND, bid=Best(BID.price, 50)),
    row(Kind.EXECUTED, order_id=1, at=6 * SECOND, bid=Best(BID.price, 40)),
    row(Kind.DELETED, order_id=7, at=8 * SECOND, bid=Best(BID.price, 30)),
]
TAKE = Take(34_200 * SECOND, 4, False, 5_000_000, 30, ((4_999_900, 10), (5_000_000, 20)))


def sent(exchange: FakeExchange, speed: float = 0) -> tuple[Replay, list[float], list[tuple[int, int]]]:
    waits: list[float] = []
    heard: list[tuple[int, int]] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    traders = {role: Trader(user(role.name.lower()), exchange, sleep=no_pause) for role in Role}
    replay = Replay(traders, "r", speed, clock=lambda: 100.0, sleep=sleep)
    asyncio.run(replay.send(DAY, lambda rows, now_ns: heard.append((rows, now_ns))))
    return replay, waits, heard


def test_every_step_is_sent_by_its_role_in_order() -> None:
    exchange = FakeExchange()
    replay, _, heard = sent(exchange)
    orders = [json.loads(body) | {"by": headers["CB-ACCESS-KEY"]} for _, _, headers, body in exchange.requests if body]
    assert [(order["by"], order["side"], order["price"], order["size"]) for order in orders] == [
        ("key-anonymous", "buy", "500", "40"),
        ("key-anonymous", "sell", "501", "50"),
        ("key-named", "buy", "500", "10"),
        ("key-taker", "sell", "500", "10"),
    ]
    assert [order.get("time_in_force") for order in orders] == [None, None, None, "IOC"]
    assert exchange.requests[-1][:2] == ("DELETE", "/orders/client:r-3")
    assert heard == [(1, 0), (1, 2 * SECOND), (1, 6 * SECOND), (1, 8 * SECOND)]
    assert (replay.tally.sent, replay.tally.cancels, len(replay.takes)) == (4, 1, 1)


def test_the_speed_is_kept() -> None:
    assert sent(FakeExchange(), speed=0)[1] == []
    assert sent(FakeExchange(), speed=1)[1] == [0, 2, 6, 8]
    assert sent(FakeExchange(), speed=4)[1] == [0, 0.5, 1.5, 2]


def a_fill(price: str, size: str, order_id: str = "mine") -> dict[str, Any]:
    return {"order_id": order_id, "price": price, "size": size}


def test_the_same_prices_and_sizes_are_the_same_run_however_they_were_cut() -> None:
    fills = [a_fill("499.99", "4"), a_fill("499.99", "6"), a_fill("500", "20"), a_fill("500", "1", "another's")]
    found = compare({"mine": TAKE}, fills)
    assert (found.runs, found.shares, found.differing) == (1, 30, ())


def test_another_price_or_a_missing_fill_is_told_with_its_time() -> None:
    (told,) = compare({"mine": TAKE}, [a_fill("499.99", "30")]).differing
    assert told == "at 09:30:00: 30 at 499.99 here, 10 at 499.99 + 20 at 500 there"
    (told,) = compare({"mine": TAKE}, []).differing
    assert "nothing here" in told


def test_the_outline_asks_for_enough_whichever_way_the_day_falls() -> None:
    found = outline(DAY)
    assert (found.rows, found.steps) == (4, 5)
    assert found.shares >= 50 + 10
    assert found.cash >= 500 * (50 + 10)


def test_a_day_is_told_in_words() -> None:
    assert kinds(outline(DAY).counts).startswith("1 new, 1 deleted, 1 executed, 1 hidden executions")
    assert time_of_day(34_215 * SECOND) == "09:30:15"
