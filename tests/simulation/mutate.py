"""Every mutant against the simulation, each in a process of its own; `make mutants` writes the table that comes of it.

python -m tests.simulation.mutate                    all of them
python -m tests.simulation.mutate --mutant NAME      one, in this process
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.mutation import plant

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "reliability.md"
SEEDS_MAX: Final = 10_000
_TABLE: Final = re.compile(r"(<!-- mutants -->\n).*?(<!-- end of mutants -->)", re.DOTALL)


@dataclass(frozen=True)
class Death:
    """How a mutant ended: which seed killed it, and which invariants named it; none: it lives."""

    name: str
    seeds: int
    invariant: str = ""
    text: str = ""


def kill(mutant: Mutant, *, seeds_max: int) -> Death:
    """Run seeds until one names the mutant. Nothing of the exchange may be imported before."""
    plant(mutant)
    from tests.simulation.run import run

    for seed in range(1, seeds_max + 1):
        breaches = run(seed).breaches
        if breaches and not _breaks_unmutated(seed):
            named = ", ".join(dict.fromkeys(breach.invariant for breach in breaches))
            return Death(mutant.name, seed, named, breaches[0].text)
    return Death(mutant.name, seeds_max)


def _breaks_unmutated(seed: int) -> bool:
    """Whether a seed breaks without any mutant as well, which then kills nobody; in a process of its own."""
    return _python("-m", "tests.simulation", "--seed", str(seed)).returncode != 0


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join((str(ROOT), str(ROOT / "functions/shared/python")))
    command, variables = [sys.executable, *arguments], {**os.environ, "PYTHONPATH": paths}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)


def kill_apart(mutant: Mutant, *, seeds_max: int) -> Death:
    """The same in a process of its own."""
    done = _python("-m", "tests.simulation.mutate", "--mutant", mutant.name, "--seeds", str(seeds_max))
    lines = done.stdout.strip().splitlines()
    if not lines:
        return Death(mutant.name, 0, "", done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no answer")
    return Death(**json.loads(lines[-1]))


def kill_all(mutants: Sequence[Mutant], *, seeds_max: int, jobs: int) -> Iterator[Death]:
    """Every mutant's end, in their order."""
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda mutant: kill_apart(mutant, seeds_max=seeds_max), mutants)


def table(deaths: Sequence[Death]) -> str:
    """The page's table."""
    claims = {mutant.name: mutant.claim for mutant in MUTANTS}
    rows = ["| Mutant | What is wrong with it | Killed by | Seeds |", "|---|---|---|---|"]
    rows += [f"| {d.name} | {claims[d.name]} | {d.invariant or 'nothing: it lives'} | {d.seeds} |" for d in deaths]
    return "\n".join(rows) + "\n"


def main() -> int:
    """0 where every mutant was killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutate", description=__doc__)
    parser.add_argument("--mutant", help="this one only")
    parser.add_argument("--seeds", type=int, default=SEEDS_MAX, help="so many at most for each")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--write", action="store_true", help="write the table into docs/reliability.md")
    asked = parser.parse_args()
    if asked.mutant:
        mutant = next(mutant for mutant in MUTANTS if mutant.name == asked.mutant)
        death = kill(mutant, seeds_max=asked.seeds)
        print(json.dumps(asdict(death)))
        return 0 if death.invariant else 1
    deaths = []
    for death in kill_all(MUTANTS, seeds_max=asked.seeds, jobs=asked.jobs):
        deaths.append(death)
        print(f"{death.name:32} {death.invariant or 'LIVES':20} {death.seeds:6}  {death.text[:120]}", flush=True)
    alive = [death.name for death in deaths if not death.invariant]
    print(f"{len(deaths) - len(alive)} of {len(deaths)} mutants killed")
    if asked.write:
        PAGE.write_text(_TABLE.sub(lambda found: found[1] + table(deaths) + found[2], PAGE.read_text()))
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
