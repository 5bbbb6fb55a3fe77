"""How fast the engine is by itself: whole records, single calls, a deep book, and what an order takes of memory."""

import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Final

import psutil
from exchange.messages import Command, Op
from exchange.messages.commands import pack_command

from bench.engines.flow import PRODUCT, Mix, mix, records_of
from matcher.engine.fast.classes import Core
from matcher.engine.fast.engine import Engine
from matcher.engine.fast.layout import ORDER_WORDS

__all__ = ["ORDER_WORDS", "Latency", "Memory", "Speed"]
COMMANDS: Final = 1_000_000
BATCHES: Final = (1, 10, 100, 1_000, 4_000)
BOOK: Final = 100_000
BOOK_COMMANDS: Final = 300_000
CALLS: Final = 200_000
MEMORY_ORDERS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Speed:
    """Commands a second by the size of their batch, each the median of runs; and with a deep book."""

    by_batch: dict[int, float]
    events: float
    deep: float
    shallow: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Nanoseconds of single calls: sorted, so that a percentile is an index."""

    record: Sequence[int]
    core: Sequence[int]
    empty: Sequence[int]
    clock: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that a resting order takes, as the system counts pages, in books of these sizes."""

    by_orders: dict[int, float]


def apply(engine: Engine, records: Sequence[bytes]) -> tuple[float, int]:
    """Carry records out; return seconds and events. The chain is what the loop makes of it, apart."""
    events = 0
    started = time.perf_counter()
    for record in records:
        events += engine.apply_record(record).events
        engine.forget_chain()
    return time.perf_counter() - started, events


def measure_speed(seed: int, runs: int) -> Speed:
    """Every size of batch in turn, `runs` times; then a deep book beside a usual one."""
    commands = mix(seed, COMMANDS)
    cut = {size: records_of(commands[: COMMANDS if size >= 100 else COMMANDS // 5], size) for size in BATCHES}
    rates: dict[int, list[float]] = {size: [] for size in BATCHES}
    events = 0
    for _ in range(runs):
        for size, records in cut.items():
            seconds, caused = apply(Engine(PRODUCT), records)
            count = COMMANDS if size >= 100 else COMMANDS // 5
            rates[size].append(count / seconds)
            events = caused if count == COMMANDS else events
    del commands, cut
    deep, shallow = _deep_and_shallow(seed, runs)
    by_batch = {size: median(found) for size, found in rates.items()}
    return Speed(by_batch, events / COMMANDS, deep, shallow)


def _deep_and_shallow(seed: int, runs: int) -> tuple[float, float]:
    """The same shares of commands on a book of BOOK orders, and on the few thousand of the flow itself."""
    flow = Mix(seed, resting=BOOK)
    book = records_of(list(flow.book(BOOK)), 1_000)
    deep = records_of(list(islice(flow.commands(), BOOK_COMMANDS)), 1_000)
    shallow = records_of(mix(seed, BOOK_COMMANDS), 1_000)
    rates: dict[str, list[float]] = {"deep": [], "shallow": []}
    for _ in range(runs):
        engine = Engine(PRODUCT)
        apply(engine, book)
        rates["deep"].append(BOOK_COMMANDS / apply(engine, deep)[0])
        rates["shallow"].append(BOOK_COMMANDS / apply(Engine(PRODUCT), shallow)[0])
    return median(rates["deep"]), median(rates["shallow"])


def measure_latency(seed: int) -> Latency:
    """Time every single call of the second half of a flow; the first half fills the book."""
    commands = mix(seed, 2 * CALLS)
    records, packed = records_of(commands, 1), [pack_command(command) for command in commands]
    clock = time.perf_counter_ns
    engine, core = Engine(PRODUCT), Core(PRODUCT)
    for record, command in zip(records[:CALLS], packed[:CALLS], strict=True):
        engine.apply_record(record)
        core.run_batch(command, 0, 1, -1)
    tick = records_of([Command(Op.TICK)], 1)[0]
    whole, inner, empty = [], [], []
    for record in records[CALLS:]:
        started = clock()
        engine.apply_record(record)
        whole.append(clock() - started)
        engine.forget_chain()
    for command in packed[CALLS:]:
        started = clock()
        core.run_batch(command, 0, 1, -1)
        inner.append(clock() - started)
    for _ in range(CALLS):
        started = clock()
        engine.apply_record(tick)
        empty.append(clock() - started)
    idle = sorted(-(clock() - clock()) for _ in range(CALLS))
    return Latency(sorted(whole), sorted(inner), sorted(empty), idle[CALLS // 2])


def at(sorted_nanoseconds: Sequence[int], share: float) -> int:
    """The value that this share of the calls did not exceed."""
    return sorted_nanoseconds[min(len(sorted_nanoseconds) - 1, int(len(sorted_nanoseconds) * share))]


def measure_memory(seed: int) -> Memory:
    """Fill a book in a process of its own, from a file: nothing else grows there."""
    flow = Mix(seed, resting=MEMORY_ORDERS)
    with tempfile.NamedTemporaryFile(prefix="bench-book-") as file:
        for _ in range(MEMORY_ORDERS // 1_000):
            file.writelines(records_of(list(flow.book(1_000)), 1_000))
        file.flush()
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
            return Memory(executor.submit(_fill, file.name).result())


def _fill(path: str) -> dict[int, float]:
    process, engine = psutil.Process(), Engine(PRODUCT)
    length = len(records_of([Command(Op.TICK)] * 1_000, 1_000)[0])
    found = {}
    with Path(path).open("rb") as file:
        before = process.memory_info().rss
        while record := file.read(length):
            apply(engine, [record])
            if engine.live_orders in (BOOK, MEMORY_ORDERS):
                found[engine.live_orders] = (process.memory_info().rss - before) / engine.live_orders
    return found
