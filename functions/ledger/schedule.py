"""Closes the books: each midnight the day that ended, and whenever an operator asks, all until then."""

import datetime as dt
import secrets
from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind
from exchange.aws.settings import EnvironmentSettings
from exchange.books.service import SALT_BYTES, close_books
from exchange.books.store import Chains, ClosingItem, ClosingStore, KmsSigner, S3Vault
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock
from exchange.ledger.store import JournalItem
from exchange.statements.store import StatementCursorItem

# The statements, which know all chains, may be as far behind the journal as this.
LAG_NS = 10 * 1_000_000_000
_DAY_NS = 86_400 * 1_000_000_000


class Settings(EnvironmentSettings):
    """The environment of this function."""

    instruments_table: str
    journal_table: str
    checkpoints_table: str
    closings_table: str
    archive_bucket: str
    closings_key_id: str


settings = Settings.load()
logger = Logger(service="ledger-schedule")
clock = SystemClock()
bind(InstrumentItem, settings.instruments_table)
bind(JournalItem, settings.journal_table)
bind(StatementCursorItem, settings.checkpoints_table)
bind(ClosingItem, settings.closings_table)
chains, closings = Chains(), ClosingStore()
vault = S3Vault(client("s3"), settings.archive_bucket)
signer = KmsSigner(client("kms"), settings.closings_key_id)


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Close up to the last midnight (UTC), or with {"now": true} up to some seconds ago. Twice changes nothing."""
    now = clock.now_ns()
    until = now - LAG_NS if event.get("now") is True else now - now % _DAY_NS
    closing = close_books(
        until,
        salt=secrets.token_bytes(SALT_BYTES),
        scales={asset.asset_id: asset.scale for asset in InstrumentStore().assets().values()},
        journal=chains,
        closings=closings,
        vault=vault,
        signer=signer,
    )
    moment = dt.datetime.fromtimestamp(closing.until_ns // 1_000_000_000, dt.UTC).isoformat()
    logger.info("books are closed", closing=closing.number, until=moment, statement_hash=closing.statement_hash)
    return {"closing": closing.number, "until": moment, "statement_hash": closing.statement_hash}
