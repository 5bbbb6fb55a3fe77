"""Our engines and everybody else's with one flow in one run: medians of alternated runs; whether the trades agree."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from bench.engines import plain
from bench.engines.plain import Step, Trade
from bench.engines.rivals import RIVALS, is_here
from matcher.engine.fast.engine import Engine as FastEngine
from matcher.engine.reference import Engine as ReferenceEngine

STEPS: Final = 100_000
CHUNK: Final = 1_000
SECONDS_MAX: Final = 2.0
NODE_PACKAGE: Final = "nodejs-order-book@10.1.1"
NODE_RIVAL: Final = Path(__file__).with_name("node_rival.mjs")


@dataclass(slots=True)
class Row:
    """One book: how fast, and what its trades were worth."""

    name: str
    lacks: str
    rates: list[float] = field(default_factory=list)
    commands: int = 0
    verdict: str = ""

    @property
    def rate(self) -> float:
        """The median of its runs; 0 where it didn't run."""
        return median(self.rates) if self.rates else 0.0


def compare(seed: int, runs: int, say: Callable[[str], None]) -> list[Row]:
    """Run everything that is here `runs` times in turn."""
    flow = plain.steps(seed, STEPS)
    expected = _expected(flow)
    books = _books(flow)
    rows = [Row(name, lacks) for name, lacks, _ in books]
    for _ in range(runs):
        for row, (_, _, run) in zip(rows, books, strict=True):
            if row.verdict.startswith("not here"):
                continue
            try:
                done, seconds, trades = run()
            except _NotHereError as error:
                row.verdict = f"not here: {error}"
                continue
            row.commands = done
            row.rates.append(done / seconds)
            row.verdict = _judge(trades, [trade for trade in expected if trade[0] < done])
            say(f"{row.name}: {done / seconds:,.0f} commands a second, {row.verdict}")
    return rows


class _NotHereError(Exception):
    """The book can't run here; the message says why."""


# Commands done, seconds, trades.
_Run = Callable[[], tuple[int, float, Sequence[Trade]]]


def _books(flow: Sequence[Step]) -> list[tuple[str, str, _Run]]:
    books: list[tuple[str, str, _Run]] = [
        ("**compiled engine**", "", lambda: _run_ours(FastEngine(plain.PRODUCT), flow)),
        ("reference engine", "", lambda: _run_ours(ReferenceEngine(plain.PRODUCT), flow)),
    ]
    for name, (_, _, lacks) in RIVALS.items():
        books.append((name, lacks, lambda name=name: _run_rival(name, flow)))  # type: ignore[misc]
    lacks = "amends that keep their place, icebergs, funds, GTT (it has stops, IOC, FOK, post-only, OCO)"
    books.append(("nodejs-order-book (Node)", lacks, lambda: _run_node(flow)))
    return books


def _run_ours(engine: FastEngine | ReferenceEngine, flow: Sequence[Step]) -> tuple[int, float, Sequence[Trade]]:
    records, results = plain.records(flow, CHUNK), []
    started, done = time.perf_counter(), 0
    while done < len(records) and time.perf_counter() - started < SECONDS_MAX:
        results.append(engine.apply_record(records[done]).data)
        done += 1
    seconds = time.perf_counter() - started
    return done * CHUNK, seconds, [trade for data in results for trade in plain.trades_of(data)]


def _run_rival(name: str, flow: Sequence[Step]) -> tuple[int, float, Sequence[Trade]]:
    package, make, _ = RIVALS[name]
    if not is_here(package):
        raise _NotHereError("not installed; `make bench-engine` installs it")
    rival = make(flow)
    started, done = time.perf_counter(), 0
    while done < len(flow) and time.perf_counter() - started < SECONDS_MAX:
        rival.run(done, done + CHUNK)
        done += CHUNK
    return done, time.perf_counter() - started, rival.trades()


def _run_node(flow: Sequence[Step]) -> tuple[int, float, Sequence[Trade]]:
    if shutil.which("npm") is None:
        raise _NotHereError("no Node on this machine")
    with tempfile.TemporaryDirectory(prefix="bench-node-") as folder:
        steps = Path(folder) / "steps.json"
        rows = [[step.kind, step.buying, step.price, step.size, step.target] for step in flow]
        steps.write_text(json.dumps(rows), encoding="ascii")
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, NODE_PACKAGE]
        if subprocess.run(install, capture_output=True, check=False, timeout=120).returncode:
            raise _NotHereError("npm could not install it")
        node = subprocess.run(
            ["node", str(NODE_RIVAL), str(steps), folder], capture_output=True, check=True, timeout=120
        )
    told = json.loads(node.stdout)
    return len(flow), float(told["seconds"]), [(trade[0], trade[1], trade[2], trade[3]) for trade in told["trades"]]


def _expected(flow: Sequence[Step]) -> list[Trade]:
    """The trades by the reference engine: everything else is held to them."""
    engine = ReferenceEngine(plain.PRODUCT)
    return [
        trade for record in plain.records(flow, CHUNK) for trade in plain.trades_of(engine.apply_record(record).data)
    ]


def _judge(trades: Sequence[Trade], expected: Sequence[Trade]) -> str:
    if list(trades) == list(expected):
        return f"all {len(expected):,} trades agree"
    both = list(zip(trades, expected, strict=False))
    first = next((number for number, (ours, theirs) in enumerate(both) if ours != theirs), len(both))
    return f"void: trade {first + 1} of {len(expected):,} differs"


def table(rows: Sequence[Row]) -> Iterator[Sequence[str]]:
    """The rows of the page's table, the fastest first."""
    ours = max(row.rate for row in rows)
    yield "order book", "commands a second", "part of ours", "commands", "its trades", "what it lacks"
    for row in sorted(rows, key=lambda row: -row.rate):
        if row.rates:
            part = f"{ours / row.rate:,.0f} times slower" if row.rate * 1.5 < ours else ""
            yield row.name, f"{row.rate:,.0f}", part, f"{row.commands:,}", row.verdict, row.lacks
        else:
            yield row.name, "", "", "", row.verdict, row.lacks
