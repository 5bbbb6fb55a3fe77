"""Every mutant fits the code as it is; a few that die fast are killed here, the rest by `make mutants`."""

import importlib.util
from pathlib import Path

import pytest
from exchange.audit.service import CHECKS

from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.mutate import kill_apart
from tests.simulation.mutation import changed

SEEDS_MAX = 60
QUICK = {
    "new-id-on-retry": "C4",
    "order-put-over-order": "H1",
    "fee-rounds-to-customer": "L6",
    "fee-income-lost": "L1",
    "seller-gets-gross": "L1",
    "chain-not-carried": "L5",
}


def test_there_are_enough_of_them_and_each_has_a_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 40
    assert len(CHECKS) >= 30


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_replaces_what_is_there(mutant: Mutant) -> None:
    for module in {change.module for change in mutant.changes}:
        spec = importlib.util.find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin).read_text(encoding="utf-8")
        own = [change for change in mutant.changes if change.module == module]
        compile(changed(source, own), module, "exec")


@pytest.mark.parametrize("name", QUICK)
def test_a_mutant_is_killed_by_name(name: str) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    death = kill_apart(mutant, seeds_max=SEEDS_MAX)
    assert QUICK[name] in death.invariant.split(", "), death
