"""A slice of the simulation, in seconds; `make simulate` runs ten thousand seeds."""

import os

import pytest

from tests.simulation.campaign import told
from tests.simulation.run import run

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "60"))
FIRST = int(os.environ.get("SIMULATION_FIRST", "1"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_whatever_fails_nothing_is_lost_and_all_comes_to_its_end(seed: int) -> None:
    verdict = run(seed)
    assert not verdict.breaches, told(verdict)


@pytest.mark.parametrize("seed", [1, 7, 23])
def test_a_seed_says_all(seed: int) -> None:
    """The same seed twice is the same run, to the last call."""
    first, again = run(seed, tracing=True), run(seed, tracing=True)
    assert first.trace_hash == again.trace_hash
    assert first.steps == again.steps
    assert first.trace_hash != run(seed + 100, tracing=True).trace_hash
