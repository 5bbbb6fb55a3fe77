"""The tables of docs/reliability.md that commands fill: they tell of the mutants and the faults that there are."""

import re

import pytest
from exchange.audit import World, check

from tests.contract.cloud_definition import ROOT
from tests.simulation.faults import Fault
from tests.simulation.mutants import MUTANTS
from tests.simulation.mutate import SEEDS_MAX

PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")
NOTHING = World({}, (), {}, (), (), (), {}, {}, {}, {})
# What the simulation itself asks for: that everything comes to its end, and that no assertion of the code fails.
OF_THE_SIMULATION = {"V1", "V2", "V3", "V4", "I1"}
INVARIANTS = {finding.name for finding in check(NOTHING)} | OF_THE_SIMULATION


def table(name: str) -> list[list[str]]:
    """The cells of the rows between a table's marks, without its head."""
    [between] = re.findall(rf"<!-- {name} -->\n(.*?)<!-- end of {name} -->", PAGE, re.DOTALL)
    lines = [line for line in between.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_table_of_mutants_tells_of_each_that_there_is_and_of_no_other() -> None:
    told = {row[0]: row[1] for row in table("mutants")}
    assert len(told) == len(table("mutants")), "one of them is there twice"
    assert told == {mutant.name: mutant.claim for mutant in MUTANTS}, "run `make mutants`"


@pytest.mark.parametrize("row", table("mutants"), ids=lambda row: row[0])
def test_a_mutant_was_killed_by_an_invariant_s_name_within_the_seeds(row: list[str]) -> None:
    _, _, killers, seeds = row
    assert set(killers.split(", ")) <= INVARIANTS, "run `make mutants`"
    assert 1 <= int(seeds) <= SEEDS_MAX


def test_the_table_of_faults_tells_of_each_kind_and_of_no_other() -> None:
    rows = table("campaign")
    assert sorted(fault for fault, _ in rows) == sorted(Fault), "run `make simulate`"


@pytest.mark.parametrize("row", table("campaign"), ids=lambda row: row[0])
def test_a_fault_came_at_all(row: list[str]) -> None:
    assert int(row[1].replace(",", "")) > 0, "what nobody did is not shown to be survived"
