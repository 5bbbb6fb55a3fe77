"""One warm Lambda environment: a forked process that imports the handler and answers invocations over a pipe.

It runs in a child of multiprocessing's fork server, so the libraries every function imports are already there. What the
handler prints goes to the function's log file, and back with the answer for CloudWatch Logs.
"""

import contextlib
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TextIO

LOG_CHARACTERS_MAX = 64 * 1024

# Imported once in the fork server, shared by every worker.
PRELOADED = ["infra.local.function_libraries"]


@dataclass(frozen=True)
class FunctionSpec:
    """What a worker needs to know about its function."""

    name: str
    arn: str
    version: str
    handler: str
    timeout_seconds: int
    memory_mb: int
    code_directory: str
    layer_directories: tuple[str, ...]
    environment: dict[str, str]
    log_path: str


@dataclass
class Context:
    """The context object a handler receives."""

    function_name: str
    function_version: str
    invoked_function_arn: str
    memory_limit_in_mb: int
    aws_request_id: str
    log_group_name: str
    log_stream_name: str
    deadline_seconds: float
    identity: Any = None
    client_context: Any = None

    def get_remaining_time_in_millis(self) -> int:
        """What is left before the time-out."""
        return max(0, int((self.deadline_seconds - time.monotonic()) * 1000))


@dataclass
class Log:
    """Standard output of the handler: to the file at once, and kept for the answer."""

    file: TextIO
    kept: list[str] = field(default_factory=list)
    kept_characters: int = 0

    def write(self, text: str) -> int:
        """Write to the file; keep it while there is room."""
        self.file.write(text)
        if self.kept_characters < LOG_CHARACTERS_MAX:
            self.kept.append(text)
            self.kept_characters += len(text)
        return len(text)

    def flush(self) -> None:
        """Flush the file."""
        self.file.flush()

    def isatty(self) -> bool:
        """Never a terminal."""
        return False

    def fileno(self) -> int:
        """The file's descriptor."""
        return self.file.fileno()

    def take(self) -> str:
        """What was written since the last time."""
        text = "".join(self.kept)
        self.kept.clear()
        self.kept_characters = 0
        return text


def serve(connection: Connection, spec: FunctionSpec) -> None:
    """Import the handler, say so, then answer until the pipe closes."""
    log = _prepare(spec)
    try:
        handler = _load(spec.handler)
    except BaseException as error:  # noqa: BLE001 - a module may raise anything, SystemExit too; the caller is told.
        traceback.print_exc()
        connection.send_bytes(_failure(error, log))
        return
    connection.send_bytes(b'{"status": "ready"}')
    while True:
        try:
            request = json.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return
        connection.send_bytes(_answer(handler, request, spec, log))


def _prepare(spec: FunctionSpec) -> Log:
    """Become the function's environment: its variables, its folder, its search path, its log."""
    os.environ.clear()
    os.environ.update(spec.environment)
    os.chdir(spec.code_directory)
    found = [*(str(Path(layer) / "python") for layer in spec.layer_directories), spec.code_directory]
    # Ours first: the deployed code must win over the checkout's, which the virtual environment also knows.
    sys.path[:] = [*found, *(entry for entry in sys.path if entry not in ("", os.curdir))]
    importlib.invalidate_caches()
    stream = Path(spec.log_path).open("a", buffering=1, encoding="utf-8")  # noqa: SIM115 - open as long as the process.
    os.dup2(stream.fileno(), 1)
    os.dup2(stream.fileno(), 2)
    log = Log(stream)
    sys.stdout = sys.stderr = log
    return log


def _load(handler: str) -> Callable[[Any, Context], Any]:
    module_name, _, name = handler.rpartition(".")
    loaded: Callable[[Any, Context], Any] = getattr(importlib.import_module(module_name.replace("/", ".")), name)
    return loaded


def _answer(handler: Callable[[Any, Context], Any], request: dict[str, Any], spec: FunctionSpec, log: Log) -> bytes:
    """Run the handler once. An error is told by its own name, as Lambda does, and the environment lives on."""
    trace_id = request.get("trace_id")
    if trace_id:
        os.environ["_X_AMZN_TRACE_ID"] = trace_id
    context = Context(
        function_name=spec.name,
        function_version=spec.version,
        invoked_function_arn=request["arn"],
        memory_limit_in_mb=spec.memory_mb,
        aws_request_id=request["request_id"],
        log_group_name=f"/aws/lambda/{spec.name}",
        log_stream_name=spec.environment.get("AWS_LAMBDA_LOG_STREAM_NAME", ""),
        deadline_seconds=time.monotonic() + spec.timeout_seconds,
    )
    try:
        result = handler(request["event"], context)
        return json.dumps({"status": "ok", "result": result, "log": log.take()}).encode()
    except Exception as error:  # noqa: BLE001 - this is the platform's outermost frame.
        traceback.print_exc()
        return _failure(error, log)


def _failure(error: BaseException, log: Log) -> bytes:
    """The error in the shape that Lambda reports."""
    frames: list[str] = []
    with contextlib.suppress(Exception):
        frames = traceback.format_tb(error.__traceback__)
    return json.dumps(
        {
            "status": "error",
            "error": {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": frames},
            "log": log.take(),
        }
    ).encode()
