"""The market_data tables of a moto account, and a product to trade."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from exchange.aws.dynamodb import bind
from exchange.instruments.model import Asset, Product, list_product
from exchange.instruments.store import InstrumentItem
from exchange.market_data.store import bind_market_data
from moto import mock_aws

REGION = "us-east-1"
USD = Asset("USD", "US dollar", 6)
ACME = Asset("ACME", "Acme Corporation", 4, "stock")


@pytest.fixture
def product() -> Product:
    return list_product(
        "ACME-USD",
        base=ACME,
        quote=USD,
        base_increment="0.001",
        quote_increment="0.01",
        base_min_size="0.001",
        base_max_size="1000000",
        min_market_funds="1",
        reference_price="100",
        price_band="0.5",
    )


@pytest.fixture
def tables() -> Iterator[Any]:
    """Four empty tables, bound."""
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        _create(client, "instruments", kind="HASH", id="RANGE")
        _create(client, "market_data", product_id="HASH", item="RANGE")
        _create(client, "checkpoints", name="HASH")
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
        bind_market_data("market_data", "checkpoints")
        yield client


def _create(client: Any, table: str, **keys: str) -> None:
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
    )
