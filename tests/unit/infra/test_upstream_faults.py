"""MiniStack as it comes: each test here fails once upstream mends a fault, and its workaround can go.

Every one names its workaround in infra/local/workarounds.py. A fault that is only slowness shows in the source.
"""

import importlib
import inspect
import json
import os
from functools import cache
from typing import Any

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@cache
def _upstream(name: str) -> Any:
    """A module of MiniStack, without the threads that it starts when it serves."""
    os.environ.setdefault("MINISTACK_TEST_NO_AUTOSTART", "1")
    os.environ.setdefault("LOG_LEVEL", "ERROR")
    return importlib.import_module(f"ministack.{name}")


def _source(module: str, *path: str) -> str:
    found = _upstream(module)
    for name in path:
        found = getattr(found, name)
    return inspect.getsource(found)


def test_run_functions_in_forked_workers() -> None:
    assert "first_line_wait: float = 0.050" in _source("core.lambda_runtime", "Worker", "_drain_stderr_bounded")
    assert 'error_type = "Runtime.HandlerError"' in _source("services.lambda_svc", "_execute_function_warm")
    assert "lzf.extractall(layer_dir)" in _source("core.lambda_runtime", "Worker", "_spawn")


def test_call_functions_from_the_gateway_without_a_thread() -> None:
    assert "run_reentrant(" in _source("services.apigateway_v1", "_call_lambda_raw")


def test_import_gateway_responses_with_the_api() -> None:
    gateway = _upstream("services.apigateway_v1")
    response = {"statusCode": 404, "responseTemplates": {"application/json": "{}"}}
    spec = {"info": {"title": "t"}, "paths": {}, "x-amazon-apigateway-gateway-responses": {"ACCESS_DENIED": response}}
    api_id = gateway._import_rest_api(spec)
    assert not gateway._gateway_responses.get(api_id)


def test_import_the_method_that_stands_for_any() -> None:
    gateway = _upstream("services.apigateway_v1")
    api_id = gateway._import_rest_api({"info": {"title": "t"}, "paths": {"/x": {"x-amazon-apigateway-any-method": {}}}})
    assert not any(resource["resourceMethods"] for resource in gateway._resources[api_id].values())


def test_answer_for_a_crashed_function_in_the_apis_own_words() -> None:
    shaped, error = _upstream("services.apigateway_v1")._lambda_proxy_response({"error": True, "body": {"a": 1}})
    assert shaped is None
    assert json.loads(error) == {"a": 1}


def test_take_frames_nested_too_deep_for_the_default_route() -> None:
    with pytest.raises(RecursionError):
        _upstream("services.apigateway")._evaluate_route_selection("$request.body.type", "[" * 200_000)


def test_keep_logs_in_one_stream_and_skip_quiet_ones() -> None:
    lambdas, logs = _upstream("services.lambda_svc"), _upstream("services.cloudwatch_logs")
    for _ in range(3):
        lambdas._emit_lambda_logs({"config": {"FunctionName": "quiet"}}, "id", "", error=False, duration_ms=1)
    assert len(logs._log_groups["/aws/lambda/quiet"]["streams"]) == 3


def test_start_executions_at_once() -> None:
    assert "time.sleep(0.15)" in _source("services.stepfunctions", "_run_execution")


def test_forget_finished_express_executions() -> None:
    machines = _upstream("services.stepfunctions")
    arn = "arn:aws:states:us-east-1:000000000000:stateMachine:m"
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    machines._state_machines[arn] = {"name": "m", "definition": definition, "roleArn": "r", "type": "EXPRESS"}
    machines._start_sync_execution({"stateMachineArn": arn, "name": "one", "input": "{}"})
    assert arn.replace("stateMachine", "execution") + ":one" in machines._executions


def test_fail_a_waiting_task_whose_function_failed() -> None:
    source = _source("services.stepfunctions", "_invoke_with_callback")
    assert "_call_lambda(func_ref, lambda_payload)\n        except _ExecutionError:\n            pass" in source


def test_poll_each_event_source_by_itself() -> None:
    loop = _source("services.lambda_svc", "_poll_loop")
    assert "_poll_kinesis()" in loop
    assert "_poll_dynamodb_streams()" in loop
    assert "_dispatch_esm_batch" not in _source("services.lambda_svc", "_poll_kinesis")


def test_expire_stream_records_only_when_some_are_old() -> None:
    kinesis = _upstream("services.kinesis")
    records = [{"ApproximateArrivalTimestamp": 9e12}]
    stream: dict[str, Any] = {"RetentionPeriodHours": 24, "shards": {"s": {"records": records}}}
    kinesis._expire_records(stream)
    assert stream["shards"]["s"]["records"] is not records, "a read or a put copies every record"


def test_read_each_expression_once() -> None:
    assert not hasattr(_upstream("services.dynamodb")._tokenize, "cache_info")
    assert not hasattr(_upstream("services.dynamodb")._condition_syntax_error, "cache_info")


def test_check_the_codes_that_are_mailed() -> None:
    assert '"_confirmation_code": "123456"' in inspect.getsource(_upstream("services.cognito"))
    assert "if AUTH else None" in _source("services.cognito", "_run_idp_handler")


def test_keep_what_a_nested_stack_knows_of_unchanged_resources() -> None:
    assert "old_attrs" not in _source("services.cloudformation.provisioners", "_cfn_nested_stack_deploy")
    update = _upstream("services.cloudformation.provisioners")._update_resource
    assert update("AWS::S3::Bucket", "b", {}, {}, "stack", "B") == ("b", {})
