# ruff: noqa: SLF001 - what is mended here is private; that is why each mend has a test.
"""What MiniStack 1.5.33 gets wrong or does needlessly slowly, each mended in one named function.

Each has a test in tests/integration/test_laptop_workarounds.py that runs MiniStack without it and fails once upstream
mends the fault, so that the function can go. Measured gains are in docs/decisions.
"""

import functools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from infra.local.functions import FunctionPools, invalidate

LOG_EVENTS_MAX = 2_000
POLL_IDLE_SECONDS = 1.0
# One invocation takes what a burst puts, as a batching window does: short after quiet, longer under load.
POLL_GATHER_SECONDS = 0.01
POLL_LOADED_SECONDS = 0.1
SUPERVISE_SECONDS = 0.5
ITERATORS_WALK_SECONDS = 10.0
EXPRESSIONS_MAX = 4_096

logger = logging.getLogger(__name__)


def apply_all(pools: FunctionPools) -> None:
    """Apply every workaround. Called once, before the first request."""
    poll_each_event_source_by_itself()  # First: it must be in place before MiniStack's services are imported.
    run_functions_in_forked_workers(pools)
    call_functions_from_the_gateway_without_a_thread(pools)
    import_gateway_responses_with_the_api()
    import_the_method_that_stands_for_any()
    answer_for_a_crashed_function_in_the_apis_own_words()
    take_frames_nested_too_deep_for_the_default_route()
    keep_logs_in_one_stream_and_skip_quiet_ones()
    start_executions_at_once()
    forget_finished_express_executions()
    fail_a_waiting_task_whose_function_failed()
    expire_stream_records_only_when_some_are_old()
    read_each_expression_once()
    check_the_codes_that_are_mailed()
    keep_what_a_nested_stack_knows_of_unchanged_resources()


def run_functions_in_forked_workers(pools: FunctionPools) -> None:
    """Upstream starts a Python a worker, waits 50 ms for logs, calls each error HandlerError and ends the worker."""
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    upstream: Callable[..., dict[str, Any]] = lambda_svc._execute_function_warm

    def execute(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        config = func.get("config") or func
        if not _is_ours(func, config):
            return upstream(func, event, request_id)
        answer = pools.pool(func).invoke(event, request_id=request_id, **_invocation(config))
        return execution_record(answer)

    class WebSocketWorker:
        """What the WebSocket routes ask of a worker: they lease it by name, then invoke it."""

        def __init__(self, func: dict[str, Any]) -> None:
            self._func = func

        def invoke(self, event: Any, request_id: str) -> dict[str, Any]:
            record = execute(self._func, event, request_id)
            if record.get("error"):
                return {"status": "error", "error": record["body"].get("errorMessage", "")}
            return {"status": "ok", "result": record["body"]}

    def get_or_create_worker(_name: str, config: dict[str, Any], code_zip: bytes, **_: Any) -> WebSocketWorker:
        return WebSocketWorker({"config": config, "code_zip": code_zip})

    lambda_svc._execute_function_warm = execute
    lambda_svc.invalidate_worker = invalidate
    lambda_runtime.get_or_create_worker = get_or_create_worker


def _is_ours(func: dict[str, Any], config: dict[str, Any]) -> bool:
    return bool(func.get("code_zip")) and str(config.get("Runtime", "")).startswith("python")


def _invocation(config: dict[str, Any]) -> dict[str, Any]:
    from ministack.services import lambda_svc

    return {
        "arn": config.get("FunctionArn", ""),
        "trace_id": lambda_svc._xray_trace_id_for_invocation(config),
    }


def execution_record(answer: dict[str, Any]) -> dict[str, Any]:
    """A worker's answer as MiniStack's executors give it: an error by its own type, as on AWS."""
    if answer["status"] == "ok":
        return {"body": answer["result"], "log": answer.get("log", "")}
    return {"body": answer["error"], "error": True, "function_error": "Unhandled", "log": answer.get("log", "")}


def call_functions_from_the_gateway_without_a_thread(pools: FunctionPools) -> None:
    """Upstream starts a thread, and in it another, for every request through the REST API."""
    from ministack.core.responses import new_uuid
    from ministack.services import apigateway_v1, lambda_svc

    upstream = apigateway_v1._call_lambda_raw

    async def call(
        function_ref: str, event: Any, *, account_id: str | None = None, region: str | None = None
    ) -> tuple[dict[str, Any] | None, str | None]:
        func, config, _name = lambda_svc._get_func_record_for_ref_in_scope(
            function_ref, account_id=account_id, region=region
        )
        if func is None or config is None or not _is_ours(func, config):
            record: tuple[dict[str, Any] | None, str | None] = await upstream(
                function_ref, event, account_id=account_id, region=region
            )
            return record
        request_id = new_uuid()
        started = time.monotonic()
        func = {**func, "config": config}
        answer = await pools.pool(func).invoke_async(event, request_id=request_id, **_invocation(config))
        result = execution_record(answer)
        milliseconds = int((time.monotonic() - started) * 1000)
        lambda_svc._emit_lambda_logs(func, request_id, result["log"], bool(result.get("error")), milliseconds)
        return result, None

    apigateway_v1._call_lambda_raw = call


def import_gateway_responses_with_the_api() -> None:
    """Upstream drops the document's x-amazon-apigateway-gateway-responses."""
    from ministack.services import apigateway_v1

    upstream = apigateway_v1._import_rest_api

    def import_api(spec: dict[str, Any], base_data: dict[str, Any] | None = None) -> str:
        api_id: str = upstream(spec, base_data)
        for kind, response in (spec.get("x-amazon-apigateway-gateway-responses") or {}).items():
            status = response.get("statusCode")
            known = {"responseParameters", "responseTemplates"} & response.keys()
            data = {name: response[name] for name in known} | ({"statusCode": str(status)} if status else {})
            apigateway_v1._put_gateway_response(api_id, kind, data)
        return api_id

    apigateway_v1._import_rest_api = import_api


def import_the_method_that_stands_for_any() -> None:
    """Upstream drops a path's x-amazon-apigateway-any-method, though it serves one that was made by other calls."""
    from ministack.services import apigateway_v1

    upstream = apigateway_v1._import_path_item

    def import_path(api_id: str, path: str, item: dict[str, Any], *more: Any, **options: Any) -> None:
        renamed = {"any" if name == "x-amazon-apigateway-any-method" else name: part for name, part in item.items()}
        upstream(api_id, path, renamed, *more, **options)

    apigateway_v1._OPENAPI_HTTP_METHODS.add("any")
    apigateway_v1._import_path_item = import_path


class FunctionFailedError(Exception):
    """The function that a route calls has crashed or run out of time."""


def answer_for_a_crashed_function_in_the_apis_own_words() -> None:
    """Upstream shows the caller the function's error; AWS answers with the API's DEFAULT_5XX response."""
    from ministack.services import apigateway_v1

    upstream_response = apigateway_v1._lambda_proxy_response
    upstream_invoke = apigateway_v1._invoke_lambda_proxy_v1

    def response(result: dict[str, Any]) -> Any:
        shaped, error = upstream_response(result)
        if error:
            raise FunctionFailedError(error)
        return shaped, None

    async def invoke(*arguments: Any, **options: Any) -> Any:
        try:
            return await upstream_invoke(*arguments, **options)
        except FunctionFailedError:
            return apigateway_v1._gw_error("DEFAULT_5XX", "Internal server error")

    apigateway_v1._lambda_proxy_response = response
    apigateway_v1._invoke_lambda_proxy_v1 = invoke


def take_frames_nested_too_deep_for_the_default_route() -> None:
    """Upstream ends the connection of a frame nested too deep to be read; all else that is no JSON is $default's."""
    from ministack.services import apigateway

    upstream = apigateway._evaluate_route_selection

    def evaluate(expression: str, text: str) -> str:
        try:
            return str(upstream(expression, text))
        except RecursionError:
            return "$default"

    apigateway._evaluate_route_selection = evaluate


def keep_logs_in_one_stream_and_skip_quiet_ones() -> None:
    """Upstream keeps a new log stream of four lines for every invocation, for ever: 300 KB a second at full speed."""
    from ministack.services import cloudwatch_logs, lambda_svc

    def emit(func: dict[str, Any], _request_id: str, text: str, error: bool, _milliseconds: int, **_: Any) -> None:
        if not text and not error:
            return
        config = func.get("config") or func
        group_name = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
        now = int(time.time() * 1000)
        stream = _log_stream(cloudwatch_logs, group_name, now)
        events = [{"timestamp": now, "message": line, "ingestionTime": now} for line in text.splitlines()]
        cloudwatch_logs._append_log_events(stream, events)
        if len(stream["events"]) > 2 * LOG_EVENTS_MAX:
            del stream["events"][:-LOG_EVENTS_MAX]
        cloudwatch_logs._fanout_to_subscription_filters(group_name, "laptop", events)

    lambda_svc._emit_lambda_logs = emit


def _log_stream(logs: Any, group_name: str, now: int) -> dict[str, Any]:
    group = logs._log_groups.get(group_name)
    if group is None:
        group = logs._log_groups[group_name] = {
            "arn": logs._make_group_arn(group_name),
            "creationTime": now,
            "retentionInDays": None,
            "tags": {},
            "subscriptionFilters": {},
            "streams": {},
        }
    stream: dict[str, Any] = group["streams"].setdefault(
        "laptop",
        {
            "events": [],
            "uploadSequenceToken": "1",
            "creationTime": now,
            "firstEventTimestamp": None,
            "lastEventTimestamp": None,
            "lastIngestionTime": None,
        },
    )
    return stream


def start_executions_at_once() -> None:
    """Upstream sleeps 150 ms before the first state of every execution."""
    from ministack.services import stepfunctions

    class Clock:
        """The module's `time`, without the wait that comes first in an execution."""

        def __getattr__(self, name: str) -> Any:
            return getattr(time, name)

        def sleep(self, seconds: float) -> None:
            """Sleep, but not the 0.15 s."""
            if seconds != 0.15:
                time.sleep(seconds)

    stepfunctions.time = Clock()


def forget_finished_express_executions() -> None:
    """Upstream keeps every synchronous execution, with its input, for ever; AWS keeps none."""
    from ministack.services import stepfunctions

    upstream = stepfunctions._start_sync_execution

    def start(data: dict[str, Any]) -> Any:
        before = data.get("name")
        if not before:
            data["name"] = before = stepfunctions.new_uuid()
        answer = upstream(data)
        machine = stepfunctions._state_machines.get(data.get("stateMachineArn", "").rsplit("#", 1)[0])
        if machine:
            arn = f"arn:aws:states:{stepfunctions.get_region()}:{stepfunctions.get_account_id()}"
            stepfunctions._executions.pop(f"{arn}:execution:{machine['name']}:{before}", None)
        return answer

    stepfunctions._start_sync_execution = start


def fail_a_waiting_task_whose_function_failed() -> None:
    """Upstream swallows the error of a function called with waitForTaskToken, then waits out the time-out."""
    from ministack.services import stepfunctions

    upstream_wait = stepfunctions._invoke_with_callback
    upstream_call = stepfunctions._call_lambda
    calling = threading.local()

    def call(func_ref: str, event: Any) -> Any:
        try:
            return upstream_call(func_ref, event)
        except stepfunctions._ExecutionError as error:
            token = getattr(calling, "token", None)
            waiting = stepfunctions._task_tokens.get(token)
            if waiting is not None:
                waiting["error"] = {"Error": error.error, "Cause": error.cause}
                waiting["event"].set()
            raise

    def wait(resource: str, input_data: Any, token: str, state_def: dict[str, Any]) -> Any:
        calling.token = token
        try:
            return upstream_wait(resource, input_data, token, state_def)
        finally:
            calling.token = None

    stepfunctions._call_lambda = call
    stepfunctions._invoke_with_callback = wait


class WakeAll(threading.Event):
    """The event that every producer sets, passed on to each poller's own."""

    def __init__(self) -> None:
        super().__init__()
        self.pollers: list[threading.Event] = []

    def set(self) -> None:
        """Wake every poller."""
        super().set()
        for poller in self.pollers:
            poller.set()


def poll_each_event_source_by_itself() -> None:
    """Upstream polls all event sources in one thread, so settlement waits while market data is being folded."""
    from ministack.core import concurrency

    wake = WakeAll()
    concurrency.esm_wake = wake
    from ministack.services import lambda_svc

    upstream_sources = lambda_svc._iter_all_esms
    only = threading.local()
    polls = {
        "sqs": lambda_svc._poll_sqs,
        "kinesis": lambda_svc._poll_kinesis,
        "dynamodb": lambda_svc._poll_dynamodb_streams,
    }

    def sources() -> Iterator[Any]:
        wanted = getattr(only, "uuid", None)
        return (entry for entry in upstream_sources() if wanted is None or entry[2].get("UUID") == wanted)

    def poll_one(uuid: str, poll: Callable[[], bool]) -> None:
        only.uuid = uuid
        mine = threading.Event()
        wake.pollers.append(mine)
        try:
            while any(sources()):
                mine.clear()
                try:
                    busy = poll()
                except Exception:
                    logger.exception("polling the event source %s failed", uuid)
                    busy = False
                if busy:
                    time.sleep(POLL_LOADED_SECONDS)
                else:
                    mine.wait(POLL_IDLE_SECONDS)
                    time.sleep(POLL_GATHER_SECONDS)
        finally:
            wake.pollers.remove(mine)

    def supervise() -> None:
        known: dict[str, threading.Thread] = {}
        while True:
            for _account, _region, source in upstream_sources():
                uuid = source["UUID"]
                poll = polls.get(source.get("EventSourceArn", "").split(":")[2:3][0])
                if poll is not None and not (uuid in known and known[uuid].is_alive()):
                    known[uuid] = threading.Thread(target=poll_one, args=(uuid, poll), daemon=True, name=f"esm-{uuid}")
                    known[uuid].start()
            time.sleep(SUPERVISE_SECONDS)

    lambda_svc._iter_all_esms = sources
    lambda_svc._esm_wake = wake
    lambda_svc._poll_loop = supervise


def expire_stream_records_only_when_some_are_old() -> None:
    """Upstream copies every record of a stream at each put and each read, and walks every iterator at each request."""
    from ministack.services import kinesis

    upstream_records = kinesis._expire_records
    upstream_iterators = kinesis._expire_iterators
    last_walk = 0.0

    def expire_records(stream: dict[str, Any]) -> None:
        cutoff = time.time() - stream["RetentionPeriodHours"] * 3600
        shards = stream["shards"].values()
        if any(shard["records"] and shard["records"][0]["ApproximateArrivalTimestamp"] < cutoff for shard in shards):
            upstream_records(stream)

    def expire_iterators() -> None:
        nonlocal last_walk
        if time.monotonic() - last_walk > ITERATORS_WALK_SECONDS:
            last_walk = time.monotonic()
            upstream_iterators()

    kinesis._expire_records = expire_records
    kinesis._expire_iterators = expire_iterators


def read_each_expression_once() -> None:
    """Upstream parses the text of every condition four times a request; ours are some dozens of texts in all."""
    from ministack.services import dynamodb

    tokens = functools.lru_cache(EXPRESSIONS_MAX)(dynamodb._tokenize)

    def tokenize(expression: str) -> list[Any]:
        return list(tokens(expression))

    dynamodb._tokenize = tokenize
    dynamodb._condition_syntax_error = functools.lru_cache(EXPRESSIONS_MAX)(dynamodb._condition_syntax_error)


def check_the_codes_that_are_mailed() -> None:
    """Upstream mails everybody 123456 and accepts any code, and forged access tokens, unless it enforces IAM too."""
    from ministack.services import cognito

    upstream_mail = cognito._send_verification_email

    def run(handler: Callable[[Any], Any], action: str, data: dict[str, Any]) -> Any:
        if action in cognito._UNSIGNED_IDP_ACTIONS:
            cognito._pin_unsigned_idp_scope(data)
        return (
            cognito._validate_client_secret_hash(action, data)
            or cognito._auth_flow_error(action, data)
            or cognito._access_token_error(data)
            or cognito._confirmation_code_error(action, data)
            or handler(data)
        )

    def mail(
        pool: dict[str, Any], username: str, attributes: dict[str, Any], _code: str, attribute_name: str = "email"
    ) -> Any:
        code = f"{secrets.randbelow(1_000_000):06d}"
        user, _error = cognito._resolve_user(pool, username)
        if user:
            user["_reset_code" if attribute_name == "password" else "_confirmation_code"] = code
        return upstream_mail(pool, username, attributes, code, attribute_name)

    cognito._run_idp_handler = run
    cognito._send_verification_email = mail


def keep_what_a_nested_stack_knows_of_unchanged_resources() -> None:
    """Upstream's update of a nested stack forgets the attributes of every resource that did not change."""
    from ministack.services import cloudformation
    from ministack.services.cloudformation import provisioners

    upstream = provisioners._update_resource

    def update(kind: str, physical_id: str, *rest: Any, old_attrs: dict[str, Any] | None = None) -> Any:
        """`rest` as upstream calls it: the old and the new properties, the stack, the resource, and what it knows."""
        known = rest[4:] or (old_attrs,)
        if known[0] is None and len(rest) > 3:
            stack, logical_id = rest[2:4]
            resources = cloudformation._stacks.get(stack, {}).get("_resources", {})
            known = (resources.get(logical_id, {}).get("Attributes"),)
        return upstream(kind, physical_id, *rest[:4], old_attrs=known[0])

    provisioners._update_resource = update
