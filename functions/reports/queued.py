"""Reports are made here: one message is one file."""

import json
from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import OutageError
from exchange.market_data.items import TickerItem
from exchange.market_data.store import MarketDataStore
from exchange.orders.store import FillItem, OrderStore
from exchange.reports.rows import Sources
from exchange.reports.service import make_report
from exchange.reports.store import ReportFiles, ReportItem, ReportStore
from exchange.statements.store import StatementItem, StatementStore


class Settings(EnvironmentSettings):
    """The environment of this function."""

    instruments_table: str
    fills_table: str
    statements_table: str
    market_data_table: str
    reports_table: str
    reports_bucket: str


settings = Settings.load()
logger = Logger(service="reports")
clock = SystemClock()
bind(InstrumentItem, settings.instruments_table)
bind(FillItem, settings.fills_table)
bind(StatementItem, settings.statements_table)
bind(TickerItem, settings.market_data_table)
bind(ReportItem, settings.reports_table)
instruments = InstrumentStore()
orders, statements, prices = OrderStore(), StatementStore(), MarketDataStore()
reports = ReportStore(connection())
files = ReportFiles(client("s3"), settings.reports_bucket)


def handler(event: dict[str, Any], _context: Any) -> dict[str, list[dict[str, str]]]:
    """Make every report; one that an outage met goes back to the queue, and after five tries to the failures."""
    failed = [record["messageId"] for record in event["Records"] if not _make(str(record["body"]))]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _make(text: str) -> bool:
    try:
        message = json.loads(text)
        user_id, report_id = str(message["user_id"]), str(message["report_id"])
    except (ValueError, KeyError, TypeError):
        logger.exception("a message that is none of ours; it ends among the failures")
        return False
    try:
        sources = Sources(orders, statements, prices, instruments.products(), instruments.assets())
        done = make_report(user_id, report_id, reports=reports, sources=sources, files=files, clock=clock)
    except OutageError as error:
        logger.warning("a report was not made", report_id=report_id, reason=str(error))
        return False
    logger.info("a report is made", report_id=report_id, status=done.status if done else "unknown")
    return True
