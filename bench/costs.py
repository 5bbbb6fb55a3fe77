"""What one order asks of AWS, counted from the real calls, and what that costs at list price."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import urllib3

from bench.counting_cloud import COUNTS_PATH
from bench.laptop import Bench, running
from bench.load import PRICE, PRODUCT_ID, SIZE, LoadError, throughput
from infra.demo.client import Accepted, HttpTransport, Trader

ORDERS = 40
QUIET_SECONDS = 2.0
# What goes on by itself is never quite even; less than this is its unevenness.
NOISE = 0.03
IDLE_SECONDS = 15.0
PAUSE_SECONDS = 0.1
# One virtual processor comes with 1,769 MB, so a second of it costs this many GB seconds whatever the memory is.
GB_PER_PROCESSOR = 1769 / 1024
WAIT_SECONDS = 0.005
FUNCTION_GB = 1.0
LOG_BYTES = 600
TRACED_PART = 0.05
MILLION = 1_000_000

Counts = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Phase:
    """What one order of a kind asked for, beside what goes on when nobody trades."""

    title: str
    counts: Counts

    def sum(self, start: str) -> float:
        """The sum of all counters whose name starts so."""
        return sum(amount for name, amount in self.counts.items() if name.startswith(start))


def count_apart(clients: int) -> list[Phase]:
    """Count on a laptop cloud of its own, ended afterwards."""
    with running(customers=clients + 1, counting=True) as bench:
        return asyncio.run(count_phases(bench, orders=ORDERS, clients=clients))


async def count_phases(bench: Bench, *, orders: int, clients: int) -> list[Phase]:
    """Count a resting order, its cancel, one that takes, and the same from many clients at once."""
    counter = Counter(bench)
    async with HttpTransport(bench.stack["rest_url"], connections=2) as transport:
        maker, taker = (Trader(user, transport) for user in bench.customers[:2])
        await _place(maker, "warm-maker", "sell", 10)
        await _place(taker, "warm-taker", "buy", 10)
        await maker.call("DELETE", "/orders")
        await asyncio.sleep(QUIET_SECONDS)
        await counter.idle()
        phases = [
            await counter.phase("an order that rests", orders, lambda: _place(maker, "rest", "sell", orders)),
            await counter.phase("its cancel", orders, lambda: _cancel(maker, "rest", orders)),
        ]
        await _place(maker, "made", "sell", orders)
        phases.append(await counter.phase("an order that takes", orders, lambda: _place(taker, "take", "buy", orders)))

    async def burst() -> None:
        await throughput(bench, clients, clients * orders, "burst")

    phases.append(await counter.phase(f"one of many that take, {clients} clients at once", clients * orders, burst))
    return phases


async def _place(trader: Trader, run: str, side: str, orders: int) -> None:
    """One order after the other, slowly enough for each to travel alone; then wait until all are where they end."""
    fields = {"product_id": PRODUCT_ID, "side": side, "type": "limit", "price": PRICE, "size": SIZE}
    for number in range(orders):
        outcome = await trader.place(f"{run}-{number}", fields)
        if not isinstance(outcome, Accepted):
            raise LoadError(f"{trader.name}: {outcome}")
        await asyncio.sleep(PAUSE_SECONDS)


async def _cancel(trader: Trader, run: str, orders: int) -> None:
    for number in range(orders):
        await trader.cancel(f"{run}-{number}")
        await asyncio.sleep(PAUSE_SECONDS)


class Counter:
    """Reads the counting cloud's counters."""

    def __init__(self, bench: Bench) -> None:
        self._url = bench.stack["aws_endpoint_url"] + COUNTS_PATH
        self._idle_per_second: dict[str, float] = {}

    async def idle(self) -> None:
        """Learn what goes on when nobody trades: polls, leases, ticks."""
        before, started = self._read(), time.monotonic()
        await asyncio.sleep(IDLE_SECONDS)
        passed = time.monotonic() - started
        self._idle_per_second = {name: amount / passed for name, amount in _less(self._read(), before).items()}

    async def phase(
        self, title: str, orders: int, act: Callable[[], asyncio.Future[None]] | Callable[..., object]
    ) -> Phase:
        """Count what `act` brings about, until all is quiet again, an order's share of it."""
        before, started = self._read(), time.monotonic()
        await act()  # type: ignore[misc]
        await asyncio.sleep(QUIET_SECONDS)
        passed = time.monotonic() - started
        brought = _less(self._read(), before)
        shares = {
            name: max(0.0, amount - passed * self._idle_per_second.get(name, 0.0)) / orders
            for name, amount in brought.items()
        }
        return Phase(
            title,
            {
                name: share
                for name, share in sorted(shares.items())
                if share >= NOISE or not name.startswith(("request ", "read ", "write "))
            },
        )

    def _read(self) -> dict[str, float]:
        found: dict[str, float] = json.loads(urllib3.request("GET", self._url, timeout=10).data)
        return found


def _less(after: Counts, before: Counts) -> dict[str, float]:
    return {name: amount - before.get(name, 0.0) for name, amount in after.items()}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill: what, how it is counted, its list price, and how much of it one order takes."""

    what: str
    price: str
    dollars: float  # for one
    amount: Callable[[Phase], float]


def _processor_seconds(phase: Phase) -> float:
    return phase.sum("cpu ")


def _aws_requests(phase: Phase) -> float:
    return phase.sum("request DynamoDB") + phase.sum("request Kinesis.Put") + phase.sum("request TrentService")


def _gb_seconds(phase: Phase) -> float:
    waits = _aws_requests(phase) * WAIT_SECONDS * FUNCTION_GB
    settling = phase.sum("seconds AWSStepFunctions.StartSyncExecution") * 0.5
    return _processor_seconds(phase) * GB_PER_PROCESSOR + waits + settling


BILL = (
    Line("CloudFront requests", "1.00 a million", 1.00 / MILLION, lambda phase: phase.sum("request ApiGateway")),
    Line("API Gateway requests", "3.50 a million", 3.50 / MILLION, lambda phase: phase.sum("request ApiGateway")),
    Line("Lambda invocations", "0.20 a million", 0.20 / MILLION, lambda phase: phase.sum("invocation ")),
    Line("Lambda GB seconds", "16.6667 a million", 16.6667 / MILLION, _gb_seconds),
    Line("DynamoDB write units", "0.625 a million", 0.625 / MILLION, lambda phase: phase.sum("write ")),
    Line("DynamoDB read units", "0.125 a million", 0.125 / MILLION, lambda phase: phase.sum("read ")),
    Line("Kinesis PUT units", "0.014 a million", 0.014 / MILLION, lambda phase: phase.sum("put units ")),
    Line(
        "Step Functions Express requests",
        "1.00 a million",
        1.00 / MILLION,
        lambda phase: phase.sum("request AWSStepFunctions.StartSyncExecution"),
    ),
    Line("KMS requests", "3.00 a million", 3.00 / MILLION, lambda phase: phase.sum("request TrentService")),
    Line("Log MB", "0.50 a GB", 0.50 / 1024, lambda phase: phase.sum("invocation ") * LOG_BYTES / 2**20),
    Line("Traces", "5.00 a million", 5.00 / MILLION, lambda phase: phase.sum("invocation ") * TRACED_PART),
    Line("MB sent to clients", "0.085 a GB", 0.085 / 1024, lambda phase: phase.sum("bytes ApiGateway") / 2**20),
)


def dollars_a_million(phase: Phase) -> float:
    """The sum of the bill for a million orders of a kind."""
    return sum(line.dollars * line.amount(phase) for line in BILL) * MILLION
