"""The step of the deposit and the withdrawal machine that talks to the bank."""

from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.kernel.errors import require
from exchange.payments.bank import BankQueue
from exchange.payments.service import ask_bank
from exchange.transfers.store import TransferItem, TransferStore


class Settings(EnvironmentSettings):
    """The environment of this function."""

    transfers_table: str
    bank_queue_url: str


settings = Settings.load()
logger = Logger(service="payments")
bind(TransferItem, settings.transfers_table)
transfers = TransferStore(connection())
bank = BankQueue(client("sqs"), settings.bank_queue_url)


def handler(event: dict[str, Any], _context: Any) -> dict[str, str]:
    """Do one `step` for `transfer_id`; its own answer goes nowhere, the bank's comes by the task token."""
    require(event["step"] == "ask_bank", f"payments has no step {event['step']!r}")
    transfer_id = str(event["transfer_id"])
    ask_bank(transfer_id, str(event["task_token"]), transfers=transfers, bank=bank)
    logger.info("the bank is asked", transfer_id=transfer_id)
    return {"transfer_id": transfer_id}
