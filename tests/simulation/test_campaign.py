"""What a failing seed is made into, and what a campaign counts: shown on made-up runs, and on planted bugs."""

import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Collection

import pytest

from tests.simulation.campaign import Tally, campaign, shrink, told
from tests.simulation.faults import Fault, Faults
from tests.simulation.mutate import ROOT
from tests.simulation.plan import Plan
from tests.simulation.run import Breach, Verdict

# A seed that has several faults and several customers' wishes.
SEED = next(seed for seed in range(1, 100) if len(Faults.drawn(seed).rates) > 2 and len(Plan.drawn(seed).intents) > 5)
WISHES = len(Plan.drawn(SEED).intents)
NEEDED, *OTHERS = Faults.drawn(SEED).rates
# Plants a bug before anything of the exchange is imported, then does what it is told to.
PLANTED = """
import runpy, sys
from tests.simulation.mutants import MUTANTS
from tests.simulation.mutation import plant
plant(next(mutant for mutant in MUTANTS if mutant.name == sys.argv[1]))
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
REPLAY = re.compile(r"seed (\d+) breaks (\w+): .*\n.*replay: \.venv/bin/python -m (tests\.simulation .*)")


class Bug:
    """A run that breaks R1 where the needed fault may come and there are so many wishes; and C1 whatever happens."""

    def __init__(self, wishes: int) -> None:
        self.wishes = wishes
        self.runs = 0

    def run(self, seed: int, *, intents_max: int | None = None, without: Collection[Fault] = ()) -> Verdict:
        self.runs += 1
        wishes = WISHES if intents_max is None else intents_max
        shown = NEEDED not in without and wishes >= self.wishes
        broken = [Breach("R1", f"under {wishes}")] if shown else []
        return Verdict(seed, [*broken, Breach("C1", "always")])


@pytest.mark.parametrize("wishes", sorted({0, 1, 2, WISHES // 2, WISHES - 1, WISHES}))
def test_a_failing_seed_is_made_as_small_as_still_breaks_the_same_invariant(wishes: int) -> None:
    small = shrink(SEED, run=Bug(wishes).run)
    assert small is not None
    assert (small.invariant, small.text, small.intents, small.only) == ("R1", f"under {wishes}", wishes, (NEEDED,))
    assert str(small) == (
        f"seed {SEED} breaks R1: under {wishes}\n"
        f'  replay: .venv/bin/python -m tests.simulation --seed {SEED} --intents {wishes} --only "{NEEDED}"'
    )


def test_without_time_a_failing_seed_stays_as_large_as_it_was() -> None:
    bug = Bug(1)
    small = shrink(SEED, seconds_max=0.0, run=bug.run)
    assert small is not None
    assert (bug.runs, small.invariant, small.intents, small.only) == (1, "R1", WISHES, (NEEDED, *OTHERS))


def test_a_seed_that_breaks_nothing_has_nothing_to_be_made_small() -> None:
    assert shrink(SEED) is None
    assert "It broke nothing when it was run again" in told(Verdict(SEED, [Breach("R1", "once")]))


def test_a_fault_that_never_came_is_named() -> None:
    tally = Tally()
    tally.add(Verdict(1, fired=Counter(dict.fromkeys(Fault, 1))))
    assert tally.never_fired() == []
    tally = Tally()
    for seed, fault in enumerate(set(Fault) - {Fault.SNAPSHOT_CUT, Fault.TASK_TWICE}):
        tally.add(Verdict(seed, fired=Counter({fault: 1, Fault.TASK_TWICE: 0})))
    assert tally.never_fired() == [Fault.SNAPSHOT_CUT, Fault.TASK_TWICE]


def test_a_run_in_which_a_fault_never_came_fails() -> None:
    """One seed has some faults; that it broke nothing is not enough."""
    done = python("-m", "tests.simulation", "--seeds", "1", "--jobs", "1")
    assert "0 seeds failed" in done.stdout, done.stderr
    assert "these faults never came, so nothing shows that they are survived: " in done.stdout
    assert done.returncode == 1


def test_a_campaign_is_the_same_on_one_core_and_on_two() -> None:
    alone, together = ([verdict.steps for verdict in campaign(5, 27, jobs=jobs)] for jobs in (1, 2))
    assert alone == together
    assert len(alone) == 27


@pytest.mark.parametrize(("mutant", "invariant"), [("fee-rounds-to-customer", "L6"), ("timeout-is-rejected", "C1")])
def test_a_planted_bug_fails_the_slice_which_says_what_replays_it(mutant: str, invariant: str) -> None:
    """What CI runs, with a bug planted: it fails, says the least that breaks, and that breaks the same again."""
    slice_of_ci = ("pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/simulation/test_simulation.py", "-k", "lost")
    failed = python("-c", PLANTED, mutant, *slice_of_ci)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    said = REPLAY.search(failed.stdout)
    assert said, failed.stdout
    seed, named, command = said.groups()
    assert named == invariant
    module, *arguments = shlex.split(command)
    wishes, faults = int(arguments[3]), {Fault(name) for name in arguments[5].split(",") if name}
    assert wishes < len(Plan.drawn(int(seed)).intents)
    assert faults <= set(Faults.drawn(int(seed)).rates)
    again = python("-c", PLANTED, mutant, module, *arguments)
    assert again.returncode == 1, again.stderr
    assert f"\n{invariant}: " in f"\n{again.stdout}"
    without_the_bug = python("-m", module, *arguments)
    assert without_the_bug.returncode == 0, without_the_bug.stdout + without_the_bug.stderr


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with such arguments, in the repository's root."""
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
