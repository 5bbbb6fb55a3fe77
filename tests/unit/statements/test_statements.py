"""Statements: every entry once, numbered, with running balances, whoever writes and however often."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from exchange.aws.dynamodb import bind
from exchange.ledger.model import Batch, Entry, EntryKind, Head, next_batch
from exchange.statements.model import LINES_PER_PAGE_MAX, Page, next_page
from exchange.statements.service import bring_up
from exchange.statements.store import StatementCursorItem, StatementItem, StatementStore
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from tests.fakes.statements import FakeStatements
from tests.fakes.tables import create_tables


@dataclass
class Books:
    """A journal in memory, of partitions that grow batch by batch."""

    chains: dict[str, list[Batch]] = field(default_factory=lambda: defaultdict(list))

    def batches(self, partition: str, *, after: int) -> Iterator[tuple[Batch, bytes]]:
        """The batches behind a number."""
        for batch in self.chains[partition]:
            if batch.number > after:
                yield batch, batch.hash()

    def post(self, partition: str, *legs: tuple[str, str, int], reference: str = "1") -> Batch:
        """Append a batch of legs."""
        chain = self.chains[partition]
        head = Head(chain[-1].number, chain[-1].hash()) if chain else Head()
        entries = [Entry(account, asset, units, EntryKind.MATCH, reference) for account, asset, units in legs]
        chain.append(
            next_batch(head, partition=partition, posted_at_ns=len(chain), reference=reference, entries=entries)
        )
        return chain[-1]


def _no_pause(_attempt: int) -> None:
    pass


@pytest.fixture(params=["memory", "dynamodb"])
def statements(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each test twice: over the fake, and over the real store."""
    if request.param == "memory":
        yield FakeStatements()
        return
    with mock_aws():
        create_tables("statements", "checkpoints")
        bind(StatementItem, "statements")
        bind(StatementCursorItem, "checkpoints")
        yield StatementStore()


def _trade(books: Books, buyer: str, seller: str, price: int) -> None:
    books.post(
        "product:ACME-USD", (buyer, "ACME", 5), (buyer, "USD", -price), (seller, "ACME", -5), (seller, "USD", price)
    )


def test_lines_are_numbered_and_balances_run(statements: Any) -> None:
    books = Books()
    for price in (10, 20, 30):
        _trade(books, "7", "8", price)
    assert bring_up("product:ACME-USD", journal=books, statements=statements, pause=_no_pause) == 3
    page = statements.head("7", "USD")
    assert [(number, line.units, after) for number, line, after in page.numbered()] == [
        (1, -10, -10),
        (2, -20, -30),
        (3, -30, -60),
    ]
    assert {line.bought for line in page.lines} == {True}
    assert {line.bought for line in statements.head("8", "USD").lines} == {False}
    assert statements.reached("product:ACME-USD") == 3


def test_nothing_is_written_twice(statements: Any) -> None:
    books = Books()
    _trade(books, "7", "8", 10)
    for _ in range(3):
        bring_up("product:ACME-USD", journal=books, statements=statements, pause=_no_pause)
    statements.reach("product:ACME-USD", 0)  # a smaller number is not taken
    assert statements.reached("product:ACME-USD") == 1
    assert statements.head("7", "USD").next_number == 2


def test_a_crash_before_the_cursor_writes_nothing_twice(statements: Any) -> None:
    books = Books()
    _trade(books, "7", "8", 10)
    (batch,) = books.chains["product:ACME-USD"]
    page = next_page(statements.head("7", "USD"), [batch])
    assert page is not None
    assert statements.append(page)  # and here the process ended
    bring_up("product:ACME-USD", journal=books, statements=statements, pause=_no_pause)
    assert statements.head("7", "USD").next_number == 2
    assert statements.head("8", "ACME").closing == -5


def test_a_page_is_put_once(statements: Any) -> None:
    books = Books()
    _trade(books, "7", "8", 10)
    page = next_page(Page("7", "USD"), books.chains["product:ACME-USD"])
    assert page is not None
    assert statements.append(page)
    assert not statements.append(page)


def test_pages_lead_both_ways(statements: Any) -> None:
    books = Books()
    for price in range(1, 8):
        _trade(books, "7", "8", price)
        bring_up("product:ACME-USD", journal=books, statements=statements, pause=_no_pause)
    assert [page.first for page in statements.pages("7", "USD", before=None)] == [7, 6, 5, 4, 3, 2, 1]
    assert [page.first for page in statements.pages("7", "USD", before=3)] == [2, 1]
    assert [page.first for page in statements.pages_from("7", "USD", number=5)] == [5, 6, 7]
    assert not list(statements.pages("9", "USD", before=None))


def test_a_long_backlog_is_cut_into_pages(statements: Any) -> None:
    books = Books()
    for price in range(1, LINES_PER_PAGE_MAX + 21):
        _trade(books, "7", "8", price)
    bring_up("product:ACME-USD", journal=books, statements=statements, pause=_no_pause)
    pages = list(statements.pages_from("7", "USD", number=1))
    assert all(len(page.lines) <= LINES_PER_PAGE_MAX for page in pages)
    assert sum(len(page.lines) for page in pages) == LINES_PER_PAGE_MAX + 20
    assert pages[-1].closing == -sum(range(1, LINES_PER_PAGE_MAX + 21))


def test_partitions_meet_on_one_statement(statements: Any) -> None:
    books = Books()
    _trade(books, "7", "8", 10)
    books.post("rail:bank", ("house:custody:bank", "USD", -100), ("7", "USD", 100))
    for partition in ("rail:bank", "product:ACME-USD", "rail:bank"):
        bring_up(partition, journal=books, statements=statements, pause=_no_pause)
    head = statements.head("7", "USD")
    assert head.closing == 90
    assert head.cursors == {"rail:bank": 1, "product:ACME-USD": 1}


class Overtaken(FakeStatements):
    """Statements where somebody else is faster now and then."""

    def __init__(self, books: Books, partitions: list[str], turns: list[int]) -> None:
        super().__init__()
        self.books, self.partitions, self.turns = books, partitions, turns

    def append(self, page: Page) -> bool:
        """Let another writer in first where it is its turn."""
        if self.turns:
            turn = self.turns.pop()
            if turn:
                bring_up(
                    self.partitions[turn % len(self.partitions)], journal=self.books, statements=self, pause=_no_pause
                )
        return super().append(page)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    trades=st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from("78"), st.integers(1, 50)), max_size=25),
    turns=st.lists(st.integers(0, 3), max_size=60),
    order=st.lists(st.sampled_from("ABC"), min_size=1, max_size=30),
)
def test_every_entry_is_on_its_statement_once_whoever_writes(
    trades: list[tuple[str, str, int]], turns: list[int], order: list[str]
) -> None:
    books = Books()
    partitions = [f"product:{name}-USD" for name in "ABC"]
    for name, buyer, price in trades:
        seller = "8" if buyer == "7" else "7"
        books.post(
            f"product:{name}-USD", (buyer, name, 1), (buyer, "USD", -price), (seller, name, -1), (seller, "USD", price)
        )
    statements = Overtaken(books, partitions, turns)
    for name in [*order, *"ABC"]:
        bring_up(f"product:{name}-USD", journal=books, statements=statements, pause=_no_pause)
    wanted: dict[tuple[str, str], int] = defaultdict(int)
    counted: dict[tuple[str, str], int] = defaultdict(int)
    for chain in books.chains.values():
        for entry in [entry for batch in chain for entry in batch.entries]:
            wanted[entry.account, entry.asset] += entry.units
            counted[entry.account, entry.asset] += 1
    for (account, asset), units in wanted.items():
        pages = list(statements.pages_from(account, asset, number=1))
        assert pages[-1].closing == units
        assert pages[-1].next_number == counted[account, asset] + 1
        for older, newer in pairwise(pages):
            assert (older.next_number, older.closing) == (newer.first, newer.opening)
