"""State machines: valid, complete in what they do about failure, and in step with the code of their steps."""

import ast
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.contract.cloud_definition import ROOT, definition, function_named, functions, state_machines, walk
from tests.integration import saga_cases

FILES = sorted(path.name for path in (ROOT / "statemachines").glob("*.asl.yaml"))
ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"
LAMBDA_OUTAGES = {
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
}


def _states(definition_: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from definition_["States"].items()


def _tasks() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (file, name, state) for file in FILES for name, state in _states(definition(file)) if state["Type"] == "Task"
    ]


def _function_of(file: str, state: dict[str, Any]) -> Any:
    """The function that a task invokes; None for other services."""
    name = state["Parameters"].get("FunctionName")
    if name is None:
        return None
    target = state_machines()[file]["DefinitionSubstitutions"][name[2:-1]]
    return next(function for function in functions() if function.logical_id == target["Fn::GetAtt"][0])


def test_every_file_is_a_machine_and_the_reverse() -> None:
    assert set(FILES) == set(state_machines())


@pytest.mark.parametrize("file", FILES)
def test_a_definition_is_valid(file: str, tmp_path: Path) -> None:
    from cfnlint.api import ManualArgs, lint

    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": "arn:aws:iam::123456789012:role/machine",
            "StateMachineType": state_machines()[file]["Type"],
            "Definition": definition(file),
            "DefinitionSubstitutions": dict.fromkeys(
                state_machines()[file]["DefinitionSubstitutions"], "arn:aws:lambda:us-east-1:123456789012:function:f"
            ),
        },
    }
    found = lint(json.dumps({"Resources": {"Machine": machine}}), config=ManualArgs(regions=["us-east-1"]))
    assert [str(match) for match in found] == []


@pytest.mark.parametrize("file", FILES)
def test_every_state_can_be_reached_and_every_step_exists(file: str) -> None:
    document = definition(file)
    named = {document["StartAt"]}
    for node in walk(document["States"]):
        if isinstance(node, dict) and "Next" in node:
            named.add(node["Next"])
    assert named == set(document["States"])


@pytest.mark.parametrize("file", FILES)
def test_every_name_is_substituted_and_the_reverse(file: str) -> None:
    text = "\n".join(
        line for line in (ROOT / "statemachines" / file).read_text().splitlines() if not line.lstrip().startswith("#")
    )
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(state_machines()[file]["DefinitionSubstitutions"])


@pytest.mark.parametrize(("file", "name", "state"), _tasks(), ids=[f"{row[0]}:{row[1]}" for row in _tasks()])
def test_a_task_has_retry_catch_and_timeout(file: str, name: str, state: dict[str, Any]) -> None:
    assert state["Retry"], f"{file} {name}"
    assert state["TimeoutSeconds"] > 0
    assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


@pytest.mark.parametrize(("file", "name", "state"), _tasks(), ids=[f"{row[0]}:{row[1]}" for row in _tasks()])
def test_every_outage_of_ours_is_retried(file: str, name: str, state: dict[str, Any], code: dict[str, Any]) -> None:
    if _function_of(file, state) is None:
        return
    retried = {error for retrier in state["Retry"] for error in retrier["ErrorEquals"]}
    assert retried >= LAMBDA_OUTAGES
    assert _outages_of(_function_of(file, state).code, code["outages"]) <= retried
    # A defect is not mended by trying again.
    assert not {"States.ALL", "States.TaskFailed", "InvariantError"} & retried
    for retrier in state["Retry"]:
        assert retrier["JitterStrategy"] == "FULL"


def _outages_of(path: Path, outages: dict[str, str]) -> set[str]:
    """Those of the kernel, and those of the packages that a trigger file is put together from."""
    imports = [node.module or "" for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    packages = {".".join(module.split(".")[:2]) for module in imports} | {"exchange.kernel"}
    return {name for name, module in outages.items() if ".".join(module.split(".")[:2]) in packages}


@pytest.mark.parametrize(("file", "name", "state"), _tasks(), ids=[f"{row[0]}:{row[1]}" for row in _tasks()])
def test_a_task_waits_longer_than_its_function_runs(file: str, name: str, state: dict[str, Any]) -> None:
    function = _function_of(file, state)
    if function is not None:
        assert state["TimeoutSeconds"] > function.properties["Timeout"], f"{file} {name}"


def test_whoever_waits_for_settlement_waits_longer_than_it_runs() -> None:
    stream = function_named("settlement-stream")
    assert stream.properties["Timeout"] > definition("settlement.asl.yaml")["TimeoutSeconds"]
    assert definition("settlement.asl.yaml")["TimeoutSeconds"] <= 300  # An Express machine's own limit.


def test_payloads_are_what_the_steps_read() -> None:
    sent: dict[str, set[str]] = {}
    for file, _, state in _tasks():
        function = _function_of(file, state)
        if function is not None:
            keys = {key.removesuffix(".$") for key in state["Parameters"]["Payload"]}
            sent.setdefault(function.module, set()).update(keys)
    for module, keys in sent.items():
        assert keys == _event_keys(ROOT / f"{module.replace('.', '/')}.py"), module


def _event_keys(path: Path) -> set[str]:
    """The keys that a handler reads from its event."""
    keys = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "event":
            assert isinstance(node.slice, ast.Constant)
            keys.add(str(node.slice.value))
    return keys


@pytest.mark.parametrize("file", FILES)
def test_no_state_machine_computes(file: str) -> None:
    # Step Functions compute in doubles.
    text = (ROOT / "statemachines" / file).read_text()
    assert "States.Math" not in text
    assert "JSONata" not in text


@pytest.mark.parametrize("file", FILES)
def test_money_does_not_pass_through(file: str) -> None:
    for node in walk(definition(file)):
        if isinstance(node, dict):
            assert not {"amount", "units", "price", "fee"} & {str(key).removesuffix(".$") for key in node}


@pytest.mark.parametrize(("file", "failing"), [("deposit.asl.yaml", "Fail"), ("withdrawal.asl.yaml", "GiveBack")])
def test_only_the_payers_word_fails_a_transfer(file: str, failing: str) -> None:
    from exchange.payments.waiters import REFUSED_BY_BANK, REFUSED_BY_CHAIN

    states = definition(file)["States"]
    to_fail = [
        (name, catcher["ErrorEquals"])
        for name, state in states.items()
        for catcher in state.get("Catch", [])
        if catcher["Next"] == failing
    ]
    by_chain = [("PayOnChain", [REFUSED_BY_CHAIN])] if file == "withdrawal.asl.yaml" else []
    assert to_fail == [*by_chain, ("AskBank", [REFUSED_BY_BANK])]


@pytest.mark.parametrize(
    ("file", "step"),
    [("deposit.asl.yaml", "AskBank"), ("withdrawal.asl.yaml", "AskBank"), ("withdrawal.asl.yaml", "PayOnChain")],
)
def test_the_waiting_step_hands_its_token_on(file: str, step: str) -> None:
    state = definition(file)["States"][step]
    assert state["Resource"].endswith(".waitForTaskToken")
    assert state["Parameters"]["Payload"]["task_token.$"] == "$$.Task.Token"


def _edges(definition_: dict[str, Any]) -> set[tuple[str, str]]:
    """Every step from one state to another: by success, by a branch, by a catch."""
    return {
        (name, node[key])
        for name, state in _states(definition_)
        for node in walk(state)
        if isinstance(node, dict)
        for key in ("Next", "Default")
        if key in node
    }


@pytest.mark.parametrize("file", FILES)
def test_every_state_and_branch_is_walked_by_a_case(file: str) -> None:
    document, ways = definition(file), list(saga_cases.walked(file))
    assert {state for way in ways for state in way} == set(document["States"])
    assert {pair for way in ways for pair in pairwise(way)} == _edges(document)
    for way in ways:
        last = document["States"][way[-1]]
        assert way[0] == document["StartAt"]
        assert last["Type"] in {"Succeed", "Fail"} or last["End"]


def test_every_task_fails_before_and_after_and_runs_twice() -> None:
    tasks = {(file, name) for file, name, _ in _tasks()}
    assert {*saga_cases.TASKS, saga_cases.TRADES} == tasks
    assert saga_cases.FAULTS == ("before", "after", "twice")
    assert saga_cases.TASKS.keys() == saga_cases.DETOURS.keys()
    for task, name in saga_cases.TASKS.items():
        assert saga_cases.WAYS[name].file == task[0]
        assert task[1] in saga_cases.WAYS[name].states


def test_what_is_caught_to_where_success_leads_has_a_case_of_its_own() -> None:
    caught = {
        (file, name)
        for file, name, state in _tasks()
        if any(catcher["Next"] == state.get("Next") for catcher in state["Catch"])
    }
    assert set(saga_cases.GIVEN_UP) == caught
