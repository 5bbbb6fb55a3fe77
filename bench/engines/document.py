"""The engine part of docs/benchmarks.md."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

from bench.engines import beside, speed
from bench.engines.around import BOOK, LINES, TAIL, Pipeline, Recovery, Tool
from bench.engines.beside import Row
from bench.engines.flow import SHARES
from bench.engines.speed import Latency, Memory, Speed, at
from bench.engines.takeover import Takeover
from bench.page import table

HEAD = """
## The matching engine

Made by `make bench-engine`. {machine}. Measured on {day}; seed of every flow: {seed}; medians of {runs} runs, which
take turns.

### Beside other order books

One flow for all: limit orders, cancels and market orders, on a few thousand resting orders; {steps:,} commands, or what
a book does of them in {seconds:.0f} seconds. Prices, ids and order objects are made before the clock starts; ours gets
packed records of 1,000, as from the stream, and writes every event as packed bytes. *Trades* compares taker, maker,
price and size of each trade with those of the reference engine; where they differ the comparison is void. The right
column says what else of the contract a book can't do; stops in both directions, self-trade prevention in four modes,
price bands, phases, auctions, exact decimals, snapshots and a log that replays to the same bytes none of them has
together.
"""

MIX = """
### The full mix

Every kind of order and of cancel (no phases, auctions, pairs or trailing stops), in these shares of a
thousand: {shares}. Ids are 63 random bits.
A command causes {events:.2f} events.
"""

DEEP = """
On a book of {book:,} resting orders at some thousand prices, whose commands mostly name orders of that book:
{deep:,.0f} a second; beside it in the same run, on a few thousand: {shallow:,.0f}. So the deep book is
{times:.2f} times slower.
"""

LATENCY = """
### A single call

{calls:,} calls each, one command a call, the clock's own {clock} ns not subtracted. *The engine's call* hands one
packed command to the compiled core. *The whole call* is `apply_record` from Python: it also checks the record and makes
the bytes and the object that are returned. *An empty call* is the same with a command that does nothing, so what the
Python around it costs. The worst is whatever the machine did to the process meanwhile.
"""

MEMORY = """
### Memory

An order is {words} words of 64 bits, {bytes} bytes; with its place in the map of ids, its level and its room in the
buffers' growth a resting order took, counted in pages of a process that did nothing else: {measured}.
"""

PIPELINE = """
### The container's pipeline

What the matcher's loop does between a read and a publish, in process: records as Kinesis gives them, the product's
market, records of the executions stream with their chain of hashes; drained after every ten records read. A million
commands are {size_in:,.0f} MB in and {size_out:,.0f} MB out.
"""

TOOL = """
### The replay tool

{lines:,} lines of the full mix with textual ids, the process's start included. `replay --journal` prints what the
replay of the lines printed: {agree}.
"""

RECOVERY = """
### Recovery

A saved book of {book:,} orders ({megabytes:.0f} MB, saved in {save:.2f} s) is restored in {restore:.2f} s, and a
tail of {tail:,} commands is carried out in {seconds:.2f} s: **{whole:.2f} s** in all.
"""

TAKEOVER = """
### A standby takes over

Two matchers of their own processes on a laptop cloud, settings as in the container, a book of {orders:,} orders, a
thousand commands a second. The leader is killed with `kill -9`; seconds until the next leader's first event is on the
executions stream, of {kills} kills: median **{median:.1f}**, worst {worst:.1f}.
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """All that was measured."""

    machine: str
    seed: int
    runs: int
    rows: Sequence[Row]
    speed: Speed
    latency: Latency
    memory: Memory
    pipeline: Pipeline
    tool: Tool
    recovery: Recovery
    takeover: Takeover | None


def document(measured: Measured) -> str:
    """The whole part."""
    day = date.today().isoformat()  # noqa: DTZ011 - a day is enough.
    parts = [
        HEAD.format(
            machine=measured.machine,
            day=day,
            seed=measured.seed,
            runs=measured.runs,
            steps=beside.STEPS,
            seconds=beside.SECONDS_MAX,
        ),
        table(beside.table(measured.rows)),
        *_alone(measured),
        *_around(measured),
    ]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _alone(measured: Measured) -> Iterator[str]:
    found, latency = measured.speed, measured.latency
    shares = ", ".join(f"{name} {share}" for name, share in SHARES)
    yield MIX.format(shares=f"{shares}, plain limit orders the rest", events=found.events)
    rates = [(f"{size:,}", f"{rate:,.0f}", f"{1e9 / rate:,.0f} ns") for size, rate in found.by_batch.items()]
    yield table([("commands a record", "commands a second", "a command"), *rates])
    times = found.shallow / found.deep
    yield DEEP.format(book=speed.BOOK, deep=found.deep, shallow=found.shallow, times=times)
    yield LATENCY.format(calls=speed.CALLS, clock=latency.clock)
    yield table(_calls(latency))
    each = [f"**{size:.0f} bytes** with {orders:,} orders" for orders, size in measured.memory.by_orders.items()]
    yield MEMORY.format(words=speed.ORDER_WORDS, bytes=8 * speed.ORDER_WORDS, measured=", ".join(each))


def _calls(latency: Latency) -> Iterator[Sequence[str]]:
    yield "call", "p50", "p99", "p99.9", "worst"
    named = (
        ("the engine's call", latency.core),
        ("the whole call", latency.record),
        ("an empty call", latency.empty),
    )
    for name, found in named:
        yield name, *(f"{at(found, share) / 1000:,.1f} µs" for share in (0.5, 0.99, 0.999, 1.0))


def _around(measured: Measured) -> Iterator[str]:
    pipeline, tool, recovery = measured.pipeline, measured.tool, measured.recovery
    yield PIPELINE.format(size_in=pipeline.bytes_in / 1e6, size_out=pipeline.bytes_out / 1e6)
    rates = [(f"{size:,}", f"{rate:,.0f}") for size, rate in pipeline.rates.items()]
    yield table([("commands a stream record", "commands a second"), *rates])
    yield TOOL.format(lines=LINES, agree="yes" if tool.agree else "**no**")
    yield table(
        [
            ("what", "commands a second"),
            ("`replay COMMANDS.jsonl`", f"{tool.lines_rate:,.0f}"),
            ("`pack COMMANDS.jsonl`", f"{tool.pack_rate:,.0f}"),
            ("`replay --journal`, lines printed", f"{tool.journal_lines_rate:,.0f}"),
            ("`replay --journal --hash`, as it says itself", f"{tool.journal_hash_rate:,.0f}"),
        ]
    )
    yield RECOVERY.format(
        book=BOOK,
        megabytes=recovery.snapshot_bytes / 1e6,
        save=recovery.save,
        restore=recovery.restore,
        tail=TAIL,
        seconds=recovery.tail,
        whole=recovery.restore + recovery.tail,
    )
    takeover = measured.takeover
    if takeover is not None:
        yield TAKEOVER.format(
            orders=takeover.orders,
            kills=len(takeover.seconds),
            median=median(takeover.seconds),
            worst=max(takeover.seconds),
        )
