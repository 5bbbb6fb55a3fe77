"""What goes through the counter is passed on unchanged and counted by name, capacity and size."""

import asyncio
import base64
import json
from typing import Any

import pytest

from bench.counting_cloud import COUNTS_PATH, CountingApp, Message, Receive, Send, request_name


def a_scope(target: str = "", path: str = "/", **headers: str) -> Message:
    named = {"x-amz-target": target, "content-length": "2", **headers}
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in named.items() if value],
    }


class FakeCloud:
    """Answers every request with the same bytes, in two pieces."""

    def __init__(self, answer: Any) -> None:
        self.body = json.dumps(answer).encode()
        self.seen: list[Any] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        message = await receive()
        length = dict(scope["headers"]).get(b"content-length")
        self.seen.append((json.loads(message["body"] or b"null"), int(length or 0) == len(message["body"])))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": self.body[:5], "more_body": True})
        await send({"type": "http.response.body", "body": self.body[5:]})


def ask(app: CountingApp, scope: Message, body: bytes = b"{}") -> bytes:
    pieces = [body[:3], body[3:]]
    sent = bytearray()

    async def receive() -> Message:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: Message) -> None:
        sent.extend(message.get("body", b""))

    asyncio.run(app(scope, receive, send))
    return bytes(sent)


def counted(app: CountingApp, scope: Message, body: bytes = b"{}") -> dict[str, float]:
    """What one request adds to the counters, its duration apart."""
    before = json.loads(ask(app, a_scope(path=COUNTS_PATH)))
    ask(app, scope, body)
    after = json.loads(ask(app, a_scope(path=COUNTS_PATH)))
    added = {name: amount - before.get(name, 0) for name, amount in after.items() if amount != before.get(name, 0)}
    return {name: amount for name, amount in added.items() if not name.startswith("seconds ")}


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        (a_scope("DynamoDB_20120810.GetItem"), "DynamoDB.GetItem"),
        (a_scope("Kinesis_20131202.PutRecord"), "Kinesis.PutRecord"),
        (a_scope("TrentService.Decrypt"), "TrentService.Decrypt"),
        (a_scope(path="/_aws/execute-api/abc/live/orders"), "ApiGateway.REST"),
        (a_scope(authorization="AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request"), "s3.POST"),
        (a_scope(), "none.POST"),
    ],
)
def test_a_request_is_named_by_service_and_operation(scope: Message, name: str) -> None:
    assert request_name(scope) == name


def test_a_transaction_is_counted_table_by_table_and_its_indexes_apart() -> None:
    capacity = [
        {"TableName": "x-orders", "CapacityUnits": 5.0, "GlobalSecondaryIndexes": {"a": {"CapacityUnits": 2.0}}},
        {"TableName": "x-balances", "CapacityUnits": 2.0},
    ]
    cloud = FakeCloud({"ConsumedCapacity": capacity})
    added = counted(CountingApp(cloud), a_scope("DynamoDB_20120810.TransactWriteItems"), b'{"TransactItems": []}')
    assert added.pop("bytes DynamoDB.TransactWriteItems") == len(cloud.body)
    assert added == {
        "request DynamoDB.TransactWriteItems": 1,
        "write orders": 3,
        "write orders indexes": 2,
        "write balances": 2,
    }
    assert cloud.seen == [({"TransactItems": [], "ReturnConsumedCapacity": "INDEXES"}, True)]


def test_reads_are_counted_as_reads_and_refusals_by_name() -> None:
    read = CountingApp(FakeCloud({"ConsumedCapacity": {"TableName": "x-fills", "CapacityUnits": 0.5}}))
    assert counted(read, a_scope("DynamoDB_20120810.Query"))["read fills"] == 0.5
    refused = CountingApp(FakeCloud({"message": "no"}))
    assert counted(refused, a_scope("DynamoDB_20120810.PutItem"))["refused DynamoDB.PutItem"] == 1


@pytest.mark.parametrize(("size", "units"), [(1, 1), (25 * 1024, 1), (25 * 1024 + 1, 2)])
def test_a_record_is_charged_by_25_kb_begun(size: int, units: int) -> None:
    body = json.dumps({"StreamName": "x-orders", "Data": base64.b64encode(bytes(size)).decode()}).encode()
    added = counted(CountingApp(FakeCloud({})), a_scope("Kinesis_20131202.PutRecord"), body)
    assert (added["put units orders"], added["put bytes orders"]) == (units, size)


def test_answers_pass_unchanged() -> None:
    cloud = FakeCloud({"Item": {"id": {"S": "x"}}})
    assert ask(CountingApp(cloud), a_scope("Kinesis_20131202.GetRecords")) == cloud.body
