"""The laptop cloud with a watch before it: `python -m tests.integration.watched_cloud`.

It writes down which function asked what of which resource, does to requests what a plan of faults says, and tells which
workers of functions are idle. Functions
are told apart by the names in their User-Agents, and so is the matcher; the tests have none.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from bench.counting_cloud import App, Message, Receive, Send, given, request_name, whole
from infra.local.functions import idle_workers
from tests.fakes.faults import Fault, Plan, loaded

CALLS_PATH = "/_watch/calls"
FAULTS_PATH = "/_watch/faults"
IDLE_PATH = "/_watch/idle"
LATE_SECONDS = 0.4
STACK_PREFIX = "exchange-local-"
ELSEWHERE = "elsewhere"  # the tests, the edge, the operator's commands
MATCHER = "matcher"  # no function: its role is in infra/matcher.yaml
Call = tuple[str, str, str]  # who, the action as IAM names it, the resource as AWS named it

SERVICES = {
    "AWSStepFunctions": "states",
    "AmazonSQS": "sqs",
    "TrentService": "kms",
    "secretsmanager": "secretsmanager",
    "Kinesis": "kinesis",
    "AWSCognitoIdentityProviderService": "cognito-idp",
    "AWSEvents": "events",
    "SimpleEmailService_v2": "ses",
}
IN_TRANSACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}
RESOURCES = (
    "TableName", "StreamName", "StreamARN", "QueueUrl", "stateMachineArn", "SecretId", "KeyId", "FunctionName",
)  # fmt: skip


class Watch:
    """An ASGI application before MiniStack's."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._calls: set[Call] = set()
        self._plan = Plan(0, ())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Write a request down, disturb it or let it pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await whole(receive)
        if scope["path"] == CALLS_PATH:
            await _answer(send, 200, json.dumps(sorted(self._calls)).encode())
        elif scope["path"] == IDLE_PATH:
            await _answer(send, 200, json.dumps(sorted(idle_workers())).encode())
        elif scope["path"] == FAULTS_PATH:
            if scope["method"] == "PUT":
                self._plan = loaded(body)
            await _answer(send, 200, json.dumps(self._plan.fired).encode())
        else:
            caller, operation = caller_of(scope), request_name(scope)
            if caller not in {ELSEWHERE, MATCHER}:
                self._calls.update((caller, *call) for call in actions(scope, operation, body))
            fault = self._plan.fault(caller, operation) if caller != ELSEWHERE else None
            await self._meet(fault, scope, given(body, receive), send)

    async def _meet(self, fault: Fault | None, scope: Message, receive: Receive, send: Send) -> None:
        if fault is Fault.THROTTLED:
            await _answer(send, 400, json.dumps({"__type": _throttle(request_name(scope)), "message": "slow"}).encode())
        elif fault is Fault.FAILED:
            await _answer(send, 500, b'{"__type": "InternalServerError", "message": "a fault that was put in"}')
        elif fault in {Fault.LOST, Fault.BROKEN}:
            await self._app(scope, receive, _unheard)
            if fault is Fault.BROKEN:
                await _answer(send, 500, b'{"__type": "InternalServerError", "message": "a fault that was put in"}')
            else:
                await _hang_up(send)
        else:
            if fault is Fault.LATE:
                await asyncio.sleep(LATE_SECONDS)
            await self._app(scope, receive, send)


def _throttle(operation: str) -> str:
    exceeded = "ProvisionedThroughputExceededException"
    return exceeded if operation.startswith(("DynamoDB.", "Kinesis.")) else "ThrottlingException"


async def _unheard(_message: Message) -> None:
    """The answer goes nowhere."""


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/x-amz-json-1.0"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _hang_up(send: Send) -> None:
    """Promise bytes and send none: the server closes such a connection."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _headers(scope: Message) -> dict[str, str]:
    return {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}


def caller_of(scope: Message) -> str:
    """The function that sent the request."""
    found = re.search(rf"app/{STACK_PREFIX}([\w-]+)", _headers(scope).get("user-agent", ""))
    return found[1] if found else ELSEWHERE


def actions(scope: Message, operation: str, body: bytes) -> Iterator[tuple[str, str]]:
    """What IAM asks about a request: actions, each with its resource."""
    service, _, name = operation.partition(".")
    path = unquote(scope["path"])
    if service == "DynamoDB":
        yield from _of_tables(name, json.loads(body or b"{}"))
    elif operation == "AWSEvents.PutEvents":
        for bus in {entry["EventBusName"] for entry in json.loads(body)["Entries"]}:
            yield "events:PutEvents", bus
    elif service in SERVICES:
        request = json.loads(body or b"{}")
        found = next((str(request[key]) for key in RESOURCES if key in request), "*")
        yield f"{SERVICES[service]}:{name}", found
    elif "/@connections/" in path:
        yield "execute-api:ManageConnections", path.split("/@connections/")[0]
    elif invoked := re.fullmatch(r"/2015-03-31/functions/([^/]+)/invocations", path):
        yield "lambda:InvokeFunction", invoked[1]
    elif service == "s3":
        yield from _of_buckets(scope["method"], path)
    else:
        yield operation, path


def _of_tables(name: str, request: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if name in {"BatchGetItem", "BatchWriteItem"}:
        for table in request["RequestItems"]:
            yield f"dynamodb:{name}", table
    elif "TransactItems" in request:
        for item in request["TransactItems"]:
            for kind, action in IN_TRANSACTIONS.items():
                if kind in item:
                    yield f"dynamodb:{action}", item[kind]["TableName"]
    else:
        yield f"dynamodb:{name}", request.get("TableName", "*")


def _of_buckets(method: str, path: str) -> Iterator[tuple[str, str]]:
    bucket, _, key = path.strip("/").partition("/")
    actions_of = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
    yield f"s3:{actions_of.get(method, method) if key else 'ListBucket'}", bucket


def main() -> None:
    """Run the laptop cloud with the watch before it."""
    from infra.local import cloud

    cloud.main(before=Watch)


if __name__ == "__main__":
    main()
