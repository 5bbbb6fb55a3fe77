"""One maker in every trade of ten products, all settled at once: no two transactions write the same item."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.ledger.model import Balance
from exchange.ledger.store import BalanceItem, BalanceStore, balances_from
from exchange.orders.store import FillItem, OrderItem, fill_from, order_from
from exchange.settlement.service import Settled, settle
from exchange.settlement.store import DynamoSettlementStore
from pynamodb.models import Model

from bench.settlement_flow import MAKER, TABLES, Watch, bind_tables, load, records_of, traded
from tests.fakes.tables import create_tables
from tests.fakes.venue import Venue
from tests.integration.matcher_cloud import Cloud, start_cloud

pytestmark = pytest.mark.cloud
PRODUCTS = 10
TRADES = 80


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A laptop's DynamoDB with the exchange's tables, which this process reaches."""
    running = start_cloud(tmp_path)
    for name, value in running.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    _forget_connections()
    create_tables(*TABLES)
    bind_tables()
    yield running
    _forget_connections()
    running.stop()


def _forget_connections() -> None:
    for model in Model.__subclasses__():
        model._connection = None


def settle_at_once(venues: list[Venue], watch: Watch) -> list[Settled]:
    """Settle every product in a thread of its own, each with a connection of its own."""

    def run(venue: Venue) -> Settled:
        with ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor(1) as fills:
            return settle(
                venue.product,
                records_of(venue),
                store=DynamoSettlementStore(watch.connect(), fills),
                clock=SystemClock(),
                executor=ahead,
                pause=jittered_pause,
            )

    with ThreadPoolExecutor(len(venues)) as threads:
        return list(threads.map(run, venues))


def test_ten_products_with_one_maker_in_every_trade_never_meet(cloud: Cloud) -> None:
    del cloud
    venues = [traded(number, TRADES, one_maker=True) for number in range(PRODUCTS)]
    watch = Watch()
    load(venues, watch.connect())
    watch.sent.clear()
    settled = settle_at_once(venues, watch)
    assert [done.trades for done in settled] == [TRADES] * PRODUCTS
    assert len(watch.sent) == 2 * sum(done.parts for done in settled) > 4 * PRODUCTS
    assert _at_one_time(watch) > 1
    assert (watch.conflicts(), sum(done.conflicts for done in settled)) == ([], 0)
    _assert_as_in_memory(venues)


def test_holds_in_one_main_balance_do_meet(cloud: Cloud) -> None:
    """What was before, so that the test above is seen to be able to fail."""
    del cloud
    venues = [traded(number, TRADES, one_maker=True) for number in range(PRODUCTS)]
    for venue in venues:
        _hold_in_the_main_balance(venue)
    watch = Watch()
    load(venues, watch.connect())
    watch.sent.clear()
    settled = settle_at_once(venues, watch)
    assert [done.trades for done in settled] == [TRADES] * PRODUCTS
    assert watch.conflicts()


def _hold_in_the_main_balance(venue: Venue) -> None:
    tables = venue.tables
    tables.stored = {key: replace(order, held_apart=False) for key, order in tables.stored.items()}
    moved: dict[tuple[str, str], Balance] = {}
    for balance in tables.balances.values():
        main = moved.get((balance.account, balance.asset), Balance(balance.account, balance.asset, 0, 0))
        moved[balance.account, balance.asset] = replace(
            main,
            available=main.available + balance.available,
            held=main.held + balance.held,
            open_orders=main.open_orders + balance.open_orders,
        )
    tables.balances = moved


def _at_one_time(watch: Watch) -> int:
    """The most transactions that were under way at one time."""
    steps = sorted([(one.began, 1) for one in watch.sent] + [(one.ended, -1) for one in watch.sent])
    count = most = 0
    for _, step in steps:
        count += step
        most = max(most, count)
    return most


def _assert_as_in_memory(venues: list[Venue]) -> None:
    """The tables hold what the same settlement makes of dictionaries, the maker's dollars of all products together."""
    wanted: dict[tuple[str, str], Any] = {}
    for venue in venues:
        venue.settle()
        for balance in venue.tables.balances.values():
            known = wanted.get((balance.account, balance.place))
            wanted[balance.account, balance.place] = _sum(known, balance) if known else balance
    rows = (row for item in BalanceItem.scan(consistent_read=True) for row in balances_from(item))
    found = {(row.account, row.place): row for row in rows}
    assert {key: row for key, row in found.items() if row != replace(row, available=0, held=0, shifted=0)} == {
        key: row for key, row in wanted.items() if row != replace(row, available=0, held=0, shifted=0)
    }
    orders = {order.order_id: order for venue in venues for order in venue.tables.stored.values()}
    assert {item.order_id: order_from(item) for item in OrderItem.scan(consistent_read=True)} == orders
    fills = {(fill.order_id, fill.trade_id): fill for venue in venues for fill in venue.tables.fills}
    assert {(i.order_id, i.trade_id): fill_from(i) for i in FillItem.scan(consistent_read=True)} == fills
    dollars = [row for (account, _), row in found.items() if account == str(MAKER) and row.asset == "USD"]
    shown = BalanceStore().balance(MAKER, "USD")
    assert (shown.available, shown.held, shown.open_orders) == (
        sum(row.available for row in dollars),
        sum(row.held for row in dollars),
        0,
    )
    assert len(dollars) == PRODUCTS + 1


def _sum(one: Balance, other: Balance) -> Balance:
    return replace(
        one,
        available=one.available + other.available,
        held=one.held + other.held,
        open_orders=one.open_orders + other.open_orders,
        shifted=one.shifted + other.shifted,
    )
