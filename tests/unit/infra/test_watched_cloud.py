"""What the watch makes of a request, and which request meets which fault."""

import json
from typing import Any

import pytest

from tests.fakes.faults import Fault, Plan, Rule, dumped, loaded
from tests.integration.watched_cloud import actions, caller_of


def scope(
    method: str = "POST", path: str = "/", agent: str = "Boto3/1 app/exchange-local-trading-api"
) -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "headers": [(b"user-agent", agent.encode())]}


@pytest.mark.parametrize(
    ("operation", "path", "body", "expected"),
    [
        ("DynamoDB.Query", "/", {"TableName": "t"}, [("dynamodb:Query", "t")]),
        (
            "DynamoDB.BatchGetItem",
            "/",
            {"RequestItems": {"a": {}, "b": {}}},
            [("dynamodb:BatchGetItem", x) for x in "ab"],
        ),
        (
            "DynamoDB.TransactWriteItems",
            "/",
            {"TransactItems": [{"Put": {"TableName": "a"}}, {"ConditionCheck": {"TableName": "b"}}]},
            [("dynamodb:PutItem", "a"), ("dynamodb:ConditionCheckItem", "b")],
        ),
        ("Kinesis.PutRecord", "/", {"StreamName": "s"}, [("kinesis:PutRecord", "s")]),
        ("TrentService.Decrypt", "/", {"KeyId": "k"}, [("kms:Decrypt", "k")]),
        ("AWSStepFunctions.SendTaskSuccess", "/", {"taskToken": "x"}, [("states:SendTaskSuccess", "*")]),
        ("s3.PUT", "/bucket/some/key", None, [("s3:PutObject", "bucket")]),
        ("s3.GET", "/bucket", None, [("s3:ListBucket", "bucket")]),
        (
            "execute-api.POST",
            "/_aws/execute-api/ws1/ws/@connections/abc",
            None,
            [("execute-api:ManageConnections", "/_aws/execute-api/ws1/ws")],
        ),
        ("lambda.POST", "/2015-03-31/functions/f/invocations", None, [("lambda:InvokeFunction", "f")]),
        ("none.GET", "/what", None, [("none.GET", "/what")]),  # unknown, so never granted, so noticed
    ],
)
def test_a_request_is_what_iam_would_be_asked(operation: str, path: str, body: Any, expected: list[Any]) -> None:
    method = operation.partition(".")[2] if operation.startswith(("s3", "none")) else "POST"
    sent = json.dumps(body).encode() if body is not None else b""
    assert list(actions(scope(method, path), operation, sent)) == expected


def test_a_caller_is_known_by_name_and_all_others_are_elsewhere() -> None:
    assert caller_of(scope()) == "trading-api"
    assert caller_of(scope(agent="Boto3/1 app/other-thing")) == caller_of(scope(agent="")) == "elsewhere"


RULES = (
    Rule("trading-*", "DynamoDB.Query", {}),
    Rule("trading-*", "DynamoDB.*", {Fault.LOST: 0.5, Fault.THROTTLED: 0.25}),
)


def faults(plan: Plan, caller: str = "trading-api") -> list[Fault | None]:
    return [plan.fault(caller, "DynamoDB.PutItem") for _ in range(400)]


def test_the_same_seed_gives_a_callers_requests_the_same_faults_whoever_asks_between() -> None:
    quiet, busy = Plan(7, RULES), loaded(dumped(7, RULES))
    expected = faults(quiet)
    found = []
    for _ in range(400):
        busy.fault("trading-schedule", "DynamoDB.PutItem")
        found.append(busy.fault("trading-api", "DynamoDB.PutItem"))
    assert found == expected
    assert faults(Plan(8, RULES)) != expected


def test_faults_come_as_often_as_the_rule_says_and_nowhere_else() -> None:
    plan = Plan(1, RULES)
    found = faults(plan)
    assert 150 < found.count(Fault.LOST) < 250
    assert 60 < found.count(Fault.THROTTLED) < 140
    assert plan.fired["lost DynamoDB.PutItem"] == found.count(Fault.LOST)
    assert faults(plan, "settlement-tasks") == [None] * 400
    assert [plan.fault("trading-api", "DynamoDB.Query") for _ in range(50)] == [None] * 50
