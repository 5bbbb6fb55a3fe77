"""Puts the packaged template into the laptop cloud: objects to a bucket, then the stack created or updated."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from infra.local.packaging import Package, content_type

STACK_NAME = "exchange-local"
ARTIFACTS_BUCKET = f"{STACK_NAME}-artifacts"
WAIT_SECONDS_MAX = 180
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]


class DeploymentError(RuntimeError):
    """The stack could not be created or updated; the message names the resource and says why."""


def deploy(client: Callable[[str], Any], package: Package, parameters: dict[str, str]) -> dict[str, str]:
    """Create or update the stack and return its outputs. Raises DeploymentError."""
    _upload(client("s3"), package)
    cloudformation = client("cloudformation")
    arguments = {
        "StackName": STACK_NAME,
        "TemplateURL": package.url("template.json"),
        "Capabilities": _CAPABILITIES,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "Tags": [{"Key": "revision", "Value": package.revision}],
    }
    try:
        if describe(cloudformation) is None:
            cloudformation.create_stack(**arguments, DisableRollback=True)
        else:
            cloudformation.update_stack(**arguments)
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise DeploymentError(f"CloudFormation refused the template: {error}") from error
    return _wait(cloudformation)


def describe(cloudformation: Any) -> dict[str, Any] | None:
    """The stack, None where there is none."""
    try:
        stacks: list[dict[str, Any]] = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
    except ClientError:
        return None
    return stacks[0] if stacks and stacks[0]["StackStatus"] != "DELETE_COMPLETE" else None


def deployed_revision(cloudformation: Any) -> str:
    """The revision that was deployed last, empty where there is no stack."""
    stack = describe(cloudformation) or {}
    return next((tag["Value"] for tag in stack.get("Tags", []) if tag["Key"] == "revision"), "")


def _upload(s3: Any, package: Package) -> None:
    s3.create_bucket(Bucket=package.bucket)
    objects = {**package.objects, "template.json": package.body}

    def put(key: str) -> None:
        s3.put_object(Bucket=package.bucket, Key=key, Body=objects[key], ContentType=content_type(key))

    with ThreadPoolExecutor(4) as executor:
        list(executor.map(put, objects))


def _wait(cloudformation: Any) -> dict[str, str]:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < deadline:
        stack = describe(cloudformation) or {}
        status = str(stack.get("StackStatus", "GONE"))
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        if not status.endswith("IN_PROGRESS"):
            reasons = "\n".join(_failures(cloudformation, STACK_NAME)) or stack.get(
                "StackStatusReason", "no reason given"
            )
            raise DeploymentError(f"{STACK_NAME} is {status}:\n{reasons}")
        time.sleep(0.1)
    raise DeploymentError(f"{STACK_NAME} was not ready within {WAIT_SECONDS_MAX} seconds")


def _failures(cloudformation: Any, stack_name: str) -> Iterator[str]:
    """What failed and why, down into nested stacks."""
    try:
        events = cloudformation.describe_stack_events(StackName=stack_name)["StackEvents"]
    except ClientError:
        return
    for event in reversed(events):
        if not event["ResourceStatus"].endswith("_FAILED"):
            continue
        nested = event["ResourceType"] == "AWS::CloudFormation::Stack" and event.get("PhysicalResourceId", "")
        if nested and nested not in (stack_name, event.get("StackId")):
            yield from _failures(cloudformation, nested)
        yield f"  {event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason', '')}"
