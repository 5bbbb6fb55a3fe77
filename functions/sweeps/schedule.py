"""The sweeper: moves what lies at deposit addresses to the hot wallet. It alone may open their seed."""

from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.chains.departure_store import DepartureStore
from exchange.chains.evm import EvmNode
from exchange.chains.evm_wallet import EvmWallet
from exchange.chains.fanning import run_each
from exchange.chains.model import Place
from exchange.chains.nodes import ChainNodes
from exchange.chains.paying import Payer
from exchange.chains.seed import SealedSeed
from exchange.chains.store import ChainItem, ChainStore
from exchange.chains.sweeping import ask_for_sweeps
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.ledger.store import BalanceItem, JournalItem, JournalStore


class Settings(EnvironmentSettings):
    """The environment of this function."""

    chains_table: str
    chain_nodes_arn: str
    balances_table: str
    journal_table: str
    deposit_seed_key_arn: str


settings = Settings.load()
logger = Logger(service="sweeps")
for model, table in (
    (ChainItem, settings.chains_table),
    (BalanceItem, settings.balances_table),
    (JournalItem, settings.journal_table),
):
    bind(model, table)
chains, departures, clock = ChainStore(), DepartureStore(connection()), SystemClock()
nodes = ChainNodes(client("secretsmanager"), settings.chain_nodes_arn)
node_at = EvmNode


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Follow the sweeps of the event's chain, and ask for those that are worth it, once, or have every chain swept."""
    if "chain" not in event:
        return {"woken": run_each(chains.listings(), context.function_name, client("lambda"))}
    listing = chains.listing(str(event["chain"]))
    if listing is None or not listing.hot_address:
        logger.info("this chain has no hot wallet", chain=event["chain"])
        return {"chain": event["chain"], "asked": 0, "open": 0}
    node = node_at(nodes.url(listing.chain))
    node.require_on(listing)
    asked = ask_for_sweeps(listing, carrier=node, departures=departures, clock=clock, note=logger.error)
    seed = SealedSeed(client("kms"), settings.deposit_seed_key_arn, listing.chain, chains)
    waiting = Payer(
        listing,
        Place.ADDRESSES,
        carrier=node,
        wallet=EvmWallet(listing.chain_id, seed.key_of),
        departures=departures,
        journal=JournalStore(),
        clock=clock,
        pause=jittered_pause,
        note=logger.error,
    ).run()
    logger.info("deposit addresses were seen to", chain=listing.chain, asked=asked, open=waiting)
    return {"chain": listing.chain, "asked": asked, "open": waiting}
