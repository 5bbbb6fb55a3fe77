"""The journal's own stream: every new batch goes onto the statements of the balances it moved."""

from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.dynamodb import bind
from exchange.aws.settings import EnvironmentSettings
from exchange.kernel.clock import jittered_pause
from exchange.ledger.store import JournalItem, JournalStore
from exchange.statements.service import bring_up
from exchange.statements.store import StatementCursorItem, StatementItem, StatementStore


class Settings(EnvironmentSettings):
    """The environment of this function."""

    journal_table: str
    statements_table: str
    checkpoints_table: str


settings = Settings.load()
logger = Logger(service="ledger-stream")
bind(JournalItem, settings.journal_table)
bind(StatementItem, settings.statements_table)
bind(StatementCursorItem, settings.checkpoints_table)
journal = JournalStore()
statements = StatementStore()


def handler(event: dict[str, Any], _context: Any) -> dict[str, int]:
    """Bring the statements up to every partition that the records name.

    What the records say is not read: the journal itself is, in its order, from where the statements are. So a lost,
    repeated or reordered record does no harm. Raises where the batch must be tried again.
    """
    keys = [record["dynamodb"]["Keys"]["partition"]["S"] for record in event["Records"]]
    done = {
        partition: bring_up(partition, journal=journal, statements=statements, pause=jittered_pause)
        for partition in dict.fromkeys(keys)
    }
    logger.debug("statements brought up", batches=done)
    return done
