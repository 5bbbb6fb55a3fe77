"""Measure a running exchange, and write the trading part of docs/benchmarks.md."""

import argparse
import asyncio
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bench import costs, laptop, load, machine, market_data, sockets
from bench.document import Measured, document, figures_of
from bench.page import PAGE, read_parts, write_part

CLIENTS = (1, 16, 64)
SOCKET_TRADES = 200
COUNTED_CLIENTS = 16


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="how often each number of clients is measured")
    parser.add_argument("--orders", type=int, default=800, help="orders a run")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write")
    options = parser.parse_args()
    described, started = machine.describe(), time.monotonic()
    runs: dict[int, list[load.Run]] = {clients: [] for clients in CLIENTS}
    latencies: dict[int, list[float]] = {}
    with laptop.running(customers=max(CLIENTS) + 1) as bench:
        asyncio.run(load.throughput(bench, max(CLIENTS), 100, "warm"))
        for number in range(options.runs):
            for clients in CLIENTS:
                run = asyncio.run(load.throughput(bench, clients, options.orders, f"run{number}-{clients}"))
                print(
                    f"{clients} clients: {run.accepted_rate:.0f} orders a second, {run.settled_rate:.0f} settled",
                    flush=True,
                )
                runs[clients].append(run)
        for clients in CLIENTS:
            latencies[clients] = asyncio.run(load.latency(bench, clients, options.orders // 4, f"latency-{clients}"))
            print(f"{clients} clients: {load.percentile(latencies[clients], 50) * 1000:.0f} ms to settled", flush=True)
        delays = asyncio.run(sockets.delays(bench, SOCKET_TRADES))
        print(f"{load.percentile(delays.from_trade, 50) * 1000:.0f} ms from trade to message", flush=True)
    # In a process of its own: PynamoDB's connections belong to the first laptop cloud of theirs.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        phases = executor.submit(costs.count_apart, COUNTED_CLIENTS).result()
    for phase in phases:
        print(f"a million times {phase.title}: {costs.dollars_a_million(phase):.2f} dollars", flush=True)
    rebuilt = market_data.measure()
    seconds = time.monotonic() - started
    measured = Measured(described, runs, latencies, delays, phases, options.orders, load.POLL_SECONDS, rebuilt, seconds)
    before = figures_of(read_parts(options.output).get("trading", ""))
    write_part(options.output, "trading", document(measured, before))
    print(f"Written: {options.output}")


if __name__ == "__main__":
    main()
