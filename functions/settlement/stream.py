"""The executions stream, in order: a product's records go to the settlement machine, one execution after the other."""

from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.aws.settings import EnvironmentSettings
from exchange.aws.state_machines import ExpressMachine
from exchange.kernel.clock import SystemClock
from exchange.settlement.delivery import StreamRecord, deliver
from exchange.settlement.failure_store import FailureItem, FailureStore
from exchange.settlement.quarantine import Quarantine


class Settings(EnvironmentSettings):
    """The environment of this function."""

    settlement_machine_arn: str
    quarantine_bucket: str
    settlement_failures_table: str


settings = Settings.load()
logger = Logger(service="settlement-stream")
machine = ExpressMachine(client("stepfunctions"), settings.settlement_machine_arn)
quarantine = Quarantine(client("s3"), settings.quarantine_bucket)
bind(FailureItem, settings.settlement_failures_table)
failures, clock = FailureStore(connection()), SystemClock()


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Settle a batch of Kinesis records. Raises where the batch must be tried again."""
    records = [_record(row["kinesis"]) for row in event["Records"]]
    delivered = deliver(records, machine=machine, quarantine=quarantine, failures=failures, clock=clock)
    for product_id, reason in delivered.paused.items():
        logger.error("a product is paused", product_id=product_id, reason=reason)
    return {"settled": dict(delivered.trades), "paused": dict(delivered.paused)}


def _record(row: dict[str, Any]) -> StreamRecord:
    arrived_at_ns = int(row["approximateArrivalTimestamp"] * 1_000) * 1_000_000  # Seconds, to the millisecond.
    return StreamRecord(row["partitionKey"], row["sequenceNumber"], row["data"], arrived_at_ns)
