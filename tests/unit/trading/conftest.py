"""Order entry in memory and in DynamoDB: what the fake promises is what the store keeps."""

from collections.abc import Iterator
from typing import Any

import pytest
from exchange.aws.dynamodb import bind, connection
from exchange.ledger.store import BalanceItem
from exchange.orders.store import FillItem, OrderItem
from exchange.trading.model import Trader
from exchange.trading.store import DynamoOrderEntry, SwitchItem, bind_orders
from exchange.users.store import ApiKeyItem, CustomerItem
from moto import mock_aws
from pynamodb.connection import Connection

from tests.fakes.tables import create_tables
from tests.fakes.venue import Tables

TRADER = Trader("user-1", 1, "key-1")


@pytest.fixture(scope="session")
def connected() -> Connection:
    """One connection for all: making it reads botocore's models."""
    return connection()


@pytest.fixture
def dynamodb(connected: Connection) -> Iterator[Any]:
    """The real store over fresh tables, with one customer, one key and 1,000 USD."""
    with mock_aws():
        create_tables("orders", "fills", "balances", "users", "api_keys", "switches")
        bind(SwitchItem, "switches")
        bind_orders(orders="orders", balances="balances")
        bind(FillItem, "fills")
        bind(CustomerItem, "users")
        bind(ApiKeyItem, "api_keys")
        CustomerItem(
            "user-1", account_id=1, email="a@example.com", name="A", status="active", rate_limit_tier="maker",
            created_at_ns=1,
        ).save()  # fmt: skip
        ApiKeyItem(
            "key-1", user_id="user-1", created_at="1", created_at_ns=1, name="k", scopes={"trade"}, status="active",
            rate_limit_tier="maker", sealed_secret=b"s", passphrase_hash=b"p",
        ).save()  # fmt: skip
        BalanceItem("1", "USD", available=1_000_000_000, held=0, open_orders=0).save()
        yield DynamoOrderEntry(connected)


@pytest.fixture
def memory() -> Tables:
    """The fake that all other tests of order entry use."""
    tables = Tables()
    tables.deposit(1, "USD", 1_000_000_000, "t")
    return tables


@pytest.fixture(params=["memory", "dynamodb"])
def entry(request: pytest.FixtureRequest) -> Any:
    """Each test twice: once over the fake, once over the real store."""
    return request.getfixturevalue(request.param)


__all__ = ["TRADER", "OrderItem"]
