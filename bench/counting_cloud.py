"""The laptop cloud, counting every AWS request that reaches it: `python -m bench.counting_cloud`.

All AWS requests of the functions, the matcher and the gateway arrive at this one server, so what is counted here is
what the exchange asks of AWS. DynamoDB is asked for the capacity that each request consumed; MiniStack reckons it by
the rules measured on AWS: an item's size in KB rounded up, twice in a transaction, once for each index entry changed.
"""

import base64
import json
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

COUNTS_PATH = "/_bench/counts"
PUT_UNIT_BYTES = 25 * 1024

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_lock = threading.Lock()
_counts: dict[str, float] = defaultdict(float)


def count(name: str, amount: float = 1) -> None:
    """Add to a counter, from any thread."""
    with _lock:
        _counts[name] += amount


class CountingApp:
    """An ASGI application before MiniStack's."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Count a request and pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == COUNTS_PATH:
            await _answer_counts(send)
            return
        name = request_name(scope)
        body = await whole(receive)
        if name.startswith("DynamoDB."):
            body = _ask_for_capacity(scope, body)
        answer = bytearray()
        started = time.monotonic()

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.body":
                answer.extend(message.get("body", b""))
            await send(message)

        await self._app(scope, given(body, receive), keep)
        count(f"request {name}")
        count(f"seconds {name}", time.monotonic() - started)
        count(f"bytes {name}", len(answer))
        if name.startswith("DynamoDB."):
            _count_capacity(name, bytes(answer))
        elif name.startswith("Kinesis.Put"):
            _count_puts(body)


def request_name(scope: Message) -> str:
    """The service and operation of a request: DynamoDB.GetItem, ApiGateway.REST, S3.PUT."""
    headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
    target = headers.get("x-amz-target", "")
    if target:
        service, _, operation = target.partition(".")
        return f"{service.partition('_')[0]}.{operation}"
    if scope["path"].startswith("/_aws/execute-api/"):
        return "ApiGateway.REST"
    credential = headers.get("authorization", "").partition("Credential=")[2].split("/")
    service = credential[3] if len(credential) > 3 else "none"
    return f"{service}.{scope['method']}"


async def whole(receive: Receive) -> bytes:
    """The whole body of a request."""
    body = bytearray()
    while True:
        message = await receive()
        body.extend(message.get("body", b""))
        if not message.get("more_body"):
            return bytes(body)


def given(body: bytes, receive: Receive) -> Receive:
    """A body that was read, to be read again; then whatever the connection has to say."""
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _ask_for_capacity(scope: Message, body: bytes) -> bytes:
    asked = json.dumps({**json.loads(body or b"{}"), "ReturnConsumedCapacity": "INDEXES"}).encode()
    scope["headers"] = [
        (name, str(len(asked)).encode() if name.lower() == b"content-length" else value)
        for name, value in scope["headers"]
    ]
    return asked


def _count_capacity(name: str, answer: bytes) -> None:
    """Read what DynamoDB says it consumed, table by table. A refused request has no figure; it is counted by name."""
    try:
        consumed = json.loads(answer).get("ConsumedCapacity") or []
    except ValueError:
        return
    if not consumed:
        count(f"refused {name}")
    for entry in consumed if isinstance(consumed, list) else [consumed]:
        units = float(entry["CapacityUnits"])
        table = entry["TableName"].rpartition("-")[2]
        indexes = sum(float(index["CapacityUnits"]) for index in (entry.get("GlobalSecondaryIndexes") or {}).values())
        kind = "read" if name.split(".")[1] in READS else "write"
        count(f"{kind} {table}", units - indexes if kind == "write" else units)
        if kind == "write" and indexes:
            count(f"write {table} indexes", indexes)


READS = frozenset(("GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems"))


def _count_puts(body: bytes) -> None:
    """Kinesis charges a record by 25 KB begun."""
    request = json.loads(body)
    stream = (request.get("StreamName") or request.get("StreamARN", "")).rpartition("-")[2]
    for record in request.get("Records") or [request]:
        size = len(base64.b64decode(record["Data"]))
        count(f"put units {stream}", -(-size // PUT_UNIT_BYTES))
        count(f"put bytes {stream}", size)


def count_invocations() -> None:
    """Count what the functions' pools run, and how long each worker's processor was busy with it."""
    import psutil

    from infra.local.function_pool import Pool, Worker

    finish = Pool._finish  # noqa: SLF001 - every invocation ends here.

    def counted(pool: Pool, worker: Worker, answer: dict[str, Any]) -> dict[str, Any]:
        name = pool.spec.name.removeprefix("exchange-local-")
        times = psutil.Process(worker.process.pid).cpu_times()
        busy = times.user + times.system
        count(f"invocation {name}")
        count(f"cpu {name}", busy - _busy.get(worker.process.pid or 0, busy))
        _busy[worker.process.pid or 0] = busy
        return finish(pool, worker, answer)

    Pool._finish = counted  # type: ignore[method-assign,assignment]  # noqa: SLF001 - see above.


_busy: dict[int, float] = {}


async def _answer_counts(send: Send) -> None:
    with _lock:
        body = json.dumps(_counts).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Run the laptop cloud with the counter before it."""
    from infra.local import cloud

    def counted(app: App) -> App:
        count_invocations()
        return CountingApp(app)

    cloud.main(before=counted)


if __name__ == "__main__":
    main()
