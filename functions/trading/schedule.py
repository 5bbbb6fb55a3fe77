"""The sweeper: heals a crash between an order's acceptance and its place on the stream.

Woken every minute, it looks every five seconds until the minute is nearly over.
"""

import time
from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.kinesis import StreamWriter
from exchange.aws.settings import EnvironmentSettings
from exchange.kernel.clock import SystemClock
from exchange.orders.store import OrderItem
from exchange.trading.service import sweep
from exchange.trading.store import DynamoOrderEntry, KinesisCommandStream

LOOK_EVERY_SECONDS = 5
LOOK_FOR_SECONDS = 50


class Settings(EnvironmentSettings):
    """The environment of this function."""

    orders_table: str
    orders_stream: str


settings = Settings.load()
logger = Logger(service="trading-sweeper")
clock = SystemClock()
bind(OrderItem, settings.orders_table)
entry = DynamoOrderEntry(connection())
stream = KinesisCommandStream(StreamWriter(client("kinesis"), settings.orders_stream))


def handler(_event: dict[str, Any], _context: Any) -> dict[str, int]:
    """Send again, every five seconds, the orders that wait too long for their first event."""
    sent = 0
    stop_at = time.monotonic() + LOOK_FOR_SECONDS
    while True:
        found = sweep(entry, stream, clock)
        if found:
            logger.warning("orders were sent again", count=found)
        sent += found
        if time.monotonic() + LOOK_EVERY_SECONDS > stop_at:
            return {"sent": sent}
        time.sleep(LOOK_EVERY_SECONDS)
