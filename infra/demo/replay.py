"""Sends a LOBSTER day, step by step in its order, and compares the executions with NASDAQ's."""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exchange.kernel.money import format_units, parse_decimal

from infra.demo.client import Accepted, Trader
from infra.demo.desk import Tally
from infra.demo.lobster import PRICE_TICKS_PER_UNIT, Kind, Row, read_day
from infra.demo.nasdaq import Counts, Day, Rest, Role, Step, Take, Withdraw

PRODUCT_ID = "GOOG-USD"
PRICE_SCALE = 4
# A taker's fee is at most 2 percent, and some more is needed for what rests.
MARGIN_PERCENT = 103
ARRIVAL_SECONDS_MAX = 60


class ReplayError(RuntimeError):
    """The day can't be replayed; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What a day will need and hold. Units: shares; cash in whole dollars, rounded up."""

    rows: int
    steps: int
    shares: int
    cash: int
    counts: Counts


def read_rows(path: Path, limit: int | None) -> Iterator[Row]:
    """The first `limit` rows of a day."""
    return itertools.islice(read_day(path), limit)


def outline(rows: Iterable[Row]) -> Outline:
    """Go through a day once without sending: enough shares and cash for whichever side everything falls on."""
    day = Day()
    steps = shares = value = resting_shares = resting_value = 0
    for _, sent in day.steps(rows):
        for step in sent:
            steps += 1
            if isinstance(step, Take):
                shares += step.size
                value += sum(price * size for price, size in step.expected)
            elif isinstance(step, Rest):
                resting_shares = max(resting_shares, step.size)
                resting_value = max(resting_value, step.price * step.size)
    # A level holds few orders; a hundred of the largest is more than ever rests at once.
    shares += 100 * resting_shares
    value += 100 * resting_value
    cash = -(-value * MARGIN_PERCENT // 100 // PRICE_TICKS_PER_UNIT)
    return Outline(day.counts.rows, steps, shares, cash, day.counts)


async def fund(trader: Trader, needs: Mapping[str, int], *, run: str) -> bool:
    """Deposit what a trader lacks, through the sandbox bank as anybody would. Returns whether it was necessary."""
    accounts = {account["currency"]: account["available"] for account in await trader.get("/accounts")}
    methods = {method["currency"]: method["id"] for method in reversed(await trader.get("/payment-methods"))}
    waiting = []
    for currency, needed in needs.items():
        missing = needed - parse_decimal(accounts.get(currency, "0"), 18) // 10**18
        if missing > 0:
            body = {
                "amount": str(missing),
                "currency": currency,
                "payment_method_id": methods[currency],
                "client_transfer_id": f"{run}-{trader.name}-{currency}",
            }
            waiting.append((await trader.call("POST", "/deposits/payment-method", body))["id"])
    deadline = time.monotonic() + ARRIVAL_SECONDS_MAX
    for transfer_id in waiting:
        while not (await trader.get(f"/transfers/{transfer_id}")).get("completed_at"):
            if time.monotonic() > deadline:
                raise ReplayError(f"A deposit for {trader.name} did not arrive. See: exchange logs wallets-tasks")
            await asyncio.sleep(0.2)
    return bool(waiting)


@dataclass(slots=True)
class Replay:
    """A day being sent. Each role is a customer of its own, so nobody trades with himself."""

    traders: Mapping[Role, Trader]
    run: str
    speed: float  # 0: as fast as the exchange takes it
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    tally: Tally = field(default_factory=Tally)
    takes: dict[str, Take] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)

    async def send(self, rows: Iterable[Row], progress: Callable[[int, int], None]) -> None:
        """Send every row in its order; `progress` hears how many rows were done and the time of day."""
        started = self.clock()
        opened_ns: int | None = None
        now_ns = 0
        day = Day()
        self.counts = day.counts
        for rows_done, steps in day.steps(rows):
            if steps:
                now_ns = steps[0].time_ns
                opened_ns = now_ns if opened_ns is None else opened_ns
                if self.speed:
                    due = started + (now_ns - opened_ns) / 1e9 / self.speed
                    await self.sleep(max(0.0, due - self.clock()))
            for withdrawing, group in itertools.groupby(steps, key=lambda step: isinstance(step, Withdraw)):
                await self._group(list(group), together=withdrawing)
            progress(rows_done, now_ns)
        self.tally.seconds = self.clock() - started

    async def _group(self, steps: Sequence[Step], *, together: bool) -> None:
        """Cancels may overtake each other; nothing else may."""
        if together:
            await asyncio.gather(*(self._one(step) for step in steps))
            return
        for step in steps:
            await self._one(step)

    async def _one(self, step: Step) -> None:
        name = f"{self.run}-{step.number}"
        trader = self.traders[step.role]
        if isinstance(step, Withdraw):
            self.tally.cancels += 1
            if not await trader.cancel(name):
                self.tally.cancels_late += 1
            return
        fields: dict[str, Any] = {
            "product_id": PRODUCT_ID,
            "type": "limit",
            "side": "buy" if step.buying else "sell",
            "price": format_units(step.price, PRICE_SCALE),
            "size": str(step.size),
        }
        if isinstance(step, Take):
            fields["time_in_force"] = "IOC"
        self.tally.sent += 1
        outcome = await trader.place(name, fields)
        self.tally.count(name, list(Role).index(step.role), outcome)
        if isinstance(step, Take) and isinstance(outcome, Accepted):
            self.takes[outcome.order_id] = step


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs of executions here and on NASDAQ."""

    runs: int
    shares: int
    differing: tuple[str, ...]


def compare(takes: Mapping[str, Take], fills: Iterable[Mapping[str, Any]]) -> Comparison:
    """Whether every run of executions had the very prices and sizes that NASDAQ's had."""
    found: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for fill in fills:
        if fill["order_id"] in takes:
            found[fill["order_id"]][parse_decimal(fill["price"], PRICE_SCALE)] += int(fill["size"])
    differing = []
    for order_id, take in takes.items():
        traded = tuple(sorted(found[order_id].items()))
        if traded != take.expected:
            differing.append(f"at {time_of_day(take.time_ns)}: {_levels(traded)} here, {_levels(take.expected)} there")
    return Comparison(len(takes), sum(take.size for take in takes.values()), tuple(differing))


def _levels(levels: Sequence[tuple[int, int]]) -> str:
    return " + ".join(f"{size} at {format_units(price, PRICE_SCALE)}" for price, size in levels) or "nothing"


def time_of_day(time_ns: int) -> str:
    """Nanoseconds after midnight as a clock shows them."""
    seconds = time_ns // 10**9
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def kinds(counts: Counts) -> str:
    """What the rows were, in words."""
    words = {
        Kind.NEW: "new",
        Kind.REDUCED: "reduced (cancelled and placed anew)",
        Kind.DELETED: "deleted",
        Kind.EXECUTED: "executed",
        Kind.HIDDEN_EXECUTED: "hidden executions (no trace in a visible book, so skipped)",
        Kind.CROSS: "crosses (skipped)",
        Kind.HALT: "halts (skipped)",
    }
    return ", ".join(f"{counts.by_kind[kind]:,} {words[kind]}" for kind in Kind if counts.by_kind[kind])
