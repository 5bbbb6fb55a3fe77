"""The steps of the deposit and the withdrawal machine that touch balances, each as often as the machine likes."""

import random
import time
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.breaks.store import BreakItem, BreakStore
from exchange.clearance.screening import screening_at
from exchange.clearance.service import Holds, await_review, clear_withdrawal
from exchange.clearance.store import ClearanceStore
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import require
from exchange.ledger.store import BalanceItem, BalanceStore, JournalItem, JournalStore
from exchange.payments.waiters import TaskTokens
from exchange.transfers.model import Transfer
from exchange.transfers.store import TransferItem, TransferStore
from exchange.users.store import CustomerItem, CustomerStore, ProfileItem
from exchange.wallets.service import credit_deposit, fail_deposit
from exchange.wallets.store import PostingStore
from exchange.wallets.withdrawing import post_withdrawal, return_withdrawal

PAUSE_SECONDS_MAX = 0.05


class Settings(EnvironmentSettings):
    """The environment of this function."""

    transfers_table: str
    balances_table: str
    journal_table: str
    users_table: str
    profiles_table: str
    breaks_table: str
    screening_url: str


settings = Settings.load()
logger = Logger(service="wallets")
clock = SystemClock()
bind(TransferItem, settings.transfers_table)
bind(BalanceItem, settings.balances_table)
bind(JournalItem, settings.journal_table)
bind(CustomerItem, settings.users_table)
bind(ProfileItem, settings.profiles_table)
bind(BreakItem, settings.breaks_table)
transfers = TransferStore(connection())
journal, balances = JournalStore(), BalanceStore()
postings = PostingStore(connection())
screening = screening_at(settings.screening_url)
holds = Holds(BreakStore(connection()), CustomerStore(), ClearanceStore(connection()))
waiters = TaskTokens(client("stepfunctions"))


def handler(event: dict[str, Any], _context: Any) -> dict[str, str]:
    """Do one `step` for `transfer_id`."""
    step, transfer_id = event["step"], str(event["transfer_id"])
    if step == "clear":
        transfer, clearance = clear_withdrawal(transfer_id, transfers=transfers, screening=screening, holds=holds)
        logger.info("a withdrawal is looked at", transfer_id=transfer_id, clearance=clearance)
        return {"transfer_id": transfer_id, "clearance": clearance}
    transfer = _do(step, transfer_id, str(event["task_token"] if step == "await_review" else ""))
    logger.info("a transfer's step is done", step=step, transfer_id=transfer_id, status=transfer.status.value)
    return {"transfer_id": transfer_id, "status": transfer.status.value}


def _do(step: str, transfer_id: str, task_token: str) -> Transfer:
    if step == "await_review":
        return await_review(transfer_id, task_token, transfers=transfers, waiters=waiters)
    if step == "fail":
        return fail_deposit(transfer_id, transfers=transfers, clock=clock)
    if step == "give_back":
        return return_withdrawal(transfer_id, transfers=transfers, postings=postings, clock=clock, pause=_pause)
    require(step in {"credit", "post"}, f"wallets has no step {step!r}")
    post = partial(credit_deposit, debts=balances) if step == "credit" else post_withdrawal
    return post(transfer_id, transfers=transfers, journal=journal, postings=postings, clock=clock, pause=_pause)


def _pause(_attempt: int) -> None:
    # Jitter, so that those who lost the same race don't meet again.
    time.sleep(random.random() * PAUSE_SECONDS_MAX)  # noqa: S311 - spreads load, guards nothing
