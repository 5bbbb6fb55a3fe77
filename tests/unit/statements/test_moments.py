"""A balance at a past moment is what the journal had posted by then, however the lines came onto the statement."""

from dataclasses import dataclass, field

import pytest
from exchange.ledger.model import EntryKind
from exchange.statements.model import Line, Page
from exchange.statements.moments import DISORDER_NS, balance_at
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.statements import FakeStatements

ACCOUNT, ASSET = "1", "USD"
LATE = st.integers(0, DISORDER_NS)


@dataclass
class Counted(FakeStatements):
    """Counts the pages that are read."""

    read: list[int] = field(default_factory=list)

    def page_with(self, account: str, asset: str, number: int) -> Page:
        self.read.append(number)
        return super().page_with(account, asset, number)


def statement(lines: list[tuple[int, int]], page_lines: int) -> Counted:
    """A statement of lines (posted at, units) in pages of so many."""
    made, opening = Counted(), 0
    for first in range(0, len(lines), page_lines):
        chosen = lines[first : first + page_lines]
        rows = [Line(units, EntryKind.MATCH, "1", "product:A-USD", at_ns) for at_ns, units in chosen]
        page = Page(ACCOUNT, ASSET, first + 1, opening, tuple(rows))
        made.append(page)
        opening = page.closing
    return made


@given(
    steps=st.lists(st.tuples(st.integers(0, 3 * DISORDER_NS), LATE, st.integers(-50, 50)), max_size=60),
    page_lines=st.integers(1, 7),
    where=st.floats(-0.1, 1.1),
)
def test_it_is_the_sum_of_what_was_posted_by_then(
    steps: list[tuple[int, int, int]], page_lines: int, where: float
) -> None:
    lines, now = [], 10**18
    for passed, late, units in steps:  # A line is written at `now`, and was posted up to an hour before.
        now += passed
        lines.append((now - late, units))
    at_ns = 10**18 + int((now - 10**18) * where)
    wanted = sum(units for posted, units in lines if posted <= at_ns)
    assert balance_at(ACCOUNT, ASSET, at_ns, statement(lines, page_lines)) == wanted


def test_an_account_that_never_had_any_has_nothing() -> None:
    assert balance_at(ACCOUNT, ASSET, 10**18, FakeStatements()) == 0


@pytest.mark.parametrize("at", [0, 1, 7_777, 19_999, 30_000])
def test_a_long_statement_costs_a_few_pages(at: int) -> None:
    day = 86_400 * 10**9
    made = statement([(number * day, 1) for number in range(20_000)], 10)
    assert balance_at(ACCOUNT, ASSET, at * day, made) == min(at + 1, 20_000)
    assert len(made.read) < 16
