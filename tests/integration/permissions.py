"""What functions were seen to ask of AWS, told as the template tells it: function, action, logical name."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import urllib3

from infra.local.laptop import Laptop
from infra.local.settings import LaptopSettings
from tests.contract.cloud_definition import ROOT
from tests.contract.grants import Grant, all_granted
from tests.integration.watched_cloud import CALLS_PATH

SEEN = ROOT / "tests" / "golden" / "permissions.txt"
PREFIXES = {"stepfunctions": "states"}  # where IAM calls a service otherwise than CloudFormation does
# Open to everybody: the caller proves himself by what he sends, and IAM is not asked.
WITHOUT_IAM = {f"cognito-idp:{name}" for name in ("SignUp", "ConfirmSignUp", "ResendConfirmationCode", "InitiateAuth")}


def used(settings: LaptopSettings, laptop: Laptop) -> set[Grant]:
    """Every call of a function since the cloud began, each once."""
    calls = json.loads(urllib3.request("GET", settings.endpoint_url + CALLS_PATH, timeout=30).data)
    names = logical_names(laptop)
    found = {
        (caller, action, _logical(action.partition(":")[0], resource, names))
        for caller, action, resource in calls
        if action not in WITHOUT_IAM
    }
    return {grant for seen in found for grant in _of_iterators(seen, found)}


def _of_iterators(seen: Grant, found: set[Grant]) -> Iterator[Grant]:
    """A read of records names an iterator and no stream: it is of the streams that the function has iterators of."""
    caller, action, _ = seen
    if action != "kinesis:GetRecords":
        yield seen
        return
    for other, asked, stream in found:
        if (other, asked) == (caller, "kinesis:GetShardIterator"):
            yield caller, action, stream


def logical_names(laptop: Laptop) -> dict[tuple[str, str], str]:
    """The template's name of each resource, by its service and the name that AWS gave it."""
    cloudformation = laptop.client("cloudformation")
    return dict(_resources(cloudformation, "exchange-local"))


def _resources(cloudformation: Any, stack: str) -> Iterator[tuple[tuple[str, str], str]]:
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack):
        for found in page["StackResourceSummaries"]:
            physical, service = found.get("PhysicalResourceId", ""), found["ResourceType"].split("::")[1].lower()
            if found["ResourceType"] == "AWS::CloudFormation::Stack":
                yield from _resources(cloudformation, physical)
            elif physical:
                yield (PREFIXES.get(service, service), physical), found["LogicalResourceId"]


def _logical(service: str, resource: str, names: Mapping[tuple[str, str], str]) -> str:
    if "/execute-api/" in resource:
        return "WebSocketApi"
    if ":secret:" in resource:
        return names[service, re.sub(r"-\w{6}$", "", resource.partition(":secret:")[2])]
    short = resource.rpartition("/")[2].rpartition(":")[2]
    return names.get((service, resource)) or names.get((service, short)) or resource


def read_seen() -> set[Grant]:
    """The calls of the run that was kept."""
    lines = SEEN.read_text("utf-8").splitlines() if SEEN.exists() else []
    return {(a, b, c) for a, b, c in (line.split() for line in lines if line and not line.startswith("#"))}


def judge(settings: LaptopSettings, laptop: Laptop) -> list[Grant]:
    """What was asked without being granted, to be called when all tests of a cloud are over. With RECORD_PERMISSIONS
    set, what was asked is kept too."""
    found = used(settings, laptop)
    if "RECORD_PERMISSIONS" in os.environ:
        write_seen((read_seen() | found) & all_granted())
    return sorted(found - all_granted())


def write_seen(found: set[Grant]) -> None:
    """Keep them."""
    head = (
        "# Calls of functions, seen by `make permissions` on a laptop cloud; tests/contract/test_grants.py compares.\n"
    )
    SEEN.write_text(head + "".join(f"{' '.join(grant)}\n" for grant in sorted(found)), "utf-8")
