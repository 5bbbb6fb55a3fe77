"""The dead man's switches ring here: a message comes back from its queue when an account's deadline is due."""

import json
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import OutageError
from exchange.trading.opening import FloorSettings, SwitchSettings, open_floor, open_watch
from exchange.trading.service import cancel_orders
from exchange.trading.switch import ring


class Settings(FloorSettings, SwitchSettings):
    """The environment of this function."""


settings = Settings.load()
logger = Logger(service="trading-switches")
clock = SystemClock()
floor = open_floor(settings, clock)
watch = open_watch(settings, clock)
cancel_all = partial(cancel_orders, floor, product_id=None)


def handler(event: dict[str, Any], _context: Any) -> dict[str, list[dict[str, str]]]:
    """Ring every message; one that an outage met goes back to the queue and comes again."""
    failed = [record["messageId"] for record in event["Records"] if not _ring(str(record["body"]))]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _ring(text: str) -> bool:
    try:
        message = json.loads(text)
        account_id, generation = int(message["account_id"]), int(message["generation"])
    except (ValueError, KeyError, TypeError):
        logger.exception("a message that is none of ours; it ends among the failures")
        return False
    try:
        if ring(watch, account_id, generation, cancel_all=cancel_all):
            logger.warning("a deadline has passed: all orders are canceled", account_id=account_id)
    except OutageError as error:
        logger.warning("a switch did not ring", account_id=account_id, reason=str(error))
        return False
    return True
