"""The transfers' sweeper: heals a crash between a transfer's write and the start of its state machine."""

from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.kernel.clock import SystemClock
from exchange.transfers.model import Transfer, TransferKind
from exchange.transfers.store import TransferItem, TransferStore
from exchange.wallets.machine import StepFunctionsMachine
from exchange.wallets.withdrawing import start_forgotten


class Settings(EnvironmentSettings):
    """The environment of this function."""

    transfers_table: str
    deposit_machine_arn: str
    withdrawal_machine_arn: str


settings = Settings.load()
logger = Logger(service="transfers-sweeper")
clock = SystemClock()
bind(TransferItem, settings.transfers_table)
transfers = TransferStore(connection())
deposits = StepFunctionsMachine(client("stepfunctions"), settings.deposit_machine_arn)
withdrawals = StepFunctionsMachine(client("stepfunctions"), settings.withdrawal_machine_arn)


def handler(_event: dict[str, Any], _context: Any) -> dict[str, int]:
    """Start the machines of transfers that wait longer than a minute for them."""
    started = start_forgotten(transfers=transfers, start=_start, clock=clock, note=logger.warning)
    if started:
        logger.warning("transfers were started late", count=started)
    return {"started": started}


def _start(transfer: Transfer) -> None:
    if transfer.kind is TransferKind.WITHDRAW:
        withdrawals.start(transfer.transfer_id, transfer.rail)
    else:
        deposits.start(transfer.transfer_id)
