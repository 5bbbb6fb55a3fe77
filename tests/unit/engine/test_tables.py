"""The golden tables: what a trader expects of each rule, on every engine there is."""

from pathlib import Path

import pytest

from tests.unit.engine.engines import ENGINES, EngineClass
from tests.unit.engine.tables import ACME, run_table, tables

FOLDER = Path(__file__).parents[2] / "golden" / "engine"
CASES = [
    pytest.param(text, id=f"{path.stem}: {title}")
    for path in sorted(FOLDER.glob("*.txt"))
    for title, text in tables(path)
]


@pytest.mark.parametrize("engine_class", ENGINES)
@pytest.mark.parametrize("table", CASES)
def test_the_table_comes_out_as_written(table: str, engine_class: EngineClass) -> None:
    assert run_table(engine_class(ACME), table) == table
