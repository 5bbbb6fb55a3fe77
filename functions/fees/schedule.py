"""Counts what everybody traded, closing by closing of the books: the volumes that fee tiers look at."""

from collections.abc import Iterator
from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind
from exchange.aws.settings import EnvironmentSettings
from exchange.books.files import books_of
from exchange.books.model import Books, Closing
from exchange.books.store import Chains, ClosingItem, ClosingStore, S3Vault
from exchange.books.volumes import traded_volumes
from exchange.fees.model import Traded
from exchange.fees.store import FeeScheduleItem, add_traded, counted_closing, note_counted
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.ledger.model import Batch
from exchange.ledger.store import JournalItem


class Settings(EnvironmentSettings):
    """The environment of this function."""

    instruments_table: str
    journal_table: str
    closings_table: str
    archive_bucket: str
    fee_schedules_table: str


settings = Settings.load()
logger = Logger(service="fees-schedule")
bind(InstrumentItem, settings.instruments_table)
bind(JournalItem, settings.journal_table)
bind(ClosingItem, settings.closings_table)
bind(FeeScheduleItem, settings.fee_schedules_table)
chains, closings = Chains(), ClosingStore()
vault = S3Vault(client("s3"), settings.archive_bucket)


def handler(_event: dict[str, Any], _context: Any) -> dict[str, int]:
    """Count every closing that was not counted yet. Run twice or broken off, nothing counts double."""
    counted, before = 0, _books(closings.closing(counted_closing()))
    for closing in closings.page(None, counted_closing()):
        books = _books(closing)
        volumes = traded_volumes(_batches(before, books), InstrumentStore().products())
        for account_id, volume in volumes.items():
            add_traded(account_id, Traded(closing.number, closing.until_ns, volume))
        note_counted(closing.number)
        logger.info("volumes are counted", closing=closing.number, accounts=len(volumes))
        counted, before = counted + 1, books
    return {"closings": counted}


def _books(closing: Closing | None) -> Books:
    return books_of(closing, vault=vault) if closing else Books({}, ())


def _batches(before: Books, after: Books) -> Iterator[Batch]:
    for partition, head in after.cuts.items():
        start = before.cuts[partition].number if partition in before.cuts else 0
        for batch, _ in chains.batches(partition, after=start):
            if batch.number > head.number:
                break
            yield batch
