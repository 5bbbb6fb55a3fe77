"""Executions stream -> book, ticker, trades, and the WebSocket feed of each product, private `user` messages included.

A batch that can't be folded or told whole raises, so that it comes again whole: what was committed is behind the cursor
and is not folded again, and owners are told of it if they may not have been.
"""

import base64
from collections.abc import Mapping
from functools import cache
from typing import Any

from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.feeds.gateway import ManagementApi
from exchange.feeds.publishing import Publisher
from exchange.feeds.store import ConnectionStore, bind_connections
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock
from exchange.market_data.service import MarketFold, StreamRecord
from exchange.market_data.store import MarketDataWriter, bind_market_data
from exchange.orders.store import OrderItem, OrderStore


class Settings(EnvironmentSettings):
    """What this function reads from its environment."""

    instruments_table: str
    market_data_table: str
    connections_table: str
    orders_table: str
    websocket_endpoint: str


@cache
def fold() -> MarketFold:
    """Put the service together, once a process; it keeps the markets' states from batch to batch."""
    settings = Settings.load()
    bind(InstrumentItem, settings.instruments_table)
    bind_market_data(settings.market_data_table)
    bind_connections(settings.connections_table)
    bind(OrderItem, settings.orders_table)
    catalogue = Catalogue(InstrumentStore(), SystemClock())
    pusher = ManagementApi.at(settings.websocket_endpoint)
    publisher = Publisher(ConnectionStore(), pusher, catalogue, OrderStore())
    return MarketFold(MarketDataWriter(connection()), publisher)


def handler(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Fold one batch of a shard.

    Raises:   BatchError, so that the batch is delivered again.
    """
    records = [record["kinesis"] for record in event["Records"]]
    fold().fold(StreamRecord(record["partitionKey"], base64.b64decode(record["data"])) for record in records)
    return {"batchItemFailures": []}
