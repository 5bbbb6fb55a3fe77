"""Behind each closing of the books: counts what everybody traded, then pays rebates and commissions out of its fees."""

from collections.abc import Iterator
from typing import Any

from aws_lambda_powertools import Logger
from exchange.awards.service import Desk, pay_awards
from exchange.awards.store import AwardItem, AwardStore
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.books.model import Closing
from exchange.books.service import batches_of
from exchange.books.store import Chains, ClosingItem, ClosingStore, S3Vault
from exchange.books.volumes import traded_volumes
from exchange.fees.model import Traded
from exchange.fees.store import (
    FeeScheduleItem,
    add_traded,
    awarded_closing,
    counted_closing,
    note_awarded,
    note_counted,
    read_versions,
)
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.ledger.store import BalanceItem, JournalItem, JournalStore
from exchange.referrals.store import ReferralItem, ReferralStore


class Settings(EnvironmentSettings):
    """The environment of this function."""

    instruments_table: str
    journal_table: str
    closings_table: str
    archive_bucket: str
    fee_schedules_table: str
    balances_table: str
    referrals_table: str
    awards_table: str


settings = Settings.load()
logger = Logger(service="fees-schedule")
bind(InstrumentItem, settings.instruments_table)
bind(JournalItem, settings.journal_table)
bind(ClosingItem, settings.closings_table)
bind(FeeScheduleItem, settings.fee_schedules_table)
bind(BalanceItem, settings.balances_table)
bind(ReferralItem, settings.referrals_table)
bind(AwardItem, settings.awards_table)
chains, closings = Chains(), ClosingStore()
vault = S3Vault(client("s3"), settings.archive_bucket)


def handler(event: dict[str, Any], _context: Any) -> dict[str, int]:
    """Count and pay every closing that was not yet; with {"closing": 7} also pay what is missing of that one.

    Run twice, twice at once or broken off, nothing counts double and nobody is paid double.
    """
    counted = awards = 0
    for before, closing in _after(counted_closing()):
        counted += _count(before, closing)
    reached = awarded_closing()
    for before, closing in _after(reached):
        awards += _pay(before, closing)
        note_awarded(closing.number)
    again = int(event.get("closing", 0))
    if 0 < again <= reached:
        awards += _pay(*next(_after(again - 1)))
    return {"closings": counted, "awards": awards}


def _after(number: int) -> Iterator[tuple[Closing | None, Closing]]:
    """Every closing behind a number with the one before it."""
    before = closings.closing(number)
    for closing in closings.page(None, number):
        yield before, closing
        before = closing


def _count(before: Closing | None, closing: Closing) -> int:
    volumes = traded_volumes(batches_of(closing, before, journal=chains, vault=vault), InstrumentStore().products())
    for account_id, volume in volumes.items():
        add_traded(account_id, Traded(closing.number, closing.until_ns, volume))
    note_counted(closing.number)
    logger.info("volumes are counted", closing=closing.number, accounts=len(volumes))
    return 1


def _pay(before: Closing | None, closing: Closing) -> int:
    versions = read_versions()
    if not any(version.gives and version.effective_ns < closing.until_ns for version in versions):
        return 0
    desk = Desk(
        products=InstrumentStore().products(),
        versions=versions,
        referrals=ReferralStore(),
        journal=JournalStore(),
        awards=AwardStore(connection()),
        clock=SystemClock(),
        pause=jittered_pause,
    )
    awards = pay_awards(closing.number, batches_of(closing, before, journal=chains, vault=vault), desk)
    short = [award for award in awards if award.units < award.due_units]
    if short:
        logger.warning("fees of the period are less than what is due of them", closing=closing.number, short=len(short))
    logger.info("awards are paid", closing=closing.number, awards=len(awards))
    return len(awards)
