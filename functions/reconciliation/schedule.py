"""Each night, and when it is asked: the ledger held against the log, itself, the chain and the banks."""

import time
from typing import Any, Literal

from aws_lambda_powertools import Logger
from exchange.audit.model import BankView, ChainView, World
from exchange.audit.store import bind_tables, read_chain
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.breaks.store import BreakItem, BreakStore
from exchange.kernel.clock import SystemClock
from exchange.payments.bank import SharedSecret
from exchange.reconciliation.service import reconcile
from exchange.reconciliation.store import read_sides, read_stripe
from exchange.stripe.funds import StripeFunds
from exchange.stripe.provider import stripe_client

PAUSE_SECONDS = 3


class Settings(EnvironmentSettings):
    """The environment of this function."""

    instruments_table: str
    balances_table: str
    journal_table: str
    checkpoints_table: str
    fills_table: str
    transfers_table: str
    chains_table: str
    bank_files_table: str
    breaks_table: str
    executions_stream: str
    chain: str
    chain_node_url: str
    stripe_rail: Literal["on", "off"]
    stripe_api_key_arn: str
    stripe_api_base: str


settings = Settings.load()
logger = Logger(service="reconciliation")
clock = SystemClock()
bind_tables(
    {name.removesuffix("_table"): table for name, table in settings.model_dump().items() if name.endswith("_table")}
)
bind(BreakItem, settings.breaks_table)
breaks = BreakStore(connection())
stripe_key = SharedSecret(client("secretsmanager"), settings.stripe_api_key_arn, clock)


def handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Keep what differs by the same however often it is looked at, and stop the withdrawals of its asset."""
    found = reconcile(_look, at_ns=clock.now_ns())
    fresh = [each for each in found if breaks.open(each)]
    for each in fresh:
        logger.error("a break", asset=each.asset, way=each.way.value, check=each.check, details=list(each.details))
    logger.info("reconciled", found=len(found), fresh=len(fresh))
    return {"found": len(found), "fresh": len(fresh)}


def _look() -> World:
    time.sleep(PAUSE_SECONDS)
    chains: list[ChainView] = []
    if settings.chain_node_url:
        from exchange.chains.evm import EvmNode  # As large as all else together, and needed once a night.

        chains = read_chain(settings.chain, EvmNode(settings.chain_node_url))
    providers: list[BankView] = []
    if settings.stripe_rail == "on":
        at_stripe = stripe_client(stripe_key.value(), api_base=settings.stripe_api_base)
        providers = read_stripe(StripeFunds(at_stripe))
    return read_sides(
        kinesis=client("kinesis"), executions_stream=settings.executions_stream, chains=chains, providers=providers
    )
