"""Orders a second and their latencies: each client a customer of its own, who sends the next order when the last is
answered. Every measured order takes from one large resting order, so each is a trade that must be settled."""

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from bench.laptop import Bench
from infra.demo.client import Accepted, HttpTransport, Trader

PRODUCT_ID = "ACME-USD"
PRICE = "100"
SIZE = "0.01"
POLL_SECONDS = 0.02
SETTLE_SECONDS_MAX = 120


class LoadError(RuntimeError):
    """The exchange did not do what is measured; the message says what happened."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of so many clients. Seconds of each order, and how long all of them took."""

    clients: int
    accepted_seconds: list[float]
    settled_seconds: list[float]
    sent_seconds: float
    drained_seconds: float
    busy: Mapping[str, float]  # processor seconds a second, by process

    @property
    def accepted_rate(self) -> float:
        """Orders accepted a second."""
        return len(self.accepted_seconds) / self.sent_seconds

    @property
    def settled_rate(self) -> float:
        """Orders a second, from the first sent to the last settled."""
        return len(self.accepted_seconds) / self.drained_seconds


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of all are at or below."""
    ranked = sorted(values)
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)] if ranked else 0.0


async def throughput(bench: Bench, clients: int, orders: int, run: str) -> Run:
    """Send `orders` orders from so many clients, then wait until all are settled; nobody asks meanwhile."""
    transport = HttpTransport(bench.stack["rest_url"], connections=clients + 1)
    async with transport:
        maker, *takers = [Trader(user, transport) for user in bench.customers[: clients + 1]]
        await _provide(maker, orders, run)
        seconds: list[float] = []
        with Busy(bench) as busy:
            started = time.monotonic()
            shares = [orders // clients + (index < orders % clients) for index in range(clients)]
            await asyncio.gather(
                *(_place_all(taker, share, f"{run}-{index}", seconds) for index, (taker, share) in
                  enumerate(zip(takers, shares, strict=True)))
            )  # fmt: skip
            sent = time.monotonic() - started
        await asyncio.gather(*(_drained(taker) for taker in takers))
        drained = time.monotonic() - started
        await maker.call("DELETE", "/orders")
        return Run(clients, seconds, [], sent, drained, busy.share)


async def latency(bench: Bench, clients: int, orders: int, run: str) -> list[float]:
    """From POST to settled, order after order, each client asking for its own order until it is."""
    transport = HttpTransport(bench.stack["rest_url"], connections=clients + 1)
    async with transport:
        maker, *takers = [Trader(user, transport) for user in bench.customers[: clients + 1]]
        await _provide(maker, orders, run)
        seconds: list[float] = []
        await asyncio.gather(
            *(_settle_all(taker, orders // clients, f"{run}-{index}", seconds) for index, taker in enumerate(takers))
        )
        await maker.call("DELETE", "/orders")
        return seconds


async def _provide(maker: Trader, orders: int, run: str) -> None:
    """One resting order, large enough for all that is to come."""
    fields = {"product_id": PRODUCT_ID, "side": "sell", "type": "limit", "price": PRICE, "size": str(orders)}
    await _accepted(maker, f"{run}-maker", fields)
    await _until(maker, f"{run}-maker", lambda order: order["status"] == "open")


async def _place_all(taker: Trader, count: int, name: str, seconds: list[float]) -> None:
    for number in range(count):
        started = time.monotonic()
        await _accepted(taker, f"{name}-{number}", _taking())
        seconds.append(time.monotonic() - started)


async def _settle_all(taker: Trader, count: int, name: str, seconds: list[float]) -> None:
    for number in range(count):
        started = time.monotonic()
        await _accepted(taker, f"{name}-{number}", _taking())
        await _until(taker, f"{name}-{number}", lambda order: bool(order["settled"]))
        seconds.append(time.monotonic() - started)


def _taking() -> dict[str, str]:
    return {"product_id": PRODUCT_ID, "side": "buy", "type": "limit", "price": PRICE, "size": SIZE}


async def _accepted(trader: Trader, name: str, fields: Mapping[str, str]) -> None:
    outcome = await trader.place(name, fields)
    if not isinstance(outcome, Accepted):
        raise LoadError(f"{trader.name}: {outcome}")


async def _until(trader: Trader, name: str, ready: Callable[[dict[str, Any]], bool]) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while not ready(order := await trader.get(f"/orders/client:{name}")):
        if time.monotonic() > deadline:
            raise LoadError(f"order {name} is still {order['status']} after {SETTLE_SECONDS_MAX} s")
        await asyncio.sleep(POLL_SECONDS)


async def _drained(trader: Trader) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while await trader.get("/orders?status=pending&status=open&limit=1"):
        if time.monotonic() > deadline:
            raise LoadError(f"orders of {trader.name} are not settled after {SETTLE_SECONDS_MAX} s")
        await asyncio.sleep(POLL_SECONDS)


class Busy:
    """What part of a processor each process used."""

    def __init__(self, bench: Bench) -> None:
        self.share: dict[str, float] = {}
        self._families = _families(bench)
        self._before: dict[str, float] = {}
        self._started = 0.0

    def __enter__(self) -> "Busy":
        self._before = {name: _seconds(pids) for name, pids in self._families.items()}
        self._started = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        passed = time.monotonic() - self._started
        for name, pids in self._families.items():
            self.share[name] = (_seconds(pids) - self._before[name]) / passed


def _families(bench: Bench) -> dict[str, list[psutil.Process]]:
    """The cloud's own process and its functions apart, the edge, the matcher, and who sends the load."""
    found: dict[str, list[psutil.Process]] = {"the clients": [psutil.Process()]}
    for record in bench.records:
        process = record.process()
        if process is None:
            continue
        children = process.children(recursive=True)
        if record.name == "cloud":
            found["MiniStack"], found["the functions"] = [process], children
        elif not record.name.endswith("-keeper"):
            found[f"the {record.name}"] = [process, *children]
    return found


def _seconds(processes: Sequence[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def median_of(runs: Sequence[Run], figure: Callable[[Run], float]) -> float:
    """The median of a figure over repeated runs."""
    return statistics.median(figure(run) for run in runs)
