"""The step of the deposit and the withdrawal machine that talks to the bank, or to Stripe."""

from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.banking.filing import FilesProvider
from exchange.banking.store import BankFileItem, BankFileStore
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import require
from exchange.payments.bank import BankQueue, SharedSecret
from exchange.payments.model import BANK_FILES, STRIPE
from exchange.payments.service import ByRail, PaymentProvider, ask_bank
from exchange.payments.waiters import TaskTokens
from exchange.stripe.provider import StripeProvider, stripe_client
from exchange.transfers.store import BankMarkItem, TransferItem, TransferStore


class Settings(EnvironmentSettings):
    """The environment of this function."""

    transfers_table: str
    bank_queue_url: str
    bank_files_table: str
    stripe_api_key_arn: str
    stripe_api_base: str


settings = Settings.load()
logger = Logger(service="payments")
bind(TransferItem, settings.transfers_table)
bind(BankMarkItem, settings.transfers_table)
bind(BankFileItem, settings.bank_files_table)
transfers = TransferStore(connection())
clock = SystemClock()
waiters = TaskTokens(client("stepfunctions"))
stripe_key = SharedSecret(client("secretsmanager"), settings.stripe_api_key_arn, clock)


def _stripe() -> PaymentProvider:
    at_stripe = stripe_client(stripe_key.value(), api_base=settings.stripe_api_base)
    return StripeProvider(at_stripe, customers=transfers, clock=clock)


def _files() -> PaymentProvider:
    return FilesProvider(BankFileStore(connection()))


bank = ByRail(BankQueue(client("sqs"), settings.bank_queue_url), {STRIPE: _stripe, BANK_FILES: _files})


def handler(event: dict[str, Any], _context: Any) -> dict[str, str]:
    """Do one `step` for `transfer_id`; its own answer goes nowhere, the bank's comes by the task token."""
    require(event["step"] == "ask_bank", f"payments has no step {event['step']!r}")
    transfer_id = str(event["transfer_id"])
    ask_bank(
        transfer_id, str(event["task_token"]), transfers=transfers, bank=bank, waiters=waiters, note=logger.warning
    )
    logger.info("the bank is asked", transfer_id=transfer_id)
    return {"transfer_id": transfer_id}
