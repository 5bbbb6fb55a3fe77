"""Measure the engine, and write its part of docs/benchmarks.md: `python -m bench.engines`."""

import argparse
import time
from pathlib import Path

from bench import machine
from bench.engines import around, beside, document, speed, takeover
from bench.page import PAGE, write_part
from matcher.engine import COMPILED


def main() -> None:
    """Measure and write; or, with `takeover`, only kill leaders and tell."""
    parser = argparse.ArgumentParser(prog="bench.engines", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("all", "takeover"), default="all", help="all, or only this")
    parser.add_argument("--runs", type=int, default=5, help="how often each thing is measured")
    parser.add_argument("--kills", type=int, default=5, help="how often a leader is killed; 0 leaves it out")
    parser.add_argument("--seed", type=int, default=20261122, help="of every flow")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write into")
    options = parser.parse_args()
    if not COMPILED:
        parser.exit(1, "the engine is not compiled here: `make setup` with a C compiler\n")
    print(f"seed {options.seed}", flush=True)
    if options.what == "takeover":
        print(takeover.measure_takeover(options.seed, options.kills))
        return
    measured = _measure(options.seed, options.runs, options.kills)
    write_part(options.output, "engine", document.document(measured))
    print(f"Written: {options.output}")


def _measure(seed: int, runs: int, kills: int) -> document.Measured:
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:4.0f} s  {text}", flush=True)

    described = machine.describe()
    rows = beside.compare(seed, runs, say)
    alone = speed.measure_speed(seed, runs)
    say(f"full mix: {alone.by_batch[1_000]:,.0f} commands a second, on a deep book {alone.deep:,.0f}")
    latency = speed.measure_latency(seed)
    say(f"a single call: p99.9 {speed.at(latency.core, 0.999)} ns")
    memory = speed.measure_memory(seed)
    say(f"memory: {memory.by_orders}")
    pipeline = around.measure_pipeline(seed, runs)
    say(f"pipeline: {pipeline.rates}")
    tool = around.measure_tool(seed, runs)
    say(f"replay: {tool.lines_rate:,.0f} lines a second")
    recovery = around.measure_recovery(seed, runs)
    say(f"recovery: {recovery.restore + recovery.tail:.2f} s")
    taken = takeover.measure_takeover(seed, kills) if kills else None
    say(f"takeover: {taken.seconds if taken else 'left out'}")
    return document.Measured(described, seed, runs, rows, alone, latency, memory, pipeline, tool, recovery, taken)


if __name__ == "__main__":
    main()
