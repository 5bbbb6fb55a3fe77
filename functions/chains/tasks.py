"""The step of the withdrawal machine that has a chain pay: it asks for the payment, the payer makes and follows it."""

from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.chains.departure_store import DepartureStore
from exchange.chains.store import ChainItem, ChainStore
from exchange.chains.withdrawal import pay_on_chain
from exchange.payments.waiters import REFUSED_BY_CHAIN, TaskTokens
from exchange.transfers.store import TransferItem, TransferStore


class Settings(EnvironmentSettings):
    """The environment of this function."""

    chains_table: str
    transfers_table: str


settings = Settings.load()
logger = Logger(service="chains-tasks")
bind(ChainItem, settings.chains_table)
bind(TransferItem, settings.transfers_table)
chains, departures = ChainStore(), DepartureStore(connection())
transfers = TransferStore(connection())
waiters = TaskTokens(client("stepfunctions"), refusal=REFUSED_BY_CHAIN)


def handler(event: dict[str, Any], _context: Any) -> dict[str, str]:
    """Have `transfer_id` paid; its own answer goes nowhere, the chain's comes by the task token."""
    transfer_id = str(event["transfer_id"])
    pay_on_chain(
        transfer_id,
        str(event["task_token"]),
        listings=chains.listing,
        transfers=transfers,
        departures=departures,
        waiters=waiters,
        note=logger.warning,
    )
    logger.info("a withdrawal is to be paid over its chain", transfer_id=transfer_id)
    return {"transfer_id": transfer_id}
