"""Closings: what is in them, that nothing gets in later, and proofs that a stranger's program checks."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exchange.books.files import books_of, own_proofs, read_balances
from exchange.books.liabilities import Leaf, Node, find_way, grow, make_leaf, root_of, write_tree
from exchange.books.model import Closing, profit
from exchange.books.service import balances_at, close_books
from exchange.books.views import proof_view
from exchange.kernel.errors import InvariantError
from exchange.ledger.chart import CUSTOMERS, heading_of
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.books import FakeClosings, FakeJournal, FakeVault, RsaSigner

VERIFIER = Path(__file__).parents[3] / "web" / "verify_liabilities.py"
SIGNER = RsaSigner()
SCALES = {"USD": 2, "BTC": 8}
CUSTODY, FEES = "house:custody:bank", "house:fees:ACME-USD"


class Venue:
    """A journal and its closings."""

    def __init__(self) -> None:
        self.journal, self.closings, self.vault = FakeJournal(), FakeClosings(), FakeVault()

    def deposit(self, account: str, units: int, asset: str = "USD") -> None:
        self.journal.post("rail:bank", (account, asset, units), (CUSTODY, asset, -units))

    def close(self, until_ns: int, salt: int = 0) -> Closing:
        return close_books(
            until_ns,
            salt=bytes([salt or until_ns % 251]) * 32,
            scales=SCALES,
            journal=self.journal,
            closings=self.closings,
            vault=self.vault,
            signer=SIGNER,
        )

    def proof(self, closing: Closing, account: str) -> dict[str, Any]:
        return proof_view(closing, own_proofs(closing, account, vault=self.vault))


@pytest.fixture
def venue() -> Venue:
    """Three customers with money, two of whom traded."""
    made = Venue()
    made.journal.at_ns = 10
    for account, units in (("1", 10_000), ("2", 5_000), ("3", 7)):
        made.deposit(account, units)
    made.deposit("2", 100, "BTC")
    made.journal.at_ns = 20
    made.journal.post(
        "product:BTC-USD",
        ("1", "BTC", 40), ("1", "USD", -4_000), ("2", "BTC", -40), ("2", "USD", 4_000),
        ("1", "USD", -8), ("2", "USD", -4), (FEES, "USD", 12),
    )  # fmt: skip
    return made


def verify(tmp_path: Path, proof: Any, *options: str) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(proof), encoding="utf-8")
    return subprocess.run([sys.executable, VERIFIER, file, *options], capture_output=True, text=True, check=False)


def test_a_closing_is_the_trial_balance_of_what_was_posted(venue: Venue) -> None:
    books = books_of(venue.close(30), vault=venue.vault)
    rows = {(row.heading.name, row.asset): (row.opening, row.debits, row.credits, row.closing) for row in books.rows}
    assert rows == {
        ("custody:bank", "USD"): (0, 15_007, 0, -15_007),
        ("custody:bank", "BTC"): (0, 100, 0, -100),
        ("customers", "USD"): (0, 4_012, 19_007, 14_995),
        ("customers", "BTC"): (0, 40, 140, 100),
        ("fees:ACME-USD", "USD"): (0, 0, 12, 12),
    }
    assert profit(books.rows) == {"USD": 12}


def test_the_next_period_opens_with_what_the_last_one_closed_with(venue: Venue) -> None:
    first = venue.close(15)
    second = books_of(venue.close(30), vault=venue.vault)
    opened = {(row.heading, row.asset): row.opening for row in second.rows}
    assert opened[CUSTOMERS, "USD"] == 15_007
    assert json.loads(venue.closings.kept[1].statement)["previous"] == first.statement_hash


def test_what_comes_late_is_in_the_next_period_whatever_its_date(venue: Venue) -> None:
    before = venue.close(30)
    venue.journal.at_ns = 5
    venue.deposit("3", 93)
    assert venue.close(30) == before
    books = books_of(venue.close(40), vault=venue.vault)
    (row,) = [row for row in books.rows if row.heading == CUSTOMERS and row.asset == "USD"]
    assert (row.opening, row.credits, row.closing) == (14_995, 93, 15_088)


def test_what_is_not_before_the_moment_waits(venue: Venue) -> None:
    assert venue.close(20).liabilities()["USD"].units == 15_007
    assert venue.close(21).liabilities()["USD"].units == 14_995


def test_a_journal_that_was_rewritten_is_not_closed(venue: Venue) -> None:
    venue.close(15)
    chain = venue.journal.chains["rail:bank"]
    chain[-1] = replace(chain[-1], posted_at_ns=11)
    venue.journal.at_ns = 20
    venue.deposit("1", 1)
    with pytest.raises(InvariantError, match="does not follow"):
        venue.close(30)


def test_books_that_were_changed_are_found(venue: Venue) -> None:
    closing = venue.close(30)
    name = f"{closing.folder}/books.json"
    venue.vault.files[name] = venue.vault.files[name].replace(b'"12"', b'"11"')
    with pytest.raises(InvariantError, match="not those that were signed"):
        books_of(closing, vault=venue.vault)


def test_of_two_at_once_one_wins_and_both_return_it(venue: Venue) -> None:
    late = FakeClosings()  # sees none yet
    won = venue.close(30, salt=1)
    late.add = venue.closings.add  # type: ignore[method-assign]
    answers = iter([None, won])
    late.last = lambda: next(answers)  # type: ignore[method-assign]
    lost = close_books(
        30, salt=bytes(32), scales=SCALES, journal=venue.journal, closings=late, vault=venue.vault, signer=SIGNER
    )
    assert lost == won
    assert venue.proof(won, "1")["balances"]


def test_an_account_that_the_chart_lacks_stops_the_closing() -> None:
    with pytest.raises(InvariantError, match="chart of accounts"):
        heading_of("house:cellar")


def test_a_balance_below_zero_has_no_proof() -> None:
    with pytest.raises(InvariantError, match="is owed -1"):
        make_leaf(1, "USD", "7", bytes(32), -1)


def test_each_customer_can_prove_their_part_and_nobody_elses(venue: Venue, tmp_path: Path) -> None:
    closing = venue.close(30)
    for account, owed in (("1", {"USD": "59.92", "BTC": "0.0000004"}), ("3", {"USD": "0.07"})):
        proof = venue.proof(closing, account)
        assert {row["asset"]: row["amount"] for row in proof["balances"]} == owed
        said = verify(tmp_path, proof)
        assert (said.returncode, said.stderr) == (0, ""), said
    assert venue.proof(closing, "4")["balances"] == []
    key = tmp_path / "venue.pem"
    key.write_text(SIGNER.public_key(), encoding="utf-8")
    assert verify(tmp_path, venue.proof(closing, "2"), "--key", str(key)).returncode == 0
    key.write_text(RsaSigner().public_key(), encoding="utf-8")
    assert verify(tmp_path, venue.proof(closing, "2"), "--key", str(key)).returncode == 1


def _set(path: str, value: Any) -> Any:
    def change(proof: dict[str, Any]) -> None:
        place: Any = proof
        *way, last = path.split(".")
        for name in way:
            place = place[int(name) if name.isdigit() else name]
        place[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("balances.0.units", "39"),
        _set("balances.0.nonce", "00" * 32),
        _set("balances.0.account", "2"),
        _set("balances.0.asset", "USD"),
        _set("balances.0.amount", "40"),
        _set("balances.0.path.0.units", "61"),
        _set("balances.0.path.0.hash", "11" * 32),
        _set("balances.0.path", []),
        _set("statement", '{"closing":1,"liabilities":{"BTC":{"units":"1"}}}'),
        _set("signature", "AAAA"),
        _set("balances", []),
        _set("closing", 999),
        _set("until", "2026-11-28T00:00:00Z"),
    ],
)
def test_a_proof_that_was_altered_fails(venue: Venue, tmp_path: Path, change: Any) -> None:
    proof = json.loads(json.dumps(venue.proof(venue.close(30), "1")))
    change(proof)
    assert verify(tmp_path, proof).returncode == 1


def test_what_is_left_out_of_a_proof_is_named_and_what_is_expected_is_looked_for(venue: Venue, tmp_path: Path) -> None:
    proof = json.loads(json.dumps(venue.proof(venue.close(30), "1")))
    proof["balances"] = [row for row in proof["balances"] if row["asset"] != "USD"]
    said = verify(tmp_path, proof)
    assert said.returncode == 0
    assert "It says that you had no USD." in said.stdout
    assert verify(tmp_path, proof, "--expect", "BTC=0.0000004").returncode == 0
    for wrong in ("USD=59.92", "BTC=0.0000005"):
        said = verify(tmp_path, proof, "--expect", wrong)
        assert (said.returncode, wrong.split("=")[0] in said.stderr) == (1, True)


def test_a_venue_that_lowers_one_balance_gets_another_root(venue: Venue) -> None:
    closing = venue.close(30)
    balances = read_balances(venue.vault.files[f"{closing.folder}/balances.tsv.gz"])
    honest = Counter(units for (account, asset), units in balances.items() if asset == "USD" and account.isdigit())
    assert sum(units * count for units, count in honest.items()) == closing.liabilities()["USD"].units
    leaves = [make_leaf(1, "USD", str(n), bytes([n]) * 32, 100 + n) for n in range(9)]
    _, root = write_tree(leaves)
    lowered = [make_leaf(1, "USD", "4", bytes([4]) * 32, 103) if n == 4 else leaf for n, leaf in enumerate(leaves)]
    _, other = write_tree(lowered)
    assert (other.units, root.units) == (root.units - 1, 9 * 100 + 36)
    assert other.hash != root.hash


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 2**100), min_size=1, max_size=70), st.data())
def test_every_leaf_of_any_tree_leads_to_its_root(units: list[int], data: st.DataObject) -> None:
    nonces = data.draw(
        st.lists(st.binary(min_size=32, max_size=32), min_size=len(units), max_size=len(units), unique=True)
    )
    leaves = [
        make_leaf(3, "USD", str(n), nonce, owed) for n, (nonce, owed) in enumerate(zip(nonces, units, strict=True))
    ]
    content, root = write_tree(leaves)
    assert root.units == sum(units)
    for leaf in leaves:
        way = find_way(lambda offset, length: content[offset : offset + length], len(leaves), leaf.nonce)
        assert way is not None
        assert way.leaf == leaf
        assert root_of(way) == root
    absent = data.draw(st.binary(min_size=32, max_size=32).filter(lambda nonce: nonce not in nonces))
    assert find_way(lambda offset, length: content[offset : offset + length], len(leaves), absent) is None


def test_a_lone_node_goes_up_as_it_is() -> None:
    nodes = [Node(bytes([n]) * 32, n) for n in range(5)]
    assert [len(level) for level in grow(nodes)] == [5, 3, 2, 1]
    assert grow(nodes)[1][2] == nodes[4]
    assert sorted([Leaf(b"b", nodes[0]), Leaf(b"a", nodes[1])])[0].nonce == b"a"


def test_balances_at_any_moment_are_what_was_posted_before_it(venue: Venue) -> None:
    def posted_before(at_ns: int) -> dict[tuple[str, str], int]:
        sums: Counter[tuple[str, str]] = Counter()
        for partition in venue.journal.partitions():
            for batch, _ in venue.journal.batches(partition, after=0):
                for entry in batch.entries if batch.posted_at_ns < at_ns else ():
                    sums[entry.account, entry.asset] += entry.units
        return {key: units for key, units in sums.items() if units}

    moments = {batch.posted_at_ns for p in venue.journal.partitions() for batch, _ in venue.journal.batches(p, after=0)}
    for closed in (False, True):
        if closed:
            venue.close(sorted(moments)[len(moments) // 2] + 1)
        for at_ns in sorted({0, *moments, *(moment + 1 for moment in moments)}):
            found = balances_at(at_ns, journal=venue.journal, closings=venue.closings, vault=venue.vault)
            assert found == posted_before(at_ns), (closed, at_ns)
    assert len(moments) > 1
