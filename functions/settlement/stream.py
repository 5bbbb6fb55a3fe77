"""The executions stream, in order: each product's records go to the settlement machine, one execution after the other.

A record that can't be settled is kept whole in S3 with all that follow it, and its product is paused; the shard's
other products go on. An outage raises: the stream keeps its place and tries again.
"""

import base64
from collections.abc import Iterable, Iterator
from typing import Any

from aws_lambda_powertools import Logger
from exchange.aws.clients import client
from exchange.aws.settings import EnvironmentSettings
from exchange.aws.state_machines import ExpressMachine
from exchange.settlement.quarantine import Quarantine

# An Express input is at most 256 KB; records travel as base64 inside it.
INPUT_CHARACTERS_MAX = 240_000


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
    settled: dict[str, int] = {}
    by_product: dict[str, list[dict[str, Any]]] = {}
    for record in event["Records"]:
        by_product.setdefault(record["kinesis"]["partitionKey"], []).append(record["kinesis"])
    for product_id, records in by_product.items():
        settled[product_id] = _settle_product(product_id, records)
    return {"settled": settled}


def _settle_product(product_id: str, records: list[dict[str, Any]]) -> int:
    if quarantine.is_paused(product_id):
        _keep(product_id, records)
        return 0
    trades = 0
    for chunk in _chunks(records):
        output = machine.run({"product_id": product_id, "records": [record["data"] for record in chunk]})
        if output["outcome"] == "poison":
            logger.error("a product is paused", product_id=product_id, reason=output["reason"])
            quarantine.pause(product_id, output["reason"])
            _keep(product_id, records[records.index(chunk[0]) :])
            return trades
        trades += int(output["trades"])
    return trades


def _keep(product_id: str, records: Iterable[dict[str, Any]]) -> None:
    for record in records:
        quarantine.keep(product_id, record["sequenceNumber"], base64.b64decode(record["data"]))


def _chunks(records: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    length = 0
    for record in records:
        if chunk and length + len(record["data"]) > INPUT_CHARACTERS_MAX:
            yield chunk
            chunk, length = [], 0
        chunk.append(record)
        length += len(record["data"]) + 4
    if chunk:
        yield chunk
