"""A Lambda function that stands before another one on the laptop and fails where a test's plan says so, once.

Its zip is this file. A plan is an empty file named STATE.FAULT.SUBJECT; whoever renames it first has it.
"""

import json
import os
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config


class UnavailableError(Exception):
    """What our machines try again by themselves."""


class CrashError(Exception):
    """What no machine of ours knows: it is caught and waited out."""


def handler(event: dict[str, Any], _context: Any) -> Any:
    """Do a state's work through the real function: not at all, without telling, twice, or as it should be."""
    state, payload = event["state"], event["payload"]
    subject = str(payload.get("transfer_id") or payload.get("product_id"))
    if _planned(state, "before", subject):
        raise UnavailableError("failed before its effect")
    answer = _invoke(payload)
    if _planned(state, "twice", subject):
        answer = _invoke(payload)
    if _planned(state, "after", subject):
        raise CrashError("failed after its effect")
    return answer


def _planned(state: str, fault: str, subject: str) -> bool:
    plan = Path(os.environ["PLANS"]) / f"{state}.{fault}.{subject}"
    try:
        plan.rename(plan.with_suffix(plan.suffix + ".met"))
    except FileNotFoundError:
        return False
    return True


def _invoke(payload: Any) -> Any:
    client = boto3.client("lambda", config=Config(read_timeout=60, retries={"total_max_attempts": 1}))
    reply = client.invoke(FunctionName=os.environ["TARGET"], Payload=json.dumps(payload).encode())
    said = json.loads(reply["Payload"].read())
    if "FunctionError" in reply:
        raise type(str(said.get("errorType", "Error")), (Exception,), {})(said.get("errorMessage"))
    return said
