"""However money moves between one read and the next, sound books are never said to differ."""

from collections.abc import Callable
from dataclasses import replace

from exchange.fees.model import Rates
from exchange.ledger.model import Balance
from exchange.messages import OrderType, Side
from exchange.reconciliation.motion import Look, at_rest
from exchange.reconciliation.service import reconcile
from exchange.risk.model import OrderTerms
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.markets import acme_usd
from tests.fakes.venue import Venue, a_deposit, a_trade


def an_order(venue: Venue) -> None:
    """Money is shifted into a sub-balance and held."""
    venue.place(1, OrderTerms(Side.BUY, OrderType.LIMIT, "1", "1"))


def nothing(_: Venue) -> None:
    """A moment of rest."""


MOMENTS = st.lists(st.sampled_from([a_deposit, a_trade, an_order, nothing, nothing, nothing]), min_size=3, max_size=24)


@given(MOMENTS)
def test_books_that_are_sound_never_have_a_break(moments: list[Callable[[Venue], None]]) -> None:
    """The same happens again in each look, row by row of the balances and table by table."""
    venue = Venue(acme_usd(), Rates(maker_ppm=1_000, taker_ppm=2_000))
    for account in (1, 2):
        venue.deposit(account, "USD", 10**10)
        venue.deposit(account, "ACME", 10**9)
    a_trade(venue)

    def look() -> Look:
        waiting = list(moments)

        def pass_by() -> None:
            if waiting:
                waiting.pop()(venue)

        marks = {partition: len(batches) for partition, batches in venue.world().batches.items()}
        rows: list[Balance] = []
        for account, place in [(row.account, row.place) for row in venue.world().balances]:
            pass_by()
            rows += [row for row in venue.world().balances if (row.account, row.place) == (account, place)]

        def again(account: str) -> list[Balance]:
            pass_by()
            return [row for row in venue.world().balances if row.account == account]

        rows = at_rest(rows, again)
        pass_by()
        transfers = list(venue.world().transfers)
        pass_by()
        batches = {partition: list(rows) for partition, rows in venue.world().batches.items()}
        pass_by()
        fills = list(venue.world().fills)
        pass_by()
        return Look(replace(venue.world(), balances=rows, transfers=transfers, batches=batches, fills=fills), marks)

    assert reconcile(look, later=lambda: None, at_ns=1).breaks == []
