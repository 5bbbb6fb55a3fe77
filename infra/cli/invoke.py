"""Having a function of a stack do its work now, and waiting for its answer."""

import json
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

FUNCTION_SECONDS_MAX = 900
# It may take as long as a function may, and a second run beside the first would say nothing more.
_PATIENT = Config(read_timeout=FUNCTION_SECONDS_MAX, retries={"total_max_attempts": 1}, tcp_keepalive=True)


class InvokeError(RuntimeError):
    """A function failed; the message has its own words."""


def invoke(function: str, payload: Mapping[str, Any]) -> Any:
    """What a function answers. Raises InvokeError where it fails; botocore's errors where it is not reached."""
    client = boto3.Session().client("lambda", config=_PATIENT)
    answer = client.invoke(FunctionName=function, Payload=json.dumps(payload).encode())
    told = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise InvokeError(str(told.get("errorMessage", told)))
    return told
