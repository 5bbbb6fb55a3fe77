"""The laptop cloud as everybody else finds it."""

import asyncio
import contextlib
import io
import json
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
import urllib3

from infra.cli.opening import DEMO
from infra.local.laptop import Laptop
from infra.local.mail import latest_code, messages
from tests.integration.conftest import RunningLaptop

pytestmark = pytest.mark.cloud

FUNCTION = """
import os
def handler(event, context):
    if event.get("fail"):
        print("about to fail")
        raise KeyError("nothing there")
    return {"pid": os.getpid(), "left": context.get_remaining_time_in_millis(), "home": os.environ.get("EXCHANGE_HOME")}
def slow(event, context):
    import time
    time.sleep(30)
"""


def _post(laptop: RunningLaptop, path: str, body: Any) -> tuple[int, Any]:
    answer = urllib3.request("POST", laptop.stack["rest_url"] + path, json=body, retries=False)
    return answer.status, answer.json()


def _get(laptop: RunningLaptop, path: str) -> tuple[int, Any]:
    answer = urllib3.request("GET", laptop.stack["rest_url"] + path, retries=False)
    return answer.status, answer.json()


def _function(laptop: RunningLaptop, name: str, **changes: Any) -> str:
    """Create a function of the text above, with a name of its own."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("code.py", FUNCTION)
    unique = f"{name}-{uuid.uuid4().hex[:8]}"
    laptop.client("lambda").create_function(
        FunctionName=unique,
        Runtime="python3.13",
        Role="arn:aws:iam::000000000000:role/any",
        Code={"ZipFile": buffer.getvalue()},
        **{"Handler": "code.handler", "Timeout": 10, **changes},
    )
    return unique


def _invoke(laptop: RunningLaptop, name: str, event: Any) -> tuple[str, Any]:
    answer = laptop.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    return answer.get("FunctionError", ""), json.loads(answer["Payload"].read())


def test_stack_json_says_where_everything_is(laptop: RunningLaptop) -> None:
    assert {
        "rest_url",
        "websocket_url",
        "web_url",
        "aws_endpoint_url",
        "region",
        "user_pool_id",
        "user_pool_client_id",
        "products",
        "demo_users",
    } <= laptop.stack.keys()
    user_keys = {"name", "email", "password", "api_key", "secret", "passphrase", "rate_limit_tier"}
    assert all(user.keys() == user_keys for user in laptop.stack["demo_users"])
    assert [user["rate_limit_tier"] for user in laptop.stack["demo_users"]] == ["maker", "maker", "maker", "standard"]
    assert laptop.settings.stack_path.stat().st_mode & 0o077 == 0


def test_every_product_is_served(laptop: RunningLaptop) -> None:
    status, products = _get(laptop, "/products")
    assert status == 200
    assert {product["id"] for product in products} == set(laptop.stack["products"])


def test_an_unknown_route_is_a_404_in_our_shape(laptop: RunningLaptop) -> None:
    status, body = _get(laptop, "/there/is/no/such/thing")
    assert status == 404
    assert body.keys() == {"message", "code", "request_id"}


def test_a_wrong_code_confirms_nobody_and_the_mailed_one_does(laptop: RunningLaptop) -> None:
    email = f"{uuid.uuid4().hex}@example.com"
    assert _post(laptop, "/v1/users", {"email": email, "password": "Long-enough-1a", "name": "New"})[0] == 200
    code = latest_code(laptop.settings, email)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    assert _post(laptop, "/v1/users/confirm", {"email": email, "code": wrong})[0] == 400
    assert _post(laptop, "/v1/users/confirm", {"email": email, "code": code})[0] == 200
    assert len(messages(laptop.settings, email)) == 1


def test_a_second_up_finds_it_running_and_changes_nothing(laptop: RunningLaptop) -> None:
    steps: list[str] = []

    def step(title: str) -> contextlib.AbstractContextManager[None]:
        steps.append(title)
        return contextlib.nullcontext()

    again = Laptop(laptop.settings, step=step, opening=DEMO)
    before = again.status()
    assert before.running
    assert again.update() is False
    assert again.status() == before
    assert steps == []


def test_a_function_fails_by_its_errors_own_name_and_lives_on(laptop: RunningLaptop) -> None:
    name = _function(laptop, "fails")
    kind, first = _invoke(laptop, name, {})
    assert kind == ""
    kind, failure = _invoke(laptop, name, {"fail": True})
    assert kind == "Unhandled"
    assert failure["errorType"] == "KeyError"
    assert failure["errorMessage"] == "'nothing there'"
    assert _invoke(laptop, name, {})[1]["pid"] == first["pid"]


def test_a_function_sees_nothing_of_the_developers_shell(laptop: RunningLaptop) -> None:
    _, answer = _invoke(laptop, _function(laptop, "shell"), {})
    assert answer["home"] is None
    assert 9_000 < answer["left"] <= 10_000


def test_a_function_that_takes_too_long_is_ended(laptop: RunningLaptop) -> None:
    kind, failure = _invoke(laptop, _function(laptop, "slow", Handler="code.slow", Timeout=1), {})
    assert kind == "Unhandled"
    assert failure["errorMessage"] == "Task timed out after 1.00 seconds"


def test_what_a_function_prints_is_in_its_log_and_in_cloudwatch(laptop: RunningLaptop) -> None:
    name = _function(laptop, "prints")
    _invoke(laptop, name, {"fail": True})
    assert "about to fail" in (laptop.settings.logs / "functions" / f"{name}.log").read_text(encoding="utf-8")
    events = laptop.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    assert "about to fail" in {event["message"] for event in events}


def test_new_code_is_what_runs_next(laptop: RunningLaptop) -> None:
    name = _function(laptop, "updated")
    _invoke(laptop, name, {})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("code.py", "def handler(event, context):\n    return 'new'\n")
    laptop.client("lambda").update_function_code(FunctionName=name, ZipFile=buffer.getvalue())
    assert _invoke(laptop, name, {}) == ("", "new")


def test_a_nested_stack_that_is_updated_still_knows_what_did_not_change(
    laptop: RunningLaptop, eventually: Callable[[Callable[[], Any]], Any]
) -> None:
    name, stacks = f"nested-{uuid.uuid4().hex[:8]}", laptop.client("cloudformation")
    laptop.client("s3").create_bucket(Bucket=name)
    table = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        },
    }
    arns = {kind: {"Value": {"Fn::GetAtt": [kind, "Arn"]}} for kind in ("Bucket", "Table")}
    child = {"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}, "Table": table}, "Outputs": arns}

    def deployed(verb: Any, revision: str) -> dict[str, str]:
        key = f"{revision}.json"
        laptop.client("s3").put_object(Bucket=name, Key=key, Body=json.dumps({**child, "Description": revision}))
        url = f"{laptop.stack['aws_endpoint_url']}/{name}/{key}"
        outputs = {kind: {"Value": {"Fn::GetAtt": ["Child", f"Outputs.{kind}"]}} for kind in arns}
        nested = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}
        body = json.dumps({"Resources": {"Child": nested}, "Outputs": outputs})
        verb(StackName=name, TemplateBody=body)
        stack = eventually(ended)
        assert stack["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def ended() -> Any:
        (stack,) = stacks.describe_stacks(StackName=name)["Stacks"]
        return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

    first = deployed(stacks.create_stack, "one")
    assert first["Bucket"].startswith("arn:aws:s3:::")
    assert deployed(stacks.update_stack, "two") == first
    stacks.delete_stack(StackName=name)


def test_a_state_machine_catches_an_error_by_its_name(
    laptop: RunningLaptop, eventually: Callable[[Callable[[], Any]], Any]
) -> None:
    function = laptop.client("lambda").get_function(FunctionName=_function(laptop, "caught"))
    definition = {
        "StartAt": "Call",
        "States": {
            "Call": {
                "Type": "Task",
                "Resource": function["Configuration"]["FunctionArn"],
                "Catch": [{"ErrorEquals": ["KeyError"], "Next": "Caught"}],
                "End": True,
            },
            "Caught": {"Type": "Pass", "Result": "caught", "End": True},
        },
    }
    machines = laptop.client("stepfunctions")
    machine = machines.create_state_machine(
        name=f"catch-{uuid.uuid4().hex[:8]}",
        definition=json.dumps(definition),
        roleArn="arn:aws:iam::000000000000:role/any",
    )
    started = machines.start_execution(stateMachineArn=machine["stateMachineArn"], input='{"fail": true}')

    def ended() -> Any:
        found = machines.describe_execution(executionArn=started["executionArn"])
        return found if found["status"] != "RUNNING" else None

    assert eventually(ended)["output"] == '"caught"'


def test_a_socket_opens_through_the_edge_and_answers(laptop: RunningLaptop) -> None:
    async def scenario() -> dict[str, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(laptop.stack["websocket_url"]) as socket,
        ):
            await socket.send_json({"type": "subscribe", "product_ids": ["ACME-USD"], "channels": ["matches"]})
            answer: dict[str, Any] = await socket.receive_json(timeout=20)
            return answer

    assert asyncio.run(scenario())["type"] == "subscriptions"
