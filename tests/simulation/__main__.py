"""The simulation from the command line; `make simulate` and `make mutants` are its names."""

import argparse
import os
import sys
import time

from tests.simulation.campaign import SHRUNK_MAX, Tally, campaign, shrink
from tests.simulation.faults import Fault
from tests.simulation.run import run


def main() -> int:
    """Run one seed or many; 1 where anything broke, or a fault never came."""
    asked = _arguments()
    if asked.seed is not None:
        return _one(asked)
    tally, began = Tally(), time.monotonic()
    for verdict in campaign(asked.first, asked.seeds, jobs=asked.jobs):
        tally.add(verdict)
        if verdict.breaches:
            print(f"seed {verdict.seed}: " + "; ".join(f"{b.invariant} {b.text}" for b in verdict.breaches[:3]))
        if tally.seeds % 1000 == 0:
            print(f"{tally.seeds} seeds, {len(tally.failed)} failed", flush=True)
    return _report(tally, time.monotonic() - began, asked.jobs)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first one")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--seed", type=int, help="this one only")
    parser.add_argument("--intents", type=int, help="only the first so many wishes of its customers")
    parser.add_argument("--without", default="", help="faults to leave out, by name, with commas")
    parser.add_argument("--only", help="of the seed's faults only these")
    return parser.parse_args()


def _one(asked: argparse.Namespace) -> int:
    without = _faults(asked.without)
    if asked.only is not None:
        without |= set(Fault) - _faults(asked.only)
    verdict = run(asked.seed, intents_max=asked.intents, without=without, tracing=True)
    for breach in verdict.breaches:
        print(f"{breach.invariant}: {breach.text}")
    print(
        f"seed {verdict.seed}: {verdict.steps} steps, {verdict.orders} orders, {verdict.trades} trades, "
        f"{verdict.transfers} transfers, trace {verdict.trace_hash}"
    )
    for fault, count in verdict.fired.most_common():
        print(f"  {count:6} {fault}")
    return 1 if verdict.breaches else 0


def _faults(names: str) -> set[Fault]:
    return {Fault(name) for name in names.split(",") if name}


def _report(tally: Tally, seconds: float, jobs: int) -> int:
    print(
        f"{tally.seeds} seeds in {seconds:.0f} s on {jobs} cores "
        f"({60 * tally.seeds / max(tally.seconds, 0.001):.0f} a minute of one core's own time): {tally.steps} steps, "
        f"{tally.orders} orders, {tally.trades} trades, {tally.transfers} transfers"
    )
    for fault in Fault:
        print(f"  {tally.fired[fault]:9} {fault}")
    for verdict in tally.failed[:SHRUNK_MAX]:
        small = shrink(verdict.seed)
        if small is not None:
            print(f"seed {small.seed} breaks {small.invariant}: {small.text}\n  replay: {small.command}")
    never = tally.never_fired()
    if never:
        print("these faults never came, so nothing shows that they are survived: " + ", ".join(never))
    print(f"{len(tally.failed)} seeds failed")
    return 1 if tally.failed or never else 0


if __name__ == "__main__":
    sys.exit(main())
