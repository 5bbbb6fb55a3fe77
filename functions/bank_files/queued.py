"""The inbox: each file that the bank's gateway drops, booked or kept whole in quarantine."""

import json
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.banking.booking import Effects, Inbox
from exchange.banking.store import BankFileItem, BankFileStore
from exchange.iso20022.grammar import FileRefusedError
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.kernel.errors import OutageError
from exchange.ledger.model import Balance, Head
from exchange.ledger.store import BalanceItem, BalanceStore, JournalItem, JournalStore
from exchange.payments.gateway import FileGateway, digest_of
from exchange.payments.reversing import take_back
from exchange.payments.service import take_notification
from exchange.payments.store import ReversalStore
from exchange.payments.waiters import TaskTokens
from exchange.transfers.store import BankMarkItem, TransferItem, TransferStore
from exchange.wallets.store import PostingStore
from exchange.wallets.withdrawing import post_withdrawal


class Settings(EnvironmentSettings):
    """The environment of this function."""

    bank_files_table: str
    transfers_table: str
    balances_table: str
    journal_table: str
    bank_files_bucket: str
    quarantine_bucket: str


settings = Settings.load()
logger = Logger(service="bank-files")
clock = SystemClock()
bind(BankFileItem, settings.bank_files_table)
bind(TransferItem, settings.transfers_table)
bind(BankMarkItem, settings.transfers_table)
bind(BalanceItem, settings.balances_table)
bind(JournalItem, settings.journal_table)
files, transfers = BankFileStore(connection()), TransferStore(connection())
journal, balances = JournalStore(), BalanceStore()
waiters = TaskTokens(client("stepfunctions"))
gateway = FileGateway(client("s3"), bucket=settings.bank_files_bucket, quarantine_bucket=settings.quarantine_bucket)


class Books:
    """The journal's ends, and what customers have."""

    def head(self, partition: str) -> Head:
        """The last batch of a partition."""
        return journal.head(partition)

    def balance(self, account_id: int, asset: str) -> Balance:
        """One balance."""
        return balances.balance(account_id, asset)


effects = Effects(
    notify=partial(take_notification, transfers=transfers, waiters=waiters, note=logger.warning),
    post_withdrawal=partial(
        post_withdrawal,
        transfers=transfers,
        journal=journal,
        postings=PostingStore(connection()),
        clock=clock,
        pause=jittered_pause,
    ),
    take_back=partial(
        take_back,
        transfers=transfers,
        journal=journal,
        balances=balances,
        reversals=ReversalStore(connection()),
        clock=clock,
        pause=jittered_pause,
    ),
    wake=lambda transfer: waiters.booked(transfer.task_token, transfer.transfer_id),
    alarm=logger.error,
    pause=jittered_pause,
)
inbox = Inbox(files, transfers, books=Books(), debts=balances, effects=effects, clock=clock)


def handler(event: dict[str, Any], _context: Any) -> dict[str, list[dict[str, str]]]:
    """Take every file; one that can't be taken yet comes again, and at last lies among the failures."""
    failed = [record["messageId"] for record in event["Records"] if not _take(json.loads(record["body"]))]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _take(event: dict[str, Any]) -> bool:
    named = event["detail"]["object"]
    key, version = str(named["key"]), str(named.get("version-id", ""))
    try:
        content = gateway.read(key, version)
        try:
            outcome = inbox.take(content, name=key)
            logger.info("a file is taken", file=key, message=outcome)
        except FileRefusedError as error:
            outcome = f"refused: {error}"
            place = gateway.keep(key, content, version=version, reason=str(error))
            logger.exception("a file is refused", file=key, reason=str(error), kept=place)
        files.note_file(digest_of(content), name=key, outcome=outcome)
    except OutageError as error:
        logger.warning("a file waits", file=key, reason=str(error))
        return False
    return True
