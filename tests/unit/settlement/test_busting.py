"""A bust in DynamoDB, in the transaction that approves it: once, whole, and only of a trade that was settled."""

from collections.abc import Iterator

import pytest
from exchange.approvals.model import Proposal, UnfitError
from exchange.approvals.store import committed
from exchange.aws.dynamodb import connection
from exchange.kernel.clock import SystemClock
from exchange.ledger.store import BalanceItem, BalanceStore, balances_from
from exchange.messages import Side
from exchange.orders.store import FillItem, fill_from
from exchange.settlement.bust_store import Busts
from exchange.settlement.service import settle
from exchange.settlement.store import DynamoSettlementStore
from moto import mock_aws
from pynamodb.connection import Connection

from bench.settlement_flow import TABLES, bind_tables, load, records_of, traded
from tests.fakes.executors import InlineExecutor
from tests.fakes.tables import create_tables, put_sub_balance

PRODUCT = "A0-USD"


@pytest.fixture
def connected() -> Iterator[Connection]:
    """Tables in which two trades are settled, each of a maker whose account is 1."""
    with mock_aws():
        create_tables(*TABLES)
        bind_tables()
        made = connection()
        venue = traded(0, 2, one_maker=True)
        load([venue], made)
        settle(
            venue.product,
            records_of(venue),
            store=DynamoSettlementStore(made, InlineExecutor()),
            clock=SystemClock(),
            executor=InlineExecutor(),
            pause=lambda _: None,
        )
        yield made


def bust(connected: Connection, trade_id: str, product_id: str = PRODUCT) -> bool:
    """What an approval of it does; whether it was done."""
    payload = {"product_id": product_id, "trade_id": trade_id}
    proposal = Proposal("p", "trade.bust", payload, "fat finger", "olivia", 1, 2)
    return committed(connected, lambda transaction: Busts(SystemClock()).apply(transaction, proposal))


def sums() -> dict[str, int]:
    """What all balances of an asset add up to."""
    found: dict[str, int] = {}
    for item in BalanceItem.scan():
        for row in balances_from(item):
            found[row.asset] = found.get(row.asset, 0) + row.available + row.held
    return found


def test_a_bust_gives_both_sides_back_what_they_had_and_marks_their_fills(connected: Connection) -> None:
    before = sums()
    assert bust(connected, "1")
    assert sums() == before
    fills = [fill_from(item) for item in FillItem.scan()]
    assert {fill.trade_id for fill in fills if fill.busted_at_ns} == {1}
    assert len([fill for fill in fills if fill.busted_at_ns]) == 2
    assert BalanceItem.get(f"house:fees:{PRODUCT}", "USD").available == 300_000


def test_a_trade_is_busted_once(connected: Connection) -> None:
    assert bust(connected, "2")
    before = sums()
    assert not bust(connected, "2")
    assert sums() == before


def test_what_was_spent_meanwhile_is_owed_and_the_other_side_is_whole(connected: Connection) -> None:
    [buyer] = {item.account_id for item in FillItem.scan() if item.trade_id == 1 and item.side == int(Side.BUY)}
    [seller] = {item.account_id for item in FillItem.scan() if item.trade_id == 1 and item.side == int(Side.SELL)}
    has = BalanceStore().balance(buyer, "A0").available
    put_sub_balance(str(buyer), f"A0#{PRODUCT}", available=-has)
    assert bust(connected, "1")
    assert BalanceStore().balance(buyer, "A0").available == 0
    assert [(row.asset, row.available) for row in BalanceStore().owed(buyer)] == [("A0", -10_000)]
    assert BalanceStore().balance(seller, "A0").available == 10_000


@pytest.mark.parametrize(("trade_id", "product_id"), [("3", PRODUCT), ("0", PRODUCT), ("1", "B-USD"), ("one", PRODUCT)])
def test_what_was_never_settled_is_not_undone(connected: Connection, trade_id: str, product_id: str) -> None:
    before = sums()
    with pytest.raises(UnfitError, match=r"no trade|the trade's number"):
        bust(connected, trade_id, product_id)
    assert sums() == before
