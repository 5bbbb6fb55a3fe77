"""What is around the engine: the container's pipeline, the replay tool, recovery."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeVar

from bench.engines.flow import PARAMETERS, PRODUCT, PRODUCT_ID, Mix, mix, records_of
from bench.engines.json_flow import lines
from infra.local.settings import ROOT
from matcher.engine import Engine
from matcher.markets import Market
from matcher.stream_reader import stream_record

COMMANDS: Final = 1_000_000
RECORDS_A_READ: Final = 10
BOOK: Final = 100_000
TAIL: Final = 1_000_000
LINES: Final = 400_000
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stream records in, records of the executions stream out."""

    rates: dict[int, float]
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class Tool:
    """The replay tool as it is called, start-up and all; journal_rate is what it says of itself."""

    lines_rate: float
    pack_rate: float
    journal_lines_rate: float
    journal_hash_rate: float
    agree: bool


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds to be where one was: a saved book of BOOK orders and a tail of TAIL commands."""

    save: float
    snapshot_bytes: int
    restore: float
    tail: float


def measure_pipeline(seed: int, runs: int) -> Pipeline:
    """What ShardLoop does between a read and a publish, without lease and network; by commands in a stream record."""
    commands = mix(seed, COMMANDS)
    rates: dict[int, list[float]] = {100: [], 1_000: []}
    size_in = size_out = 0
    for size, found in rates.items():
        raw = [_as_kinesis_gives(number, data) for number, data in enumerate(records_of(commands, size), start=1)]
        for _ in range(runs):
            market = Market(PRODUCT_ID, Engine(PRODUCT))
            started = time.perf_counter()
            size_out = sum(map(len, _drained(market, raw, RECORDS_A_READ)))
            found.append(COMMANDS / (time.perf_counter() - started))
        size_in = sum(len(record["Data"]) for record in raw)
    return Pipeline({size: median(found) for size, found in rates.items()}, size_in, size_out)


def _as_kinesis_gives(number: int, data: bytes) -> dict[str, Any]:
    return {
        "SequenceNumber": str(number),
        "ApproximateArrivalTimestamp": datetime.fromtimestamp(number, UTC),
        "PartitionKey": PRODUCT_ID,
        "Data": data,
    }


def _drained(market: Market, raw: Sequence[dict[str, Any]], records_a_read: int) -> list[bytes]:
    """Everything that a market says, drained after each read."""
    said: list[bytes] = []
    for start in range(0, len(raw), records_a_read):
        for record in raw[start : start + records_a_read]:
            market.accept(stream_record(record))
        said += market.drain(epoch=1)
    return said


def measure_recovery(seed: int, runs: int) -> Recovery:
    """Restore a saved engine and carry out what came since, as a new leader does with what it published already."""
    flow = Mix(seed, resting=BOOK)
    engine = Engine(PRODUCT)
    for record in records_of(list(flow.book(BOOK)), 1_000):
        engine.apply_record(record)
    save, snapshot = _timed(engine.snapshot)
    tail = records_of(list(islice(flow.commands(), TAIL)), 1_000)
    restores, tails = [], []
    for _ in range(runs):
        restore, again = _timed(lambda: Engine.restore(snapshot))
        market = Market(PRODUCT_ID, again)
        raw = [_as_kinesis_gives(number, data) for number, data in enumerate(tail, start=1)]
        started = time.perf_counter()
        for given in raw:
            market.accept(stream_record(given))
        market.forget()
        tails.append(time.perf_counter() - started)
        restores.append(restore)
    return Recovery(save, len(snapshot), median(restores), median(tails))


def _timed(work: Callable[[], _Result]) -> tuple[float, _Result]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def measure_tool(seed: int, runs: int) -> Tool:
    """Call the tool with LINES lines, `runs` times each way."""
    with tempfile.TemporaryDirectory(prefix="bench-tool-") as name:
        folder = Path(name)
        commands, product, journal = folder / "commands.jsonl", folder / "product.json", folder / "commands.journal"
        with commands.open("wb") as file:
            file.writelines(lines(mix(seed, LINES)))
        texts = {field: text for field, text in asdict(PARAMETERS).items() if text}
        product.write_text(json.dumps({"product_id": PRODUCT_ID, **texts}), encoding="ascii")
        seconds: dict[str, list[float]] = {"lines": [], "pack": [], "journal": [], "hash": []}
        for _ in range(runs):
            seconds["pack"].append(_call(folder / "commands.journal", "pack", product, str(commands)))
            seconds["lines"].append(_call(folder / "lines", "replay", product, str(commands)))
            seconds["journal"].append(_call(folder / "again", "replay", product, "--journal", str(journal)))
            seconds["hash"].append(_told(product, journal))
        agree = (folder / "lines").read_bytes() == (folder / "again").read_bytes()
    rates = {what: LINES / median(found) for what, found in seconds.items()}
    return Tool(rates["lines"], rates["pack"], rates["journal"], rates["hash"], agree)


def _command(verb: str, product: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "matcher", verb, "--product", str(product), *arguments]


def _call(output: Path, verb: str, product: Path, *arguments: str) -> float:
    with output.open("wb") as file:
        started = time.perf_counter()
        subprocess.run(
            _command(verb, product, *arguments), stdout=file, stderr=subprocess.DEVNULL, check=True, cwd=ROOT
        )
        return time.perf_counter() - started


def _told(product: Path, journal: Path) -> float:
    """The seconds of matching in the tool's last line."""
    run = subprocess.run(
        _command("replay", product, "--journal", str(journal), "--hash"), capture_output=True, check=True, cwd=ROOT
    )
    return float(run.stderr.decode().split(" in ")[1].split(" s ")[0])
