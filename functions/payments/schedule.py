"""Each minute: asks Stripe for what operators approved, after what it has not ended, and what it took for itself."""

from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.banking.paying_out import see_to_payouts
from exchange.banking.store import BankFileItem, BankFileStore
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.ledger.store import BalanceItem, BalanceStore, JournalItem, JournalStore
from exchange.payments.bank import SharedSecret
from exchange.payments.costs import post_costs
from exchange.payments.refunding import Books, see_to_refunds
from exchange.payments.store import ReversalStore
from exchange.stripe.funds import StripeFunds
from exchange.stripe.payouts import StripePayouts
from exchange.stripe.provider import stripe_client
from exchange.stripe.refunds import StripeRefunds
from exchange.transfers.store import BankMarkItem, TransferItem, TransferStore
from exchange.wallets.ending import endings
from exchange.wallets.store import PostingStore


class Settings(EnvironmentSettings):
    """The environment of this function."""

    bank_files_table: str
    transfers_table: str
    balances_table: str
    instruments_table: str
    journal_table: str
    stripe_api_key_arn: str
    stripe_api_base: str


settings = Settings.load()
logger = Logger(service="payments-schedule")
bind(BankFileItem, settings.bank_files_table)
bind(TransferItem, settings.transfers_table)
bind(BankMarkItem, settings.transfers_table)
bind(BalanceItem, settings.balances_table)
bind(InstrumentItem, settings.instruments_table)
bind(JournalItem, settings.journal_table)
clock = SystemClock()
stripe_key = SharedSecret(client("secretsmanager"), settings.stripe_api_key_arn, clock)
files, journal, transfers = BankFileStore(connection()), JournalStore(), TransferStore(connection())
reversals, postings = ReversalStore(connection()), PostingStore(connection())
post, give_back = endings(transfers, journal, postings, clock=clock, pause=jittered_pause)
books = Books(transfers, journal, BalanceStore(), reversals, post, give_back, clock, jittered_pause, logger.error)


def handler(_event: dict[str, Any], _context: Any) -> dict[str, int]:
    """See to every payout and refund that is open, and post what Stripe took."""
    at_stripe = stripe_client(stripe_key.value(), api_base=settings.stripe_api_base)
    count = see_to_payouts(
        payouts=files,
        stripe=StripePayouts(at_stripe, clock),
        journal=journal,
        clock=clock,
        pause=jittered_pause,
        note=logger.warning,
    )
    refunds = see_to_refunds(refunds=files, stripe=StripeRefunds(at_stripe, clock), books=books)
    costs = post_costs(
        stripe=StripeFunds(at_stripe),
        seen=files,
        transfers=transfers,
        journal=journal,
        postings=reversals,
        assets=InstrumentStore().assets(),
        clock=clock,
        pause=jittered_pause,
    )
    done = {"payouts": count, "refunds": refunds, "costs": costs}
    if any(done.values()):
        logger.info("Stripe was asked", payouts=count, refunds=refunds, costs=costs)
    return done
