"""Balances in DynamoDB: shown as one, whatever sub-balances they lie in, and spent from wherever it lies."""

from collections.abc import Iterator

import pytest
from exchange.aws.dynamodb import bind, connection
from exchange.kernel.errors import UnavailableError
from exchange.ledger.model import Balance, Movements
from exchange.ledger.store import BalanceItem, BalanceStore, move_balances
from moto import mock_aws
from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError
from pynamodb.transactions import TransactWrite

from tests.fakes.tables import create_tables, put_sub_balance


@pytest.fixture
def connected() -> Iterator[Connection]:
    """Tables in which account 7 has 10 dollars in three places, and other things beside them."""
    with mock_aws():
        create_tables("balances")
        bind(BalanceItem, "balances")
        BalanceItem("7", "USD", available=3, held=2).save()
        put_sub_balance("7", "USD#A-USD", available=4, held=5, open_orders=1, shifted=5)
        put_sub_balance("7", "A#A-USD", available=70)
        put_sub_balance("7", "USD#B-USD", available=3, shifted=-5)
        BalanceItem("7", "USDC", available=900).save()
        BalanceItem("7", "US", available=800).save()
        yield connection()


def debit(connected: Connection, units: int) -> None:
    """A withdrawal of dollars."""
    movements = Movements()
    movements.of("7", "USD").available = -units
    movements.of("7", "USD").held = units
    with TransactWrite(connection=connected) as transaction:
        move_balances(transaction, movements)


def test_a_balance_is_shown_with_its_sub_balances(connected: Connection) -> None:
    del connected
    assert BalanceStore().balance(7, "USD") == Balance("7", "USD", 10, 7, 1)
    assert [(row.asset, row.available) for row in BalanceStore().balances(7)] == [
        ("A", 70),
        ("US", 800),
        ("USD", 10),
        ("USDC", 900),
    ]
    assert BalanceStore().balance(7, "EUR") == Balance("7", "EUR", 0, 0)
    assert BalanceStore().split("7", "USD") == {"USD": 3, "USD#A-USD": 4, "USD#B-USD": 3}


def test_money_on_its_way_between_two_places_is_never_shown_twice_or_not_at_all(connected: Connection) -> None:
    del connected
    put_sub_balance("7", "USD#B-USD", available=2, shifted=2)
    with pytest.raises(UnavailableError, match="moving"):
        BalanceStore().balance(7, "USD")
    BalanceItem("7", "USD").update(actions=[BalanceItem.shifted.add(-2), BalanceItem.available.add(-2)])
    assert BalanceStore().balance(7, "USD").available == 10


def test_what_leaves_is_taken_from_wherever_it_lies(connected: Connection) -> None:
    debit(connected, 9)
    assert BalanceStore().balance(7, "USD") == Balance("7", "USD", 1, 16, 1)
    assert BalanceStore().split("7", "USD") == {"USD#B-USD": 1}


def test_more_than_lies_anywhere_moves_nothing(connected: Connection) -> None:
    with pytest.raises(TransactWriteError):
        debit(connected, 11)
    assert BalanceStore().balance(7, "USD") == Balance("7", "USD", 10, 7, 1)
