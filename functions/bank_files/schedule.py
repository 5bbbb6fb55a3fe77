"""The outbox: payment orders that wait, gathered into files for the bank's gateway to take."""

from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.banking.filing import file_orders
from exchange.banking.store import BankFileItem, BankFileStore
from exchange.kernel.clock import SystemClock
from exchange.payments.gateway import FileGateway


class Settings(EnvironmentSettings):
    """The environment of this function."""

    bank_files_table: str
    bank_files_bucket: str


settings = Settings.load()
logger = Logger(service="bank-files-outbox")
bind(BankFileItem, settings.bank_files_table)
files = BankFileStore(connection())
gateway = FileGateway(client("s3"), bucket=settings.bank_files_bucket)


def handler(_event: dict[str, Any], _context: Any) -> dict[str, int]:
    """Write what waits in each currency."""
    clock = SystemClock()
    count = sum(file_orders(account.currency, files=files, outbox=gateway, clock=clock) for account in files.accounts())
    if count:
        logger.info("payment orders are filed", count=count)
    return {"filed": count}
