"""Step Functions: the very state machines of `statemachines/`, interpreted on virtual time.

A standard execution is named once and for all; its tasks run at least once. An express one runs while its caller waits,
and goes on when the caller has given up.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from botocore.exceptions import ReadTimeoutError

from tests.fakes.cloud.carrier import refusal
from tests.simulation.faults import Fault, Faults
from tests.simulation.network import Network
from tests.simulation.scheduler import Process, Scheduler

FOLDER: Final = Path(__file__).resolve().parents[2] / "statemachines"
CALLER_SECONDS: Final = 8.0  # how long our clients wait for any answer

Task = Callable[[dict[str, Any]], Any]
Invoke = Callable[[str, Callable[[], Any], float], Any]


class TaskError(Exception):
    """A task ended with an error of this name."""

    def __init__(self, name: str, cause: str = "") -> None:
        super().__init__(f"{name}: {cause}")
        self.name = name
        self.cause = cause


@cache
def definition(name: str) -> dict[str, Any]:
    """A state machine of ours."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.asl.yaml").read_text())
    return found


@dataclass
class Execution:
    """One run of a machine."""

    machine: str
    name: str
    input: dict[str, Any]
    status: str = "RUNNING"
    output: Any = None
    error: TaskError | None = None
    retries: dict[tuple[str, int], int] = field(default_factory=dict)


@dataclass
class _Waiter:
    """Who waits behind a task token."""

    answer: Any = None
    error: TaskError | None = None
    closed: bool = False


class StepFunctions:
    """The service, with boto3's method names. `tasks` are the functions behind the names in the definitions."""

    def __init__(
        self, scheduler: Scheduler, network: Network, faults: Faults, tasks: Mapping[str, Task], invoke: Invoke
    ) -> None:
        self._scheduler = scheduler
        self._network = network
        self._faults = faults
        self._tasks = tasks
        self._invoke = invoke
        self._process = Process("states", scheduler)
        self._tokens: dict[str, _Waiter] = {}
        self.executions: dict[tuple[str, str], Execution] = {}

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> dict[str, Any]:  # noqa: A002
        """Start a standard execution. The same name and input again while it runs is the same execution."""

        def effect() -> dict[str, Any]:
            key = stateMachineArn, name
            known = self.executions.get(key)
            if known is None:
                known = self.executions[key] = Execution(stateMachineArn, name, json.loads(input))
                self._begin(known)
            elif known.status != "RUNNING" or known.input != json.loads(input):
                raise refusal("ExecutionAlreadyExists", "StartExecution", name)
            return {"executionArn": f"{stateMachineArn}:{name}"}

        answer: dict[str, Any] = self._network.carry("states", "StartExecution", effect)
        return answer

    def start_sync_execution(self, *, stateMachineArn: str, input: str) -> dict[str, Any]:  # noqa: A002
        """Run an express execution and wait for it, as long as our clients wait."""

        def effect() -> tuple[Execution, Any]:
            execution = Execution(stateMachineArn, "", json.loads(input))
            return execution, self._begin(execution)

        execution, strand = self._network.carry("states", "StartSyncExecution", effect)
        if not self._scheduler.wait(strand, seconds=CALLER_SECONDS):
            raise ReadTimeoutError(endpoint_url="states")
        if execution.status == "SUCCEEDED":
            return {"status": "SUCCEEDED", "output": json.dumps(execution.output)}
        error = execution.error or TaskError("States.Runtime")
        return {"status": "FAILED", "error": error.name, "cause": error.cause}

    def send_task_success(self, *, taskToken: str, output: str) -> dict[str, Any]:
        """Let a waiting task go on; a token works once."""
        return self._send(taskToken, lambda waiter: setattr(waiter, "answer", json.loads(output)))

    def send_task_failure(self, *, taskToken: str, error: str, cause: str) -> dict[str, Any]:
        """Let a waiting task fail; a token works once."""
        return self._send(taskToken, lambda waiter: setattr(waiter, "error", TaskError(error, cause)))

    def _send(self, token: str, say: Callable[[_Waiter], None]) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            waiter = self._tokens.get(token)
            if waiter is None:
                raise refusal("InvalidToken", "SendTask", token)
            if waiter.closed:
                raise refusal("TaskTimedOut", "SendTask", token)
            waiter.closed = True
            say(waiter)
            return {}

        answer: dict[str, Any] = self._network.carry("states", "SendTask", effect)
        return answer

    def _begin(self, execution: Execution) -> Any:
        return self._scheduler.spawn(self._process, lambda: self._run(execution))

    def _run(self, execution: Execution) -> None:
        machine = definition(execution.machine)
        data: Any = execution.input
        state_name: str | None = machine["StartAt"]
        while state_name is not None:
            state = machine["States"][state_name]
            if state["Type"] == "Succeed":
                break
            if state["Type"] == "Fail":
                execution.status = "FAILED"
                execution.error = TaskError(_at(state.get("ErrorPath"), data), _at(state.get("CausePath"), data))
                return
            if state["Type"] == "Wait":
                self._scheduler.sleep(float(state["Seconds"]))
                state_name = state["Next"]
                continue
            if state["Type"] == "Choice":
                chosen = (rule["Next"] for rule in state["Choices"] if _holds(rule, data))
                state_name = next(chosen, state["Default"])
                continue
            state_name, data = self._do(execution, state_name, state, data)
        execution.status, execution.output = "SUCCEEDED", data

    def _do(self, execution: Execution, name: str, state: dict[str, Any], data: Any) -> tuple[str | None, Any]:
        while True:
            try:
                result = self._task(state, data)
            except TaskError as error:
                pause = _retry(execution, name, state, error)
                if pause is not None:
                    self._scheduler.sleep(pause)
                    continue
                for catch in state.get("Catch", ()):
                    if _matches(error, catch["ErrorEquals"]):
                        told = {"Error": error.name, "Cause": error.cause}
                        return catch["Next"], _placed(data, catch.get("ResultPath", "$"), told)
                execution.status, execution.error = "FAILED", error
                return None, data
            if "ResultSelector" in state:
                result = _filled(state["ResultSelector"], result, "")
            output = _placed(data, state.get("ResultPath", "$"), result)
            if "OutputPath" in state:
                output = _at(state["OutputPath"], output)
            return (None if state.get("End") else state["Next"]), output

    def _task(self, state: dict[str, Any], data: Any) -> Any:
        resource = state["Resource"]
        if "lambda:invoke" not in resource:
            return {}
        token = f"token-{len(self._tokens)}"
        waiter = _Waiter()
        if resource.endswith(".waitForTaskToken"):
            self._tokens[token] = waiter
        payload = _filled(state["Parameters"]["Payload"], data, token)
        function = state["Parameters"]["FunctionName"].strip("${}").removesuffix("FunctionArn")
        task = self._tasks[function]
        if self._faults.hits(Fault.TASK_TWICE):
            self._scheduler.spawn(self._process, lambda: self._quietly(function, lambda: task(payload)), delay=0.05)
        timeout = float(state["TimeoutSeconds"])
        answer = self._invoke(function, lambda: task(payload), min(timeout, 60.0))
        if self._faults.hits(Fault.TASK_FAILED):
            raise TaskError("Lambda.ServiceException", "the answer got lost")
        if not resource.endswith(".waitForTaskToken"):
            return {"Payload": answer}
        return self._await(waiter, timeout)

    def _quietly(self, function: str, work: Callable[[], Any]) -> None:
        try:
            self._invoke(function, work, 60.0)
        except TaskError:
            return

    def _await(self, waiter: _Waiter, timeout: float) -> Any:
        pause = 0.5
        while timeout > 0 and not waiter.closed:
            self._scheduler.sleep(min(pause, timeout))
            timeout -= pause
            pause = min(2 * pause, 3600.0)
        if not waiter.closed:
            waiter.closed = True
            raise TaskError("States.Timeout")
        if waiter.error is not None:
            raise waiter.error
        return waiter.answer


def _retry(execution: Execution, name: str, state: dict[str, Any], error: TaskError) -> float | None:
    for number, retry in enumerate(state.get("Retry", ())):
        if _matches(error, retry["ErrorEquals"]):
            tried = execution.retries.get((name, number), 0)
            if tried >= retry["MaxAttempts"]:
                return None
            execution.retries[name, number] = tried + 1
            pause = retry["IntervalSeconds"] * retry["BackoffRate"] ** tried
            return float(min(pause, retry.get("MaxDelaySeconds", pause)))
    return None


def _matches(error: TaskError, names: list[str]) -> bool:
    return error.name in names or "States.ALL" in names


def _holds(rule: dict[str, Any], data: Any) -> bool:
    """Whether a rule of a choice holds, of the kinds that our machines have."""
    if "And" in rule:
        return all(_holds(part, data) for part in rule["And"])
    name = rule["Variable"].removeprefix("$.")
    if "IsPresent" in rule:
        return bool((name in data) == rule["IsPresent"])
    if "StringMatches" in rule:
        return fnmatchcase(data[name], rule["StringMatches"])
    return bool(_at(rule["Variable"], data) == rule["StringEquals"])


def _at(path: str | None, data: Any) -> Any:
    found = data
    for name in (path or "$").removeprefix("$").split("."):
        found = found[name] if name else found
    return found


def _placed(data: Any, path: str | None, result: Any) -> Any:
    if path is None:
        return data
    return result if path == "$" else {**data, path.removeprefix("$."): result}


def _filled(template: Any, data: Any, token: str) -> dict[str, Any]:
    filled = {}
    for name, value in template.items():
        if name.endswith(".$"):
            filled[name[:-2]] = token if value == "$$.Task.Token" else _at(value, data)
        else:
            filled[name] = value
    return filled
