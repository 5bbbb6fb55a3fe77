"""Balances as a comparison reads them, over the real table."""

from collections.abc import Iterator

import pytest
from exchange.aws.dynamodb import bind
from exchange.ledger.model import Balance
from exchange.ledger.store import BalanceItem, every_balance, rows_of
from exchange.reconciliation.motion import READS_MAX, at_rest
from moto import mock_aws

from tests.fakes.tables import create_tables, put_sub_balance


@pytest.fixture(autouse=True)
def _balances() -> Iterator[None]:
    with mock_aws():
        create_tables("balances")
        bind(BalanceItem, "balances")
        BalanceItem("7", "USD", available=90, shifted=-10).save()
        BalanceItem("7", "EUR", available=5).save()
        BalanceItem("8", "USD", available=1).save()
        yield


def test_an_account_that_was_read_in_two_moments_is_read_again() -> None:
    """Its sub-balance was read before ten were shifted into it, its main balance behind that."""
    torn = list(every_balance())
    put_sub_balance("7", "USD#ACME-USD", available=10, shifted=10)
    read = at_rest(torn, rows_of)
    assert sorted((row.account, row.place, row.available) for row in read) == [
        ("7", "EUR", 5), ("7", "USD", 90), ("7", "USD#ACME-USD", 10), ("8", "USD", 1),
    ]  # fmt: skip


def test_what_was_shifted_from_nowhere_stays_so_and_ends() -> None:
    asked: list[str] = []

    def again(account: str) -> list[Balance]:
        asked.append(account)
        return rows_of(account)

    read = at_rest(every_balance(), again)
    assert asked == ["7"] * READS_MAX
    assert [row.shifted for row in read if row.shifted] == [-10]
