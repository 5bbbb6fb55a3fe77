"""The pages that say what shows a claim: no row without a test, and each test named there is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from exchange.ledger.chart import HOUSE_SIDES

from tests.contract.cloud_definition import ROOT

TEST_ID = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
FAULTS = [str(number) for number in range(1, 25)]
OWASP = [f"API{number}" for number in range(1, 11)]


def rows(page: str, first: re.Pattern[str]) -> dict[str, str]:
    """The rows of a page's tables whose first cell is such a name, by it."""
    found = {}
    for line in (ROOT / "docs" / page).read_text().splitlines():
        cell = line.strip("|").split("|")[0].strip() if line.startswith("|") else ""
        if first.fullmatch(cell):
            assert cell not in found, f"{page}: {cell} twice"
            found[cell] = line
    return found


@cache
def collected_from(path: str) -> frozenset[str]:
    """The tests that pytest collects from a file: functions and classes of tests at its top."""
    tree = ast.parse((ROOT / path).read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return frozenset(name for name in functions | assigned if name.lower().startswith("test"))


def test_every_fault_of_the_matrix_has_its_row_and_its_test() -> None:
    found = rows("reliability.md", re.compile(r"\d+"))
    assert list(found) == FAULTS
    assert [number for number, row in found.items() if not TEST_ID.search(row)] == []


def test_every_risk_of_owasp_has_its_row_and_its_test() -> None:
    found = rows("security.md", re.compile(r"API\d+"))
    assert list(found) == OWASP
    assert [name for name, row in found.items() if not TEST_ID.search(row)] == []


@pytest.mark.parametrize("page", ["reliability.md", "security.md"])
def test_each_test_that_a_page_names_is_there(page: str) -> None:
    named = TEST_ID.findall((ROOT / "docs" / page).read_text())
    assert len(named) > 20
    missing = [
        f"{path}::{name}" for path, name in named if not (ROOT / path).exists() or name not in collected_from(path)
    ]
    assert missing == []


PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_file_of_tests_that_a_page_names_is_there(page: Path) -> None:
    """By its path, or by its name where a page has told the folder just before."""
    names = {path.name for path in ROOT.glob("tests/**/*.py")}
    told = re.findall(r"`((?:tests/)?[\w/]*test_\w+\.py)`", page.read_text())
    assert [name for name in told if not ((ROOT / name).exists() if "/" in name else name in names)] == []


def test_the_books_page_has_every_word_of_the_chart_of_accounts() -> None:
    headings = re.findall(r"^\| (\w+):?", (ROOT / "docs/books.md").read_text(), re.MULTILINE)
    assert set(HOUSE_SIDES) - set(headings) == set()
