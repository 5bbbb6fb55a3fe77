"""The stack that is there before the exchange: its registry and the bucket of its artefacts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from infra.deploy.commands import ROOT
from infra.deploy.stages import Stage

WAIT = {"Delay": 5, "MaxAttempts": 120}


@dataclass(frozen=True, slots=True)
class Foundation:
    """Where images and artefacts go."""

    repository_uri: str
    repository_name: str
    artefacts_bucket: str


def lay(stage: Stage, clients: Callable[[str], Any]) -> Foundation:
    """Create or update it."""
    cloudformation = clients("cloudformation")
    name = f"{stage.stack_name}-bootstrap"
    arguments = {
        "StackName": name,
        "TemplateBody": (ROOT / "infra/bootstrap.yaml").read_text(encoding="utf-8"),
        "Parameters": [{"ParameterKey": "Exchange", "ParameterValue": stage.stack_name}],
    }
    if stack_outputs(cloudformation, name) is None:
        cloudformation.create_stack(**arguments)
        cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig=WAIT)
    else:
        _update(cloudformation, name, arguments)
    outputs = stack_outputs(cloudformation, name) or {}
    return Foundation(outputs["RepositoryUri"], outputs["RepositoryName"], outputs["ArtefactsBucket"])


def _update(cloudformation: Any, name: str, arguments: dict[str, Any]) -> None:
    try:
        cloudformation.update_stack(**arguments)
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise
        return
    cloudformation.get_waiter("stack_update_complete").wait(StackName=name, WaiterConfig=WAIT)


def stack_outputs(cloudformation: Any, name: str) -> dict[str, str] | None:
    """A stack's outputs; None where there is no such stack."""
    try:
        stacks = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return {output["OutputKey"]: output["OutputValue"] for output in stacks[0].get("Outputs", [])} if stacks else None
