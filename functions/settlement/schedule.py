"""Tries again what could not be settled: each minute, what is due."""

from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.aws.state_machines import ExpressMachine
from exchange.kernel.clock import SystemClock
from exchange.settlement.failure_store import FailureItem, FailureStore
from exchange.settlement.quarantine import Quarantine
from exchange.settlement.retrying import alarming, retry_due


class Settings(EnvironmentSettings):
    """The environment of this function."""

    settlement_machine_arn: str
    quarantine_bucket: str
    settlement_failures_table: str


settings = Settings.load()
logger = Logger(service="settlement-schedule")
bind(FailureItem, settings.settlement_failures_table)
machine = ExpressMachine(client("stepfunctions"), settings.settlement_machine_arn)
quarantine = Quarantine(client("s3"), settings.quarantine_bucket)
failures, clock = FailureStore(connection()), SystemClock()


def handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Try again what is due. Run twice at once, nothing settles twice."""
    found = retry_due(failures=failures, machine=machine, quarantine=quarantine, clock=clock)
    for failure in alarming(found):
        logger.error(
            "a settlement waits",
            product_id=failure.product_id,
            state=failure.state.value,
            attempts=failure.attempts,
            reason=failure.error,
        )
    still = [failure for failure in found if failure.open]
    logger.info("failed settlements", open_failures=len(still))
    return {"open": len(still), "tried": len(found)}
