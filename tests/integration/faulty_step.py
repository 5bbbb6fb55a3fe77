"""A Lambda function that stands before another one on the laptop, or before the bus, and fails where a test's plan says
so, once.

Its zip is this file. A plan is an empty file named STATE.FAULT.SUBJECT; whoever renames it first has it. With the
fault `always` it stays.
"""

import json
import os
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

BUS = "the bus"


class UnavailableError(Exception):
    """What our machines try again by themselves."""


class CrashError(Exception):
    """What no machine of ours knows: it is caught and waited out."""


def handler(event: dict[str, Any], _context: Any) -> Any:
    """Do a state's work through the real function: not at all, without telling, twice, or as it should be."""
    state, payload = event["state"], event["payload"]
    told = payload["Entries"][0]["Detail"] if "Entries" in payload else payload
    subject = str(told.get("transfer_id") or told.get("product_id"))
    if _plan(state, "always", subject).exists():
        _plan(state, f"always.{subject}", "met").touch()
        raise UnavailableError("it fails for as long as the plan is there")
    if _planned(state, "before", subject):
        raise UnavailableError("failed before its effect")
    answer = _do(payload)
    if _planned(state, "twice", subject):
        answer = _do(payload)
    if _planned(state, "after", subject):
        raise CrashError("failed after its effect")
    return answer


def _plan(state: str, fault: str, subject: str) -> Path:
    return Path(os.environ["PLANS"]) / f"{state}.{fault}.{subject}"


def _planned(state: str, fault: str, subject: str) -> bool:
    plan = _plan(state, fault, subject)
    try:
        plan.rename(plan.with_suffix(plan.suffix + ".met"))
    except FileNotFoundError:
        return False
    return True


def _do(payload: Any) -> Any:
    if os.environ["TARGET"] == BUS:
        entries = [{**entry, "Detail": json.dumps(entry["Detail"])} for entry in payload["Entries"]]
        boto3.client("events").put_events(Entries=entries)
        return {}
    client = boto3.client("lambda", config=Config(read_timeout=60, retries={"total_max_attempts": 1}))
    reply = client.invoke(FunctionName=os.environ["TARGET"], Payload=json.dumps(payload).encode())
    said = json.loads(reply["Payload"].read())
    if "FunctionError" in reply:
        raise type(str(said.get("errorType", "Error")), (Exception,), {})(said.get("errorMessage"))
    return said
