"""Warm workers of each function, leased one invocation at a time, by threads and by the event loop alike."""

import asyncio
import json
import multiprocessing
import os
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

from infra.local import function_worker
from infra.local.function_worker import FunctionSpec

INIT_SECONDS_MAX = 60
# Longer than any function's own time-out would be pointless: the caller is gone by then.
LEASE_SECONDS_MAX = 60

_context = multiprocessing.get_context("forkserver")
_spawn_lock = threading.Lock()

ERROR_TIMED_OUT = "Sandbox.Timedout"
ERROR_EXITED = "Runtime.ExitError"


class WorkerInitError(RuntimeError):
    """The function's module could not be imported; `answer` is what Lambda would report."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(str(answer.get("error")))
        self.answer = answer


def prepare_fork_server() -> None:
    """Have the fork server import, when it starts, the libraries that every function imports."""
    _context.set_forkserver_preload(function_worker.PRELOADED)


def kill_all() -> None:
    """End every worker of every pool at once."""
    children = multiprocessing.active_children()
    for child in children:
        child.kill()
    for child in children:
        child.join(2)


class Worker:
    """A worker process and our end of its pipe."""

    def __init__(self, spec: FunctionSpec) -> None:
        """Start it. Raises WorkerInitError."""
        self.connection, theirs = _context.Pipe(duplex=True)
        with _spawn_lock:
            self.process: ForkServerProcess = _context.Process(
                target=function_worker.serve, args=(theirs, spec), name=spec.name, daemon=True
            )
            self.process.start()
        theirs.close()
        answer = _receive(self.connection, INIT_SECONDS_MAX)
        if answer.get("status") != "ready":
            self.end()
            raise WorkerInitError(answer)

    def end(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.connection.close()
        self.process.join(2)


def _receive(connection: Connection, seconds: float) -> dict[str, Any]:
    if not connection.poll(seconds):
        return {"status": "timeout"}
    return _decode(connection)


def _decode(connection: Connection) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(connection.recv_bytes())
    except (EOFError, OSError):
        return {"status": "error", "error": {"errorType": ERROR_EXITED, "errorMessage": "The process exited"}}
    return answer


@dataclass
class Pool:
    """The workers of one function: at most `size_max`, the most recently used first."""

    spec: FunctionSpec
    size_max: int
    size: int = 0
    closed: bool = False
    idle: list[Worker] = field(default_factory=list)
    waiting: deque["Future[Worker | None]"] = field(default_factory=deque)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def invoke(self, event: Any, *, request_id: str, arn: str, trace_id: str | None) -> dict[str, Any]:
        """Run one invocation from a thread."""
        try:
            worker = self._claim().result(LEASE_SECONDS_MAX) or Worker(self.spec)
        except WorkerInitError as error:
            self._forget()
            return error.answer
        try:
            worker.connection.send_bytes(_request(event, request_id, arn, trace_id))
            answer = _receive(worker.connection, self.spec.timeout_seconds)
        except OSError:
            answer = _decode(worker.connection)
        return self._finish(worker, answer)

    async def invoke_async(self, event: Any, *, request_id: str, arn: str, trace_id: str | None) -> dict[str, Any]:
        """Run one invocation from the event loop, without a thread."""
        loop = asyncio.get_running_loop()
        try:
            claim = self._claim()
            worker = claim.result() if claim.done() else await asyncio.wait_for(asyncio.wrap_future(claim), 60)
            if worker is None:
                worker = await loop.run_in_executor(None, Worker, self.spec)
        except WorkerInitError as error:
            self._forget()
            return error.answer
        descriptor = worker.connection.fileno()
        readable: asyncio.Future[None] = loop.create_future()
        try:
            worker.connection.send_bytes(_request(event, request_id, arn, trace_id))
            loop.add_reader(descriptor, _wake, readable)
            try:
                async with asyncio.timeout(self.spec.timeout_seconds):
                    await readable
                # libuv made the descriptor non-blocking; a long answer arrives in pieces and is read to its end.
                os.set_blocking(descriptor, True)
                answer = _decode(worker.connection)
            except TimeoutError:
                answer = {"status": "timeout"}
            finally:
                loop.remove_reader(descriptor)
        except OSError:
            answer = _decode(worker.connection)
        except asyncio.CancelledError:
            self._drop(worker)
            raise
        return self._finish(worker, answer)

    def close(self) -> None:
        """End the idle workers; those at work end when they finish."""
        with self.lock:
            self.closed = True
            idle, self.idle = self.idle, []
        for worker in idle:
            worker.end()

    def _claim(self) -> "Future[Worker | None]":
        """A worker now or later; None means: make one, there is room."""
        claim: Future[Worker | None] = Future()
        with self.lock:
            if self.idle:
                claim.set_result(self.idle.pop())
            elif self.size < self.size_max:
                self.size += 1
                claim.set_result(None)
            else:
                self.waiting.append(claim)
        return claim

    def _finish(self, worker: Worker, answer: dict[str, Any]) -> dict[str, Any]:
        if answer.get("status") == "timeout":
            self._drop(worker)
            message = f"Task timed out after {self.spec.timeout_seconds}.00 seconds"
            return {"status": "error", "error": {"errorType": ERROR_TIMED_OUT, "errorMessage": message}}
        # A pipe that broke off once may still hold half an answer, which is nobody's.
        broken = answer.get("status") == "error" and answer["error"].get("errorType") == ERROR_EXITED
        if broken or self.closed or not worker.process.is_alive():
            self._drop(worker)
        else:
            self._release(worker)
        return answer

    def _release(self, worker: Worker) -> None:
        with self.lock:
            claim = self._next_claim()
            if claim is None:
                self.idle.append(worker)
        if claim is not None:
            claim.set_result(worker)

    def _drop(self, worker: Worker) -> None:
        worker.end()
        self._forget()

    def _forget(self) -> None:
        """One worker fewer; whoever waits may make another."""
        with self.lock:
            claim = self._next_claim()
            if claim is None:
                self.size -= 1
        if claim is not None:
            claim.set_result(None)

    def _next_claim(self) -> "Future[Worker | None] | None":
        while self.waiting:
            claim = self.waiting.popleft()
            if claim.set_running_or_notify_cancel():
                return claim
        return None


def _request(event: Any, request_id: str, arn: str, trace_id: str | None) -> bytes:
    return json.dumps({"event": event, "request_id": request_id, "arn": arn, "trace_id": trace_id}).encode()


def _wake(readable: "asyncio.Future[None]") -> None:
    if not readable.done():
        readable.set_result(None)
