"""Folders, trigger files and the template's functions are the same set."""

import sys
from typing import Any

import pytest

from tests.contract.cloud_definition import ROOT, Function, functions, resources, root_template

SERVICES = {path.name for path in (ROOT / "functions").iterdir() if path.is_dir()} - {
    "shared",
    "dependencies",
    "__pycache__",
}


def test_every_trigger_file_is_a_function_and_the_reverse() -> None:
    files = {
        f"functions.{path.parent.name}.{path.stem}"
        for service in SERVICES
        for path in (ROOT / "functions" / service).glob("*.py")
        if path.name != "__init__.py"
    }
    assert files == {function.module for function in functions()}


@pytest.mark.parametrize("function", functions(), ids=lambda function: function.name)
def test_a_function_is_named_after_its_file(function: Function) -> None:
    folder, file = function.module.removeprefix("functions.").split(".")
    assert function.name == f"{folder.replace('_', '-')}-{file}"
    assert function.properties["Handler"] == f"{file}.handler"


@pytest.mark.parametrize("function", functions(), ids=lambda function: function.name)
def test_a_handler_exists_and_can_be_called(function: Function, code: dict[str, Any]) -> None:
    found = code["triggers"][function.module]
    assert "error" not in found, found.get("error")
    assert found["handler"]


@pytest.mark.parametrize("function", functions(), ids=lambda function: function.name)
def test_a_file_does_not_hide_the_standard_library(function: Function) -> None:
    # Lambda puts the function's folder before everything: a queue.py there would break every `import queue`.
    assert function.code.stem not in sys.stdlib_module_names


@pytest.mark.parametrize("function", functions(), ids=lambda function: function.name)
def test_settings_are_exactly_the_environment(function: Function, code: dict[str, Any]) -> None:
    found = code["triggers"][function.module]
    assert "error" not in found, found.get("error")
    assert set(found["settings"] or ()) == {name.lower() for name in function.variables}


@pytest.mark.parametrize("function", functions(), ids=lambda function: function.name)
def test_a_function_has_a_role_and_a_log_with_retention_of_its_own(function: Function) -> None:
    template = root_template()
    log_id = function.properties["LoggingConfig"]["LogGroup"]["Ref"]
    log = template["Resources"][log_id]["Properties"]
    assert log["LogGroupName"] == {"Fn::Sub": f"/aws/lambda/${{AWS::StackName}}-{function.name}"}
    assert log["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    roles = [other.properties["Role"]["Fn::GetAtt"][0] for other in functions()]
    assert roles.count(function.properties["Role"]["Fn::GetAtt"][0]) == 1


def test_functions_run_traced_on_the_python_that_we_target() -> None:
    settings = root_template()["Globals"]["Function"]
    assert settings["Runtime"] == "python3.13"
    assert settings["Tracing"] == "Active"
    assert settings["Layers"] == [{"Ref": "SharedLayer"}, {"Ref": "DependenciesLayer"}]


def test_every_log_group_has_a_retention() -> None:
    for logical_id, log in resources(root_template(), "AWS::Logs::LogGroup").items():
        assert "RetentionInDays" in log["Properties"], logical_id


def test_what_wakes_a_function_asynchronously_keeps_what_failed() -> None:
    for function in functions():
        for name, event in function.properties.get("Events", {}).items():
            if event["Type"] == "Kinesis":
                assert event["Properties"]["DestinationConfig"]["OnFailure"], f"{function.name}.{name}"
                assert event["Properties"]["ParallelizationFactor"] == 1
                assert event["Properties"]["BisectBatchOnFunctionError"] is False
    for logical_id, schedule in resources(root_template(), "AWS::Scheduler::Schedule").items():
        assert schedule["Properties"]["Target"]["DeadLetterConfig"], logical_id
    for logical_id, queue in resources(root_template(), "AWS::SQS::Queue").items():
        is_last = logical_id in {"BankDeadLetters", "FailuresQueue"}
        assert ("RedrivePolicy" in queue["Properties"]) != is_last, logical_id


def test_settlement_never_gives_up_a_record() -> None:
    settlement = next(function for function in functions() if function.name == "settlement-stream")
    (event,) = settlement.properties["Events"].values()
    assert event["Properties"]["MaximumRetryAttempts"] == -1
    assert event["Properties"]["MaximumRecordAgeInSeconds"] == -1


def test_a_functions_folder_needs_no_building() -> None:
    # `sam build` would look for Lambda's Python on every machine that deploys.
    for logical_id, found in resources(root_template(), "AWS::Serverless::Function").items():
        assert found["Metadata"] == {"SkipBuild": True}, logical_id
