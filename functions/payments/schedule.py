"""Each minute: asks Stripe for what operators approved, and after what it has not ended."""

from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.ledger.store import BalanceItem, JournalItem, JournalStore
from exchange.payments.bank import SharedSecret
from exchange.payments.file_store import BankFileItem, BankFileStore
from exchange.payments.paying_out import see_to_payouts
from exchange.payments.stripe_payouts import StripePayouts
from exchange.payments.stripe_provider import stripe_client
from exchange.transfers.store import TransferItem


class Settings(EnvironmentSettings):
    """The environment of this function."""

    bank_files_table: str
    transfers_table: str
    balances_table: str
    journal_table: str
    stripe_api_key_arn: str
    stripe_api_base: str


settings = Settings.load()
logger = Logger(service="payments-schedule")
bind(BankFileItem, settings.bank_files_table)
bind(TransferItem, settings.transfers_table)
bind(BalanceItem, settings.balances_table)
bind(JournalItem, settings.journal_table)
clock = SystemClock()
stripe_key = SharedSecret(client("secretsmanager"), settings.stripe_api_key_arn, clock)
files = BankFileStore(connection())


def handler(_event: dict[str, Any], _context: Any) -> dict[str, int]:
    """See to every payout that is open."""
    at_stripe = stripe_client(stripe_key.value(), api_base=settings.stripe_api_base)
    count = see_to_payouts(
        payouts=files,
        stripe=StripePayouts(at_stripe, clock),
        journal=JournalStore(),
        clock=clock,
        pause=jittered_pause,
        note=logger.warning,
    )
    if count:
        logger.info("payouts were asked about", count=count)
    return {"payouts": count}
