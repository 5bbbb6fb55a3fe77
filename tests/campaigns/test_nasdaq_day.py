"""A whole NASDAQ day through every engine: the fills that the exchange printed, and its best levels after every row.

The day may not be published with the code. EXCHANGE_LOBSTER_DAY names one: a zip or a message file, as `--lobster` of
`exchange demo` takes it.
"""

import os
from pathlib import Path

import pytest

from infra.demo.lobster import Row, read_day
from infra.demo.nasdaq import Day, Step, Take
from tests.campaigns.nasdaq_engine import GOOG, NasdaqEngine
from tests.unit.engine.engines import ENGINES

DATA = Path(
    os.environ.get("EXCHANGE_LOBSTER_DAY", Path(__file__).parents[3] / "shared" / "data" / "GOOG_2012-06-21_1.zip")
)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    if not DATA.is_file():
        pytest.skip(f"no NASDAQ day at {DATA}, and it may not be published: name one with EXCHANGE_LOBSTER_DAY")
    return list(read_day(DATA))


def test_a_real_day_trades_here_as_it_did_on_nasdaq(rows: list[Row]) -> None:
    venues = [NasdaqEngine(engine(GOOG)) for engine in ENGINES]
    day, seen = Day(), 0
    for count, steps in day.steps(rows):
        seen += count
        for venue in venues:
            venue.carry_out(steps)
            assert_filled(venue, steps)
            for buying in (True, False):
                assert venue.best(buying=buying) == rows[seen - 1].best(buying=buying), seen
                assert venue.levels(buying=buying) <= 1
    assert seen == len(rows)
    assert day.counts.takes > 500
    assert day.counts.corrected == 0
    assert len({venue.engine.chain_hash for venue in venues}) == 1
    assert len({venue.engine.snapshot() for venue in venues}) == 1


def assert_filled(venue: NasdaqEngine, steps: list[Step]) -> None:
    """Every order that took got what the run of executions in the file says."""
    for step in steps:
        if isinstance(step, Take):
            assert tuple(sorted(venue.traded[step.number].items())) == step.expected
