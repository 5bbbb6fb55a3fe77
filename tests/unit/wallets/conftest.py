"""The same writes, in memory and in DynamoDB: what the fakes promise is what the stores keep."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from exchange.aws.dynamodb import bind, connection
from exchange.ledger.store import BalanceItem, BalanceStore, JournalItem, JournalStore
from exchange.safeguards.store import SafeguardItem
from exchange.transfers.store import BankMarkItem, TransferItem, TransferStore
from exchange.users.store import CustomerItem, CustomerStore
from exchange.wallets.store import PostingStore
from moto import mock_aws
from pynamodb.connection import Connection

from tests.fakes.safeguards import UNBOUND
from tests.fakes.tables import create_tables
from tests.fakes.wallets import FakeBooks, FakeTransfers


@dataclass
class Stores:
    """Transfers, journal, postings, and how to read a balance."""

    transfers: Any
    journal: Any
    postings: Any
    owned: Any


@pytest.fixture(scope="session")
def connected() -> Connection:
    """One connection for all: making it reads botocore's models."""
    return connection()


@pytest.fixture
def dynamodb(connected: Connection) -> Iterator[Stores]:
    """The real stores over empty tables."""
    with mock_aws():
        create_tables("transfers", "balances", "journal", "users", "safeguards")
        bind(TransferItem, "transfers")
        bind(BankMarkItem, "transfers")
        bind(BalanceItem, "balances")
        bind(JournalItem, "journal")
        bind(CustomerItem, "users")
        bind(SafeguardItem, "safeguards")
        CustomerStore().create_once(UNBOUND)
        balances = BalanceStore()
        yield Stores(
            TransferStore(connected),
            JournalStore(),
            PostingStore(connected),
            lambda account_id, asset: balances.balance(account_id, asset).available,
        )


@pytest.fixture
def memory() -> Stores:
    """The fakes that all other tests of deposits use."""
    transfers = FakeTransfers()
    books = FakeBooks(transfers)
    return Stores(transfers, books, books, lambda account_id, asset: books.balances[str(account_id), asset])


@pytest.fixture(params=["memory", "dynamodb"])
def stores(request: pytest.FixtureRequest) -> Stores:
    """Each test twice: once over the fakes, once over the real stores."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Stores)
    return found
