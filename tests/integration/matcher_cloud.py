"""A laptop cloud with the matcher's streams, tables and buckets, and matchers as processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from tests.fakes.ports import free_ports

ROOT = Path(__file__).parents[2]
REGION = "us-east-1"
PREFIX = "matching"
WAIT_SECONDS_MAX = 30.0


def wait_for(condition: Callable[[], bool], what: str, *, seconds: float = WAIT_SECONDS_MAX) -> float:
    """Wait until it holds; return how long it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError(what)
        time.sleep(0.02)
    return time.monotonic() - began


@dataclass
class Cloud:
    """A running cloud."""

    process: subprocess.Popen[bytes]
    environment: dict[str, str]

    def client(self, service: str) -> Any:
        """A client of one of its services."""
        return boto3.client(
            service,
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def follow(self, stream: str) -> "Follower":
        """A reader of a stream's one shard, from its beginning."""
        kinesis, name = self.client("kinesis"), f"{PREFIX}-{stream}"
        shard = kinesis.list_shards(StreamName=name)["Shards"][0]["ShardId"]
        answer = kinesis.get_shard_iterator(StreamName=name, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        return Follower(kinesis, answer["ShardIterator"])

    def stream_records(self, stream: str) -> Iterator[dict[str, Any]]:
        """Every record of a stream, one shard after the other."""
        kinesis, name = self.client("kinesis"), f"{PREFIX}-{stream}"
        for shard in kinesis.list_shards(StreamName=name)["Shards"]:
            answer = kinesis.get_shard_iterator(
                StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )
            yield from Follower(kinesis, answer["ShardIterator"]).read()

    def lease(self) -> dict[str, Any]:
        """The lease of the orders stream's one shard."""
        items = self.client("dynamodb").scan(TableName=f"{PREFIX}-leases", ConsistentRead=True)["Items"]
        return next((item for item in items if item["shard"]["S"].startswith("shard/")), {})

    def epoch(self) -> int:
        """How many reigns the orders stream's one shard has seen."""
        return int(self.lease()["epoch"]["N"])

    def kept_snapshots(self) -> list[str]:
        """The snapshots that the lease points to, newest first."""
        return str(self.lease().get("snapshots", {}).get("S", "")).split("\n")

    def spoil(self, key: str, damage: Callable[[bytes], bytes]) -> None:
        """Put something else where a snapshot was."""
        s3, where = self.client("s3"), {"Bucket": f"{PREFIX}-snapshots", "Key": key}
        s3.put_object(**where, Body=damage(s3.get_object(**where)["Body"].read()))

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(timeout=20)


@dataclass
class Follower:
    """Reads on where it stopped."""

    kinesis: Any
    iterator: str | None

    def read(self) -> Iterator[dict[str, Any]]:
        """Every record that has come since."""
        while self.iterator is not None:
            answer = self.kinesis.get_records(ShardIterator=self.iterator, Limit=10_000)
            self.iterator = answer.get("NextShardIterator")
            if not answer["Records"]:
                return
            yield from answer["Records"]


@dataclass
class Matcher:
    """A matcher's process."""

    cloud: Cloud
    log: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=lambda: free_ports(1)[0])
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Matcher":
        """Start it, for the first time or again."""
        environment = {
            **self.cloud.environment,
            "ORDERS_STREAM": f"{PREFIX}-orders",
            "EXECUTIONS_STREAM": f"{PREFIX}-executions",
            "LEASES_TABLE": f"{PREFIX}-leases",
            "INSTRUMENTS_TABLE": f"{PREFIX}-instruments",
            "SNAPSHOTS_BUCKET": f"{PREFIX}-snapshots",
            "QUARANTINE_BUCKET": f"{PREFIX}-quarantine",
            "HEALTH_PORT": str(self.port),
            "POLL_MILLISECONDS": "10",
            **self.settings,
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "matcher", "run"], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        return self

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit code."""
        assert self.process is not None
        return self.process.wait(timeout=30)

    def kill(self) -> None:
        """kill -9, if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def health(self) -> dict[str, Any]:
        """What its health page says; empty while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
                return dict(json.load(answer))
        except (urllib.error.URLError, OSError):
            return {}

    def said(self, message: str, *, since: int = 0) -> list[dict[str, Any]]:
        """The lines of its log that say so, behind so many characters of it."""
        lines = self.log.read_text()[since:].splitlines()
        return [line for line in map(json.loads, filter(_is_whole, lines)) if line.get("message") == message]

    def shards(self) -> dict[str, Any]:
        """What its health page says of each shard."""
        return dict(self.health().get("shards", {}))

    def leads(self) -> bool:
        """Whether it reigns."""
        return self.health().get("role") == "leader"

    def stands_by(self) -> bool:
        """Whether it is up and does not reign."""
        return self.health().get("role") == "standby"


def _is_whole(line: str) -> bool:
    return line.startswith("{") and line.endswith("}")


def start_cloud(home: Path, *, shards: int = 1) -> Cloud:
    """Start a cloud on a free port, with everything that a matcher needs; `shards` are those of the orders stream."""
    [port] = free_ports(1)
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "functions/shared/python"))),
    }
    command = [sys.executable, "-m", "infra.local.cloud", "--port", str(port), "--home", str(home)]
    with (home / "cloud.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    cloud = Cloud(process, environment)
    try:
        wait_for(lambda: _answers(cloud), "the cloud does not answer")
        _furnish(cloud, shards)
    except BaseException:
        process.kill()
        raise
    return cloud


def _answers(cloud: Cloud) -> bool:
    try:
        with urllib.request.urlopen(cloud.environment["AWS_ENDPOINT_URL"] + "/_localstack/health", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _furnish(cloud: Cloud, shards: int) -> None:
    for stream, count in {"orders": shards, "executions": 1}.items():
        cloud.client("kinesis").create_stream(StreamName=f"{PREFIX}-{stream}", ShardCount=count)
    for bucket in ("snapshots", "quarantine"):
        cloud.client("s3").create_bucket(Bucket=f"{PREFIX}-{bucket}")
    for table, keys in {"leases": ("shard",), "instruments": ("kind", "id")}.items():
        cloud.client("dynamodb").create_table(
            TableName=f"{PREFIX}-{table}",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            KeySchema=[
                {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
        )
    _list_products(cloud)


def _list_products(cloud: Cloud) -> None:
    dynamodb = cloud.client("dynamodb")
    for asset, scale in {"ACME": "4", "BETA": "4", "USD": "6"}.items():
        item = {"kind": {"S": "asset"}, "id": {"S": asset}, "scale": {"N": scale}}
        dynamodb.put_item(TableName=f"{PREFIX}-instruments", Item=item)
    for base in ("ACME", "BETA"):
        numbers = {
            "tick_units": "10000",
            "lot_units": "10",
            "size_min_lots": "1",
            "size_max_lots": "1000000000",
            "market_funds_min_units": "1000000",
            "reference_price_ticks": "10000",
            "band_ppm": "500000",
            "open_orders_max": "500",
        }
        item = {
            "kind": {"S": "product"},
            "id": {"S": f"{base}-USD"},
            "base": {"S": base},
            "quote": {"S": "USD"},
            **{name: {"N": number} for name, number in numbers.items()},
        }
        dynamodb.put_item(TableName=f"{PREFIX}-instruments", Item=item)
