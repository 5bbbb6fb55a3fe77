"""The settlement machine's one step: settle a batch of records of one product, part by part."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.kernel.errors import InvariantError, require, unreachable
from exchange.ledger.store import BalanceItem, JournalItem
from exchange.messages import MalformedRecordError, decode_events
from exchange.orders.store import FillItem, OrderItem
from exchange.settlement.delivery import unpacked
from exchange.settlement.model import GapError, SplitBrainError
from exchange.settlement.service import settle
from exchange.settlement.store import CheckpointItem, DynamoSettlementStore


class Settings(EnvironmentSettings):
    """The environment of this function."""

    instruments_table: str
    orders_table: str
    balances_table: str
    fills_table: str
    journal_table: str
    checkpoints_table: str


settings = Settings.load()
logger = Logger(service="settlement")
clock = SystemClock()
bind(InstrumentItem, settings.instruments_table)
bind(OrderItem, settings.orders_table)
bind(BalanceItem, settings.balances_table)
bind(FillItem, settings.fills_table)
bind(JournalItem, settings.journal_table)
bind(CheckpointItem, settings.checkpoints_table)
catalogue = Catalogue(InstrumentStore(), clock)
store = DynamoSettlementStore(connection(), ThreadPoolExecutor(4, thread_name_prefix="settlement"))
ahead = ThreadPoolExecutor(1, thread_name_prefix="ahead")


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Settle `records` (base64) of `product_id`.

    A defect is an outcome and not an error of the machine: the caller must keep the records and pause the product, and
    no retry would help. Outages are raised, and the machine retries them.
    """
    product_id = event["product_id"]
    try:
        records = [decode_events(unpacked(record)) for record in event["records"]]
        require(all(record.product_id == product_id for record in records), "a record of another product")
        product = catalogue.product(product_id)
        if product is None:
            unreachable(f"{product_id} is not listed")
        done = settle(product, records, store=store, clock=clock, executor=ahead, pause=jittered_pause)
    except (InvariantError, GapError, SplitBrainError, MalformedRecordError) as defect:
        logger.exception("settlement stops for this product", product_id=product_id)
        return {"outcome": "poison", "product_id": product_id, "reason": f"{type(defect).__name__}: {defect}"}
    return {
        "outcome": "settled",
        "product_id": product_id,
        "sequence": done.sequence,
        "parts": done.parts,
        "events": done.events,
        "trades": done.trades,
        "conflicts": done.conflicts,
    }
