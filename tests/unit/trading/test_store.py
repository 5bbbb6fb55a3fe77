"""The acceptance transaction: the order and its hold together, or neither."""

from dataclasses import replace
from typing import Any

import pytest
from exchange.ledger.store import BalanceItem, balances_from
from exchange.messages import OrderType, Side
from exchange.orders.amends import Amend
from exchange.orders.model import Order, OrderStatus, accepted, ask_amend
from exchange.orders.store import order_from, order_item, order_of
from exchange.trading.model import Acceptance, Verdict
from exchange.trading.store import SwitchStore
from exchange.trading.switch import Switch
from exchange.users.store import ApiKeyItem, CustomerItem
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.markets import acme_usd
from tests.fakes.switches import FakeSwitches
from tests.fakes.tables import put_sub_balance
from tests.unit.trading.conftest import TRADER

PRODUCT = acme_usd(open_orders_max=3)


def buy(order_id: int, size_lots: int = 1_000, created_at_ns: int = 1) -> Order:
    """A limit buy at 100 USD."""
    order = Order(
        order_id=order_id,
        account_id=1,
        product_id="ACME-USD",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        created_at_ns=created_at_ns,
        maker_ppm=0,
        taker_ppm=0,
        price_ticks=10_000,
        size_lots=size_lots,
        client_oid="mine",
        payload_hash="hash",
    )
    return accepted(order, PRODUCT)


def test_acceptance_stores_the_order_and_holds_its_cost(entry: Any) -> None:
    order = buy(5)
    assert entry.accept([order], PRODUCT, TRADER).outcome is Acceptance.ACCEPTED
    assert entry.order(5) == order
    balance = entry.balance(1, "USD")
    assert (balance.available, balance.held, balance.open_orders) == (900_000_000, 100_000_000, 1)


def test_a_second_order_under_the_same_id_changes_nothing(entry: Any) -> None:
    entry.accept([buy(5)], PRODUCT, TRADER)
    assert entry.accept([buy(5, size_lots=2_000)], PRODUCT, TRADER) == Verdict(Acceptance.ORDER_EXISTS, frozenset({5}))
    assert entry.balance(1, "USD").held == 100_000_000


def test_too_little_money_stores_no_order(entry: Any) -> None:
    assert entry.accept([buy(6, size_lots=10_001)], PRODUCT, TRADER).outcome is Acceptance.BALANCE_REFUSED
    assert entry.order(6) is None
    assert entry.balance(1, "USD").available == 1_000_000_000


def test_open_orders_are_capped(entry: Any) -> None:
    answers = [entry.accept([buy(order_id, size_lots=1)], PRODUCT, TRADER).outcome for order_id in range(1, 5)]
    assert answers == [Acceptance.ACCEPTED] * 3 + [Acceptance.BALANCE_REFUSED]


def test_orders_are_listed_newest_first_in_pages(entry: Any) -> None:
    for number in (1, 2, 3):
        entry.accept([buy(number, size_lots=1, created_at_ns=number)], PRODUCT, TRADER)
    first = entry.list_orders(1, live_only=True, before_key=None, limit=2)
    assert [order.order_id for order in first] == [3, 2]
    rest = entry.list_orders(1, live_only=False, before_key=f"{2:020d}#{2:019d}", limit=2)
    assert [order.order_id for order in rest] == [1]
    newer = entry.list_orders(1, live_only=False, before_key=None, after_key=f"{2:020d}#{2:019d}", limit=9)
    assert [order.order_id for order in newer] == [3]
    next_newer = entry.list_orders(
        1, live_only=False, before_key=None, after_key=f"{1:020d}#{1:019d}", limit=1, oldest_first=True
    )
    assert [order.order_id for order in next_newer] == [2]
    none = entry.list_orders(1, live_only=False, before_key=f"{1:020d}", after_key=f"{2:020d}", limit=9)
    assert none == []
    assert {order.order_id for order in entry.pending_since(3, limit=10)} == {1, 2}


def test_a_batch_is_stored_whole_or_not_at_all(entry: Any) -> None:
    batch = [buy(1, size_lots=1), buy(2, size_lots=2), buy(3, size_lots=3)]
    assert entry.accept([*batch, buy(4, size_lots=1)], PRODUCT, TRADER).outcome is Acceptance.BALANCE_REFUSED
    assert [entry.order(number) for number in (1, 2, 3, 4)] == [None] * 4
    assert entry.accept(batch, PRODUCT, TRADER).outcome is Acceptance.ACCEPTED
    assert entry.orders([3, 1, 2]) == [batch[2], batch[0], batch[1]]
    assert (entry.balance(1, "USD").held, entry.balance(1, "USD").open_orders) == (600_000, 3)
    again = entry.accept([buy(9, size_lots=1), batch[1]], PRODUCT, TRADER)
    assert again == Verdict(Acceptance.ORDER_EXISTS, frozenset({2}))
    assert entry.order(9) is None


def test_an_amend_holds_what_it_may_cost_more_and_is_written_down(entry: Any) -> None:
    order = buy(5)
    entry.accept([order], PRODUCT, TRADER)
    dearer = ask_amend(order, PRODUCT, Amend("ab" * 16, 1_500, 11_000, 7))
    assert entry.amend(order, dearer, PRODUCT, TRADER) is Acceptance.ACCEPTED
    assert entry.order(5) == dearer
    assert entry.balance(1, "USD").held == 165_000_000
    assert entry.amend(order, dearer, PRODUCT, TRADER) is Acceptance.ORDER_MOVED
    second = ask_amend(dearer, PRODUCT, Amend("cd" * 16, 20_000, 0, 8))
    assert entry.amend(dearer, second, PRODUCT, TRADER) is Acceptance.BALANCE_REFUSED
    smaller = ask_amend(dearer, PRODUCT, Amend("ef" * 16, 1, 0, 9))
    assert entry.amend(dearer, smaller, PRODUCT, TRADER) is Acceptance.ACCEPTED
    assert (entry.order(5), entry.balance(1, "USD").held) == (smaller, 165_000_000)
    assert [found.order_id for found in entry.pending_since(10, limit=9)] == [5]


def places() -> dict[str, tuple[int, int, int]]:
    """Available, held and open orders of account 1 by place."""
    rows = (row for item in BalanceItem.query("1") for row in balances_from(item))
    return {row.place: (row.available, row.held, row.open_orders) for row in rows}


def test_what_an_order_holds_lies_in_its_products_sub_balance(dynamodb: Any) -> None:
    dynamodb.accept([buy(5)], PRODUCT, TRADER)
    assert places() == {"USD": (900_000_000, 0, 0), "USD#ACME-USD": (0, 100_000_000, 1)}


def test_an_order_spends_what_its_product_earned_and_leaves_the_main_balance_alone(dynamodb: Any) -> None:
    put_sub_balance("1", "USD#ACME-USD", available=250_000_000)
    for order_id in (5, 6):
        assert dynamodb.accept([buy(order_id)], PRODUCT, TRADER).outcome is Acceptance.ACCEPTED
    assert places() == {"USD": (1_000_000_000, 0, 0), "USD#ACME-USD": (50_000_000, 200_000_000, 2)}


def test_an_order_spends_whatever_its_account_has_wherever_it_lies(dynamodb: Any) -> None:
    put_sub_balance("1", "USD#BETA-USD", available=40_000_000)
    put_sub_balance("1", "USD#ZETA-USD", available=60_000_000)
    assert dynamodb.accept([buy(5, size_lots=11_000)], PRODUCT, TRADER).outcome is Acceptance.ACCEPTED
    assert places()["USD#ACME-USD"] == (0, 1_100_000_000, 1)
    assert dynamodb.balance(1, "USD").available == 0
    assert dynamodb.accept([buy(6, size_lots=1)], PRODUCT, TRADER).outcome is Acceptance.BALANCE_REFUSED


def test_what_is_remembered_of_an_account_never_refuses_what_it_has_now(dynamodb: Any) -> None:
    """Between two orders here, another process moved it all to another sub-balance, and more came in."""
    assert dynamodb.accept([buy(5)], PRODUCT, TRADER).outcome is Acceptance.ACCEPTED
    BalanceItem("1", "USD", available=0).save()
    put_sub_balance("1", "USD#BETA-USD", available=1_200_000_000)
    assert dynamodb.accept([buy(6)], PRODUCT, TRADER).outcome is Acceptance.ACCEPTED
    assert places()["USD#BETA-USD"] == (1_100_000_000, 0, 0)
    assert dynamodb.accept([buy(7, size_lots=11_000)], PRODUCT, TRADER).outcome is Acceptance.ACCEPTED


def test_an_order_of_an_older_release_keeps_its_hold_in_the_main_balance(dynamodb: Any) -> None:
    order = replace(buy(5), held_apart=False)
    order_item(order).save()
    dearer = ask_amend(order, PRODUCT, Amend("ab" * 16, 1_500, 0, 7))
    assert dynamodb.amend(order, dearer, PRODUCT, TRADER) is Acceptance.ACCEPTED
    assert places() == {"USD": (950_000_000, 50_000_000, 0)}


@pytest.mark.parametrize(("model", "key", "meaning"), [
    (CustomerItem, "user-1", Acceptance.CUSTOMER_FROZEN),
    (ApiKeyItem, "key-1", Acceptance.KEY_REVOKED),
])  # fmt: skip
def test_a_freeze_or_a_revocation_bites_at_once(dynamodb: Any, model: Any, key: str, meaning: Acceptance) -> None:
    model(key).update(actions=[model.status.set("ended")])
    assert dynamodb.accept([buy(7)], PRODUCT, TRADER).outcome is meaning
    assert dynamodb.order(7) is None
    assert dynamodb.balance(1, "USD").held == 0


def test_a_frozen_customer_amends_nothing(dynamodb: Any) -> None:
    order = buy(5)
    dynamodb.accept([order], PRODUCT, TRADER)
    CustomerItem("user-1").update(actions=[CustomerItem.status.set("ended")])
    smaller = ask_amend(order, PRODUCT, Amend("ab" * 16, 1, 0, 7))
    assert dynamodb.amend(order, smaller, PRODUCT, TRADER) is Acceptance.CUSTOMER_FROZEN
    assert dynamodb.order(5) == order


def test_an_order_that_is_not_there_is_not_made_by_an_amend(dynamodb: Any) -> None:
    amended = ask_amend(buy(8), PRODUCT, Amend("ab" * 16, 1, 0, 7))
    assert dynamodb.amend(buy(8), amended, PRODUCT, TRADER) is Acceptance.ORDER_MOVED
    assert dynamodb.order(8) is None


@given(
    status=st.sampled_from(OrderStatus),
    filled=st.integers(min_value=0, max_value=10**12),
    units=st.integers(min_value=0, max_value=10**30),
    post_only=st.booleans(),
    amends=st.lists(st.builds(Amend, st.just("ab" * 16), st.integers(1), st.integers(0), st.integers(0))).map(tuple),
)
def test_an_order_survives_its_item(
    status: OrderStatus, filled: int, units: int, post_only: bool, amends: tuple[Amend, ...]
) -> None:
    order = replace(
        buy(9),
        status=status,
        filled_lots=filled,
        executed_value_units=units,
        fee_numerator=units * 7,
        post_only=post_only,
        amends=amends,
        version=filled,
    )
    assert order_from(order_item(order)) == order_of(order_item(order).serialize()) == order


def test_switches_are_moved_and_replaced_only_as_they_were_read(dynamodb: Any) -> None:
    del dynamodb  # its tables
    real, fake = SwitchStore(), FakeSwitches()
    for store in (real, fake):
        first = Switch(1, 100, 1, 50)
        assert store.switch(1) == Switch(1)
        assert not store.move(1, 100, due_after_ns=0)
        assert store.replace(Switch(1), first)
        assert not store.replace(Switch(1), first)
        assert not store.move(1, 49, due_after_ns=0)
        assert not store.move(1, 100, due_after_ns=50)
        assert store.move(1, 200, due_after_ns=49)
        assert not store.replace(first, Switch(1, 300, 2, 60))
        store.turn_off(1)
        assert store.switch(1) == Switch(1, 0, 1, 50)
        assert store.replace(Switch(1, 0, 1, 50), Switch(1, 300, 2, 60))
        store.turn_off(2)
        assert store.replace(store.switch(2), Switch(2, 5, 1, 5))
    assert real.switch(1) == fake.switch(1)
