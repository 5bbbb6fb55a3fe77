"""The watcher: follows the chain that its event names. Where it names none, each chain gets a run of its own."""

from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.chains.evm import EvmNode
from exchange.chains.fanning import run_each
from exchange.chains.nodes import ChainNodes
from exchange.chains.service import Watcher
from exchange.chains.store import ChainItem, ChainPostings, ChainStore
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.ledger.store import BalanceItem, BalanceStore, JournalItem, JournalStore
from exchange.transfers.store import TransferItem


class Settings(EnvironmentSettings):
    """The environment of this function."""

    chains_table: str
    chain_nodes_arn: str
    transfers_table: str
    balances_table: str
    journal_table: str


settings = Settings.load()
logger = Logger(service="chains-schedule")
bind(ChainItem, settings.chains_table)
bind(TransferItem, settings.transfers_table)
bind(BalanceItem, settings.balances_table)
bind(JournalItem, settings.journal_table)
chains, postings = ChainStore(), ChainPostings(connection())
nodes = ChainNodes(client("secretsmanager"), settings.chain_nodes_arn)
node_at = EvmNode


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Follow the chain of the event once, or have every chain followed."""
    if "chain" not in event:
        return {"woken": run_each(chains.listings(), context.function_name, client("lambda"))}
    listing = chains.listing(str(event["chain"]))
    if listing is None:
        logger.info("this chain is not listed", chain=event["chain"])
        return {"chain": event["chain"], "listed": False}
    node = node_at(nodes.url(listing.chain))
    node.require_on(listing)
    cursor = Watcher(
        listing,
        node=node,
        ledger=chains,
        journal=JournalStore(),
        balances=BalanceStore(),
        postings=postings,
        clock=SystemClock(),
        pause=jittered_pause,
    ).run()
    logger.info("a chain is read", chain=listing.chain, block=cursor.tip.number)
    return {"chain": listing.chain, "listed": True, "block": cursor.tip.number}
