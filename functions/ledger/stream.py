"""The journal's own stream: every new batch goes onto the statements of the balances it moved, and what it settled is
confirmed on the bus."""

from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind
from exchange.aws.event_bus import EventBus
from exchange.aws.settings import EnvironmentSettings
from exchange.kernel.clock import jittered_pause
from exchange.ledger.store import JournalItem, JournalStore, batch_of_image
from exchange.settlement.confirming import SOURCE, confirm
from exchange.statements.service import bring_up
from exchange.statements.store import StatementCursorItem, StatementItem, StatementStore


class Settings(EnvironmentSettings):
    """The environment of this function."""

    journal_table: str
    statements_table: str
    checkpoints_table: str
    bus_name: str


settings = Settings.load()
logger = Logger(service="ledger-stream")
bind(JournalItem, settings.journal_table)
bind(StatementItem, settings.statements_table)
bind(StatementCursorItem, settings.checkpoints_table)
journal = JournalStore()
statements = StatementStore()
bus = EventBus(client("events"), settings.bus_name, SOURCE)


def handler(event: dict[str, Any], _context: Any) -> dict[str, int]:
    """Bring the statements up to every partition that the records name, then confirm what the records say was settled.

    Statements are written from the journal itself, in its order, from where they are: a lost, repeated or reordered
    record does them no harm. A confirmation is told again with its record. Raises where the batch must be tried again.
    """
    records = [record["dynamodb"] for record in event["Records"]]
    keys = [record["Keys"]["partition"]["S"] for record in records]
    done = {
        partition: bring_up(partition, journal=journal, statements=statements, pause=jittered_pause)
        for partition in dict.fromkeys(keys)
    }
    told = confirm([batch_of_image(record["NewImage"]) for record in records], bus)
    logger.debug("statements brought up", batches=done, confirmations=told)
    return done
