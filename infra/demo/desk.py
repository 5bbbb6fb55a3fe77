"""Sends a flow to the exchange, at most so many requests at a time, and counts what came of it."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.demo.client import Accepted, Outcome, Refusal, Trader, Unknown
from infra.demo.flow import Action, Cancel, Place, Repeat

DONE_SECONDS_MAX = 120


@dataclass(slots=True)
class Tally:
    """What came of a flow. `accepted` maps our name of an order to the exchange's id and the trader."""

    sent: int = 0
    accepted: dict[str, tuple[str, int]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    refused_names: list[tuple[str, int]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    cancels: int = 0
    cancels_late: int = 0
    repeats: int = 0
    doubled: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, name: str, trader: int, outcome: Outcome) -> None:
        """Count an order's outcome."""
        if isinstance(outcome, Accepted):
            self.accepted[name] = (outcome.order_id, trader)
        elif isinstance(outcome, Refusal):
            self.refused[outcome.code] += 1
            self.refused_names.append((name, trader))
        else:
            self.unknown.append(name)


class Desk:
    """The traders of a flow, and what they have sent."""

    def __init__(self, traders: Sequence[Trader], *, run: str, concurrency: int) -> None:
        """`run` makes the orders' names this run's own: the same seed may be sent again and again."""
        self.traders = traders
        self.tally = Tally()
        self._run = run
        self._slots = asyncio.Semaphore(concurrency)
        self._placing: dict[int, asyncio.Future[Outcome]] = {}

    def name(self, number: int) -> str:
        """The client_oid of an order."""
        return f"{self._run}-{number}"

    async def send(
        self, actions: Iterable[Action], *, paced: bool, progress: Callable[[], None], clock: Callable[[], float]
    ) -> None:
        """Send every action, each at its time where `paced`, else as fast as the exchange takes them."""
        started = clock()
        async with asyncio.TaskGroup() as group:
            for action in actions:
                if paced:
                    await asyncio.sleep(max(0.0, started + action.at_seconds - clock()))
                await self._slots.acquire()
                if isinstance(action, Place):
                    self._placing[action.number] = asyncio.get_running_loop().create_future()
                group.create_task(self._one(action, progress))
        self.tally.seconds = clock() - started

    async def _one(self, action: Action, progress: Callable[[], None]) -> None:
        try:
            if isinstance(action, Place):
                await self._place(action)
                progress()
            elif isinstance(action, Cancel):
                await self._cancel(action)
            else:
                await self._repeat(action)
        finally:
            self._slots.release()

    async def _place(self, action: Place) -> None:
        name = self.name(action.number)
        self.tally.sent += 1
        outcome: Outcome = Unknown()
        try:
            outcome = await self.traders[action.trader].place(name, action.fields)
        finally:
            self._placing[action.number].set_result(outcome)
        self.tally.count(name, action.trader, outcome)

    async def _cancel(self, action: Cancel) -> None:
        # Its order was sent before, so this waits for an answer that is under way.
        if isinstance(await self._placing[action.number], Refusal):
            return
        self.tally.cancels += 1
        if not await self.traders[action.trader].cancel(self.name(action.number)):
            self.tally.cancels_late += 1

    async def _repeat(self, action: Repeat) -> None:
        """The same request again has the same answer."""
        first = await self._placing[action.number]
        self.tally.repeats += 1
        again = await self.traders[action.trader].place(self.name(action.number), action.fields)
        same = isinstance(again, Accepted) and isinstance(first, Accepted) and again.order_id == first.order_id
        if not same and not (isinstance(again, Refusal) and isinstance(first, Refusal)):
            self.tally.doubled.append(self.name(action.number))

    async def cancel_all(self) -> int:
        """Cancel whatever is live. Returns how many orders were."""
        canceled = await asyncio.gather(*(trader.call("DELETE", "/orders") for trader in self.traders))
        return sum(len(orders) for orders in canceled)


@dataclass(frozen=True, slots=True)
class Ending:
    """How the orders of a run ended: their number by status, those live still, and what does not fit."""

    statuses: Mapping[str, int]
    live: int
    faults: tuple[str, ...]


async def await_ending(
    desk: Desk,
    *,
    leave: bool,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Ending:
    """Wait until every order is done and settled; with `leave`, until none is pending. Then compare the books."""
    deadline = clock() + DONE_SECONDS_MAX
    waiting_for = "status=pending" if leave else "status=pending&status=open&status=active"
    while clock() < deadline:
        live = [await trader.get(f"/orders?{waiting_for}&limit=1") for trader in desk.traders]
        if not any(live):
            break
        await sleep(0.5)
    listed = await asyncio.gather(*(trader.pages("/orders", "status=all") for trader in desk.traders))
    return ending(desk.tally, listed, leave=leave)


def ending(tally: Tally, listed: Sequence[Sequence[Mapping[str, Any]]], *, leave: bool) -> Ending:
    """Compare what was sent with the orders that each trader's list has."""
    statuses: Counter[str] = Counter()
    faults: list[str] = []
    known = [{str(order.get("client_oid", "")): order for order in orders} for orders in listed]
    for name, (order_id, trader) in tally.accepted.items():
        order = known[trader].get(name)
        if order is None or order["id"] != order_id:
            faults.append(f"order {name} was accepted as {order_id} and is not to be found")
            continue
        statuses[_status(order)] += 1
        if not leave and not order["settled"]:
            faults.append(f"order {name} is {order['status']} and not settled")
    for name, trader in tally.refused_names:
        if name in known[trader]:
            faults.append(f"order {name} was refused and exists")
    faults += [f"order {name}: whether the exchange has it could not be found out" for name in tally.unknown]
    faults += [f"order {name} was sent twice and answered differently" for name in tally.doubled]
    live = sum(1 for orders in listed for order in orders if order["status"] in {"open", "pending", "active"})
    return Ending(statuses, live, tuple(faults))


def _status(order: Mapping[str, Any]) -> str:
    """open, rejected, filled, canceled or part-filled."""
    if order["status"] != "done":
        return str(order["status"])
    if order["done_reason"] == "canceled" and order["filled_size"] != "0":
        return "filled in part"
    return str(order["done_reason"])
