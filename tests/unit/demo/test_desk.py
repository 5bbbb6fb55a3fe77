"""A flow is sent in its order, bounded, and counted truly."""

import asyncio
import time
from collections import deque

from infra.demo.client import Trader
from infra.demo.desk import Desk, Tally, await_ending, ending
from infra.demo.flow import Action, Cancel, Place, Repeat
from tests.unit.demo.fake_exchange import FakeExchange, Fault, user
from tests.unit.demo.test_client import LIMIT, no_pause

WRONG = {**LIMIT, "price": "0"}


def send(exchange: FakeExchange, actions: list[Action], *, concurrency: int = 4) -> Desk:
    traders = [Trader(user(name), exchange, sleep=no_pause) for name in ("alice", "bob")]
    desk = Desk(traders, run="t", concurrency=concurrency)
    asyncio.run(desk.send(actions, paced=False, progress=lambda: None, clock=time.monotonic))
    return desk


def test_everything_is_counted_once() -> None:
    exchange = FakeExchange()
    actions: list[Action] = [
        Place(0, 0, 0, LIMIT),
        Place(0, 1, 1, WRONG),
        Place(0, 1, 2, LIMIT),
        Cancel(0, 0, 0),
        Cancel(0, 0, 0),
        Cancel(0, 1, 1),
        Repeat(0, 1, 2, LIMIT),
        Repeat(0, 1, 1, WRONG),
    ]
    tally = send(exchange, actions, concurrency=1).tally
    assert tally.sent == 3
    assert set(tally.accepted) == {"t-0", "t-2"}
    assert tally.refused == {"RISK_PRICE_TOO_SMALL": 1}
    assert (tally.cancels, tally.cancels_late, tally.repeats, tally.doubled) == (2, 1, 2, [])
    assert exchange.made == {"t-0": 1, "t-2": 1}


def test_requests_under_way_are_bounded() -> None:
    exchange = FakeExchange()
    send(exchange, [Place(0, 0, number, LIMIT) for number in range(50)], concurrency=3)
    assert exchange.under_way_max == 3


def test_a_cancel_waits_for_the_answer_to_its_order() -> None:
    exchange = FakeExchange(faults=deque([Fault.LOST_BEFORE, Fault.LOST_BEFORE]))
    send(exchange, [Place(0, 0, 0, LIMIT), Cancel(0, 0, 0)])
    assert exchange.orders["alice", "t-0"]["status"] == "done"


def test_what_is_live_is_cancelled_at_the_end_and_every_order_is_found_again() -> None:
    exchange = FakeExchange()
    desk = send(exchange, [Place(0, number % 2, number, LIMIT) for number in range(210)])

    async def finish() -> None:
        assert await desk.cancel_all() == 210
        found = await await_ending(desk, leave=False, sleep=no_pause)
        assert (found.statuses, found.live, found.faults) == ({"canceled": 210}, 0, ())

    asyncio.run(finish())


def test_an_order_left_open_is_told_and_no_fault() -> None:
    desk = send(FakeExchange(), [Place(0, 0, 0, LIMIT)])
    found = asyncio.run(await_ending(desk, leave=True, sleep=no_pause))
    assert (found.statuses, found.live, found.faults) == ({"open": 1}, 1, ())


def test_each_way_the_books_can_disagree_is_a_fault() -> None:
    tally = Tally(
        accepted={"lost": ("1", 0), "other": ("2", 0), "stuck": ("3", 0)},
        refused_names=[("undead", 0)],
        unknown=["nobody-knows"],
        doubled=["twice"],
    )
    listed = [
        {"client_oid": "other", "id": "9", "status": "done", "settled": True},
        {"client_oid": "stuck", "id": "3", "status": "open", "settled": False},
        {"client_oid": "undead", "id": "4", "status": "open", "settled": False},
    ]
    faults = " / ".join(ending(tally, [listed], leave=False).faults)
    for name in (
        "order lost was accepted",
        "order other was accepted",
        "stuck is open",
        "undead was refused and exists",
    ):
        assert name in faults
    assert "nobody-knows" in faults
    assert "twice" in faults


def test_part_fills_are_told_apart() -> None:
    tally = Tally(accepted={"a": ("1", 0), "b": ("2", 0), "c": ("3", 0), "d": ("4", 0)})
    done = {"status": "done", "settled": True}
    listed = [
        {**done, "client_oid": "a", "id": "1", "done_reason": "canceled", "filled_size": "0"},
        {**done, "client_oid": "b", "id": "2", "done_reason": "canceled", "filled_size": "0.5"},
        {**done, "client_oid": "c", "id": "3", "done_reason": "filled", "filled_size": "1"},
        {"client_oid": "d", "id": "4", "status": "rejected", "settled": True, "filled_size": "0"},
    ]
    assert ending(tally, [listed], leave=False).statuses == {
        "canceled": 1,
        "filled in part": 1,
        "filled": 1,
        "rejected": 1,
    }
