"""The payer: pays withdrawals out of a chain's hot wallet and follows them. Nobody else may use its key."""

from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.chains.answering import Answers
from exchange.chains.departure_store import DepartureStore
from exchange.chains.evm import EvmNode
from exchange.chains.evm_wallet import EvmWallet, KmsKey
from exchange.chains.fanning import run_each
from exchange.chains.model import Place
from exchange.chains.nodes import ChainNodes
from exchange.chains.paying import Payer
from exchange.chains.store import ChainItem, ChainStore
from exchange.kernel.clock import SystemClock, jittered_pause
from exchange.ledger.store import BalanceItem, JournalItem, JournalStore
from exchange.payments.waiters import REFUSED_BY_CHAIN, TaskTokens
from exchange.transfers.store import BankMarkItem, TransferItem, TransferStore


class Settings(EnvironmentSettings):
    """The environment of this function."""

    chains_table: str
    chain_nodes_arn: str
    transfers_table: str
    balances_table: str
    journal_table: str
    hot_wallet_key_arn: str


settings = Settings.load()
logger = Logger(service="payouts")
for model, table in (
    (ChainItem, settings.chains_table),
    (TransferItem, settings.transfers_table),
    (BankMarkItem, settings.transfers_table),
    (BalanceItem, settings.balances_table),
    (JournalItem, settings.journal_table),
):
    bind(model, table)
chains, departures = ChainStore(), DepartureStore(connection())
transfers = TransferStore(connection())
nodes = ChainNodes(client("secretsmanager"), settings.chain_nodes_arn)
node_at = EvmNode
key = KmsKey(client("kms"), settings.hot_wallet_key_arn)
waiters = TaskTokens(client("stepfunctions"), refusal=REFUSED_BY_CHAIN)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Pay and follow what leaves the hot wallet of the event's chain, once, or have it done for every chain."""
    if "chain" not in event:
        return {"woken": run_each(chains.listings(), context.function_name, client("lambda"))}
    listing = chains.listing(str(event["chain"]))
    if listing is None or not listing.hot_address:
        logger.info("this chain has no hot wallet", chain=event["chain"])
        return {"chain": event["chain"], "open": 0}
    node = node_at(nodes.url(listing.chain))
    node.require_on(listing)
    waiting = Payer(
        listing,
        Place.HOT,
        carrier=node,
        wallet=EvmWallet(listing.chain_id, lambda _address: key),
        departures=departures,
        journal=JournalStore(),
        clock=SystemClock(),
        pause=jittered_pause,
        note=logger.error,  # Each is for a person to look at: an alarm counts them.
        answers=Answers(transfers, waiters, note=logger.warning),
    ).run()
    logger.info("the hot wallet was seen to", chain=listing.chain, open=waiting)
    return {"chain": listing.chain, "open": waiting}
