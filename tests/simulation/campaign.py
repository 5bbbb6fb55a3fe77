"""Many seeds: run on several cores, counted, and the failing ones made small.

python -m tests.simulation --seeds 10000            ten thousand seeds
python -m tests.simulation --seed 4711              one, with its trace hash
python -m tests.simulation --seed 4711 --intents 6 --only "answer lost"
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from tests.simulation.faults import Fault, Faults
from tests.simulation.plan import Plan
from tests.simulation.run import Verdict, run

SEEDS_PER_JOB: Final = 25
SHRUNK_MAX: Final = 3  # failing seeds are made small, so many at most


@dataclass
class Tally:
    """What came of many seeds."""

    seeds: int = 0
    steps: int = 0
    orders: int = 0
    trades: int = 0
    transfers: int = 0
    seconds: float = 0.0
    fired: Counter[Fault] = field(default_factory=Counter)
    failed: list[Verdict] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count one in."""
        self.seeds += 1
        self.steps += verdict.steps
        self.orders += verdict.orders
        self.trades += verdict.trades
        self.transfers += verdict.transfers
        self.seconds += verdict.seconds
        self.fired += verdict.fired
        if verdict.breaches:
            self.failed.append(verdict)

    def never_fired(self) -> list[Fault]:
        """The faults that never came: what nobody did is not shown to be survived."""
        return [fault for fault in Fault if not self.fired[fault]]


def campaign(first: int, count: int, *, jobs: int) -> Iterator[Verdict]:
    """Run seeds, each in the order of its number within its job; yields what came of them as they end."""
    chunks = [
        range(start, min(start + SEEDS_PER_JOB, first + count)) for start in range(first, first + count, SEEDS_PER_JOB)
    ]
    if jobs == 1:
        for chunk in chunks:
            yield from run_all(chunk)
        return
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        for verdicts in pool.map(run_all, chunks):
            yield from verdicts


def run_all(seeds: Iterable[int]) -> list[Verdict]:
    """Run some seeds in this process. A seed that fails in the simulation itself says so."""
    gc.collect()
    gc.freeze()
    gc.disable()  # garbage is a seed's whole world: looked for once, when it has ended
    verdicts = []
    for seed in seeds:
        try:
            verdicts.append(run(seed))
        except BaseException as error:
            error.add_note(f"in seed {seed}: python -m tests.simulation --seed {seed}")
            raise
        gc.collect()
    gc.enable()
    return verdicts


@dataclass(frozen=True)
class Shrunk:
    """A failing seed with as little as still breaks the same invariant."""

    seed: int
    invariant: str
    text: str
    intents: int
    only: tuple[Fault, ...]

    @property
    def command(self) -> str:
        """What replays it, from the repository's root."""
        only = ",".join(self.only)
        return f'.venv/bin/python -m tests.simulation --seed {self.seed} --intents {self.intents} --only "{only}"'

    def __str__(self) -> str:
        return f"seed {self.seed} breaks {self.invariant}: {self.text}\n  replay: {self.command}"


def shrink(seed: int, *, seconds_max: float = 60.0, run: Callable[..., Verdict] = run) -> Shrunk | None:
    """Leave out faults, then intents, for as long as the first invariant that broke still breaks.

    None where the seed breaks nothing.
    """
    first = run(seed)
    if not first.breaches:
        return None
    name, deadline = first.breaches[0].invariant, time.monotonic() + seconds_max
    intents = len(Plan.drawn(seed).intents)

    def breaks(count: int, without: Collection[Fault]) -> str:
        if time.monotonic() > deadline:
            return ""
        found = run(seed, intents_max=count, without=without).breaches
        return next((breach.text for breach in found if breach.invariant == name), "")

    without: tuple[Fault, ...] = ()
    text = first.breaches[0].text
    drawn = tuple(Faults.drawn(seed).rates)  # the others never come in this seed
    for fault in drawn:
        shown = breaks(intents, (*without, fault))
        if shown:
            without, text = (*without, fault), shown
    low, high = 0, intents
    while low < high:
        middle = (low + high) // 2
        shown = breaks(middle, without)
        if shown:
            high, text = middle, shown
        else:
            low = middle + 1
    return Shrunk(seed, name, text, high, tuple(fault for fault in drawn if fault not in without))


def told(verdict: Verdict) -> str:
    """What a seed broke, and the least that breaks it again; for whoever reads why a test failed."""
    broke = "\n".join(f"{breach.invariant}: {breach.text}" for breach in verdict.breaches)
    small = shrink(verdict.seed)
    return f"{broke}\n{small or 'It broke nothing when it was run again, so a seed does not say all.'}"
