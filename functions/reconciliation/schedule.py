"""Each night, and when it is asked: the ledger held against the log, itself, the chain and the banks."""

import time
from typing import Any, Literal

from aws_lambda_powertools import Logger
from exchange.audit.model import BankView, ChainView
from exchange.audit.store import bind_tables, read_chains
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.breaks.model import BreakState
from exchange.breaks.store import BreakItem, BreakStore
from exchange.chains.nodes import ChainNodes
from exchange.kernel.clock import SystemClock
from exchange.payments.bank import SharedSecret
from exchange.reconciliation.motion import Look
from exchange.reconciliation.service import reconcile
from exchange.reconciliation.store import read_sides, read_stripe
from exchange.statements.store import reached_partitions
from exchange.stripe.funds import StripeFunds
from exchange.stripe.provider import stripe_client

PAUSE_SECONDS = 3
# What a bank, Stripe, a node or the log tells may be a minute behind us, or we behind it.
LATER_SECONDS = 75
# What is asked of a chain whose newest block is gone can be answered when the watcher has run again, each minute.
CHAIN_PAUSE_SECONDS = 10


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
    chain_rail: Literal["on", "off"]
    chain_nodes_arn: str
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
unasked = ({"D8", "D9", "D10"} if settings.chain_rail == "off" else set()) | (
    {"B3"} if settings.stripe_rail == "off" else set()
)
stripe_key = SharedSecret(client("secretsmanager"), settings.stripe_api_key_arn, clock)


def handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Keep each break and stop the withdrawals of its asset. `open_breaks` of the log is what the alarm looks at."""
    outcome = reconcile(_look, later=lambda: time.sleep(LATER_SECONDS), at_ns=clock.now_ns())
    fresh = breaks.take(
        outcome.breaks,
        at_ns=clock.now_ns(),
        unknown=outcome.unsettled,
        all_asked=not outcome.uncompared,
        unasked=unasked,
    )
    still = [each for each in breaks.all() if each.state is BreakState.OPEN]
    for each in still:
        logger.error("a break", asset=each.asset, way=each.way.value, check=each.check, breach=each.breach)
    unsettled = sorted({f"{check} {asset}" for asset, check, _ in outcome.unsettled})
    if unsettled or outcome.uncompared:
        logger.warning("not told", unsettled=unsettled, uncompared=outcome.uncompared)
    kept = [each.break_id for each in breaks.all() if each.state is BreakState.EXPLAINED and each.check in unasked]
    if kept:
        logger.warning("not compared: the side is switched off", breaks=kept)
    logger.info("reconciled", open_breaks=len(still) + len(outcome.uncompared), found=len(outcome.breaks))
    return {
        "found": len(outcome.breaks),
        "fresh": len(fresh),
        "unsettled": unsettled,
        "uncompared": outcome.uncompared,
    }


def _look() -> Look:
    time.sleep(PAUSE_SECONDS)
    marks = reached_partitions()
    chains: list[ChainView] = []
    if settings.chain_rail == "on":
        from exchange.chains.evm import EvmNode  # As large as all else together, and needed once a night.

        nodes = ChainNodes(client("secretsmanager"), settings.chain_nodes_arn)
        chains = read_chains(lambda chain: EvmNode(nodes.url(chain)))
        if any(view.reason for view in chains):
            time.sleep(CHAIN_PAUSE_SECONDS)
    providers: list[BankView] = []
    if settings.stripe_rail == "on":
        at_stripe = stripe_client(stripe_key.value(), api_base=settings.stripe_api_base)
        providers = read_stripe(StripeFunds(at_stripe))
    return read_sides(
        marks=marks,
        kinesis=client("kinesis"),
        executions_stream=settings.executions_stream,
        chains=chains,
        providers=providers,
    )
