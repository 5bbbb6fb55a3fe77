"""The executions stream, in order: a product's records go to the settlement machine, one execution after the other."""

from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.settings import EnvironmentSettings
from exchange.aws.state_machines import ExpressMachine
from exchange.settlement.delivery import StreamRecord, deliver
from exchange.settlement.quarantine import Quarantine


class Settings(EnvironmentSettings):
    """The environment of this function."""

    settlement_machine_arn: str
    quarantine_bucket: str


settings = Settings.load()
logger = Logger(service="settlement-stream")
machine = ExpressMachine(client("stepfunctions"), settings.settlement_machine_arn)
quarantine = Quarantine(client("s3"), settings.quarantine_bucket)


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Settle a batch of Kinesis records. Raises where the batch must be tried again."""
    found = (record["kinesis"] for record in event["Records"])
    records = [StreamRecord(row["partitionKey"], row["sequenceNumber"], row["data"]) for row in found]
    delivered = deliver(records, machine=machine, quarantine=quarantine)
    for product_id, reason in delivered.paused.items():
        logger.error("a product is paused", product_id=product_id, reason=reason)
    return {"settled": dict(delivered.trades), "paused": dict(delivered.paused)}
