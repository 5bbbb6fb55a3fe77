"""The rules are switched while old matchers run: they stop, the next release goes on, nothing is lost or doubled."""

from collections.abc import Mapping

import pytest

from tests.simulation.faults import Fault
from tests.simulation.run import Simulation, Verdict

ROLL = {Fault.RULES_SWITCHED: 0.3, Fault.RELEASE_CHANGED: 0.1}
REGRET = {Fault.RELEASE_TAKEN_BACK: 1.0}


def rolled(seed: int, rates: Mapping[Fault, float]) -> Verdict:
    """A run in which nothing else goes wrong."""
    simulation = Simulation(seed)
    simulation.faults.rates.clear()
    simulation.faults.rates.update(rates)
    return simulation.run()


@pytest.mark.parametrize("seeds", [range(1, 7), range(7, 13)], ids=str)
def test_old_matchers_stop_at_rules_they_do_not_know_and_the_next_release_goes_on(seeds: range) -> None:
    verdicts = [rolled(seed, ROLL) for seed in seeds]
    assert [breach for verdict in verdicts for breach in verdict.breaches] == []
    assert sum(verdict.fired[Fault.OLD_RELEASE_STOPPED] for verdict in verdicts) > 0


def test_a_release_that_is_taken_back_stops_at_the_snapshots_of_the_one_after_it() -> None:
    verdicts = [rolled(seed, REGRET) for seed in range(16, 36)]
    assert [breach for verdict in verdicts for breach in verdict.breaches] == []
    assert sum(verdict.fired[Fault.RELEASE_TAKEN_BACK] for verdict in verdicts) > 0
    assert sum(verdict.fired[Fault.OLD_RELEASE_AT_SNAPSHOT] for verdict in verdicts) > 0
