"""Whatever trades are undone, whatever was spent before: each asset adds up, nobody is below zero, fees go back."""

from collections import Counter

from exchange.ledger.chart import heading_of
from exchange.ledger.model import Batch, Head, sum_by_asset
from exchange.settlement.busting import plan_bust, trade_entries
from hypothesis import given
from hypothesis import strategies as st

from bench.settlement_flow import traded
from tests.fakes.venue import Tables, Venue

PRODUCT = "A0-USD"
TRADES = 30


class Books:
    """The journal of a venue in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def head(self, partition: str) -> Head:
        chain = self._tables.batches[partition]
        return Head(chain[-1][0].number, chain[-1][1]) if chain else Head()

    def batch(self, partition: str, number: int) -> Batch | None:
        chain = self._tables.batches[partition]
        return chain[number - 1][0] if 0 < number <= len(chain) else None


def settled() -> Venue:
    venue = traded(0, TRADES, one_maker=True)
    venue.settle()
    return venue


VENUE = settled()


def test_every_trade_is_found_and_no_other() -> None:
    books = Books(VENUE.tables)
    for trade_id in range(1, TRADES + 1):
        entries = trade_entries(PRODUCT, trade_id, books)
        assert len([e for e in entries if e.kind.value == "match"]) == 4, trade_id
    for trade_id in (0, -1, TRADES + 1, 10**9):
        assert plan_bust(PRODUCT, trade_id, journal=books, available=lambda *_: 0, posted_at_ns=1) is None


@given(trade_id=st.integers(1, TRADES), left=st.dictionaries(st.integers(0, 3), st.integers(0, 2 * 10**8)))
def test_a_bust_undoes_its_trade_whatever_was_spent_meanwhile(trade_id: int, left: dict[int, int]) -> None:
    books = Books(VENUE.tables)
    entries = trade_entries(PRODUCT, trade_id, books)
    customers = sorted({(e.account, e.asset) for e in entries if e.account.isdigit()})
    has = {key: left.get(place, 0) for place, key in enumerate(customers)}
    bust = plan_bust(PRODUCT, trade_id, journal=books, available=lambda a, s: has[a, s], posted_at_ns=1)
    assert bust is not None
    assert not any(sum_by_asset(bust.batch.entries).values())
    assert len(set(bust.sides.values())) == 2
    moved = Counter({(account, asset): move.available for account, asset, move in bust.movements.moving()})
    for account, asset in customers:
        traded_units = sum(e.units for e in entries if (e.account, e.asset) == (account, asset))
        owed = -moved[f"house:receivable:{account}", asset]
        assert moved[account, asset] == -traded_units + owed
        assert has[account, asset] + moved[account, asset] >= 0
        assert owed == max(traded_units - has[account, asset], 0)
    fees = sum(e.units for e in entries if e.account.startswith("house:fees:"))
    assert moved[f"house:fees:{PRODUCT}", "USD"] == -fees < 0
    for entry in bust.batch.entries:
        heading_of(entry.account)
