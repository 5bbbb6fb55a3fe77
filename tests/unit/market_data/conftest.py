"""The market_data tables of a moto account, and a product to trade."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from exchange.aws.dynamodb import bind
from exchange.feeds.store import bind_connections
from exchange.instruments.model import Product
from exchange.instruments.store import InstrumentItem
from exchange.market_data.store import bind_market_data
from moto import mock_aws

from tests.fakes.market_data import acme

REGION = "us-east-1"


@pytest.fixture
def product() -> Product:
    return acme()


@pytest.fixture
def tables() -> Iterator[Any]:
    """Three empty tables, bound."""
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        _create(client, "instruments", kind="HASH", id="RANGE")
        _create(client, "market_data", product_id="HASH", item="RANGE")
        client.create_table(
            TableName="connections",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("connection_id", "channel")
            ],
            KeySchema=[{"AttributeName": "connection_id", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by_channel",
                    "KeySchema": [
                        {"AttributeName": "channel", "KeyType": "HASH"},
                        {"AttributeName": "connection_id", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )
        bind(InstrumentItem, "instruments")
        bind_market_data("market_data")
        bind_connections("connections")
        yield client


def _create(client: Any, table: str, **keys: str) -> None:
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
    )
