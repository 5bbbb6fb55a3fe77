"""Which exchange a command is about: the stack that it names, in the caller's AWS account, else the one on this laptop.

Both are found in one way: CloudFormation's word on what the stack has put where. A laptop adds only how to reach its
cloud, and what stack.json has of it: demo customers and operators, a chain's node.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import boto3
import typer

from infra.deploy.foundation import stack_outputs
from infra.local.clients import environment
from infra.local.laptop import named_outputs, read_stack
from infra.local.settings import LaptopSettings

StackOption = Annotated[
    str,
    typer.Option(
        "--stack", envvar="EXCHANGE_STACK", help="A stack in your AWS account; without it the exchange on this laptop."
    ),
]


class StackError(RuntimeError):
    """There is no such exchange to be reached; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Where an exchange is: the outputs of its stack, and on a laptop what stack.json has."""

    name: str
    outputs: Mapping[str, str]
    laptop: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tables(self) -> Mapping[str, str]:
        """Every table by its logical name: `orders`, `fee_schedules`."""
        return named_outputs(self.outputs, "Table")

    @property
    def streams(self) -> Mapping[str, str]:
        """Every stream by its logical name."""
        return named_outputs(self.outputs, "Stream")

    @property
    def buckets(self) -> Mapping[str, str]:
        """Every bucket by its logical name."""
        return named_outputs(self.outputs, "Bucket")

    @property
    def option(self) -> str:
        """What a command takes to be about this stack; nothing on a laptop."""
        return "" if self.laptop else f" --stack {self.name}"

    @property
    def operators_url(self) -> str:
        """Where the operators' API answers: a name of its own on AWS, a path of a cloud at an address of one's own."""
        endpoint_url = os.environ.get("AWS_ENDPOINT_URL")
        if endpoint_url:
            return f"{endpoint_url}/_aws/execute-api/{self.outputs['OperatorsApiId']}/live"
        return self.outputs["OperatorsUrl"]


def open_stack(name: str) -> Stack:
    """Find a stack, and have this process reach it from now on; an empty name is the laptop's.

    Raises:   StackError; botocore's errors where AWS does not answer or does not know the caller.
    """
    laptop: Mapping[str, Any] = {} if name else _reach_laptop()
    if name:
        _settle_region()
    stack_name = name or str(laptop["stack_name"])
    outputs = stack_outputs(boto3.Session().client("cloudformation"), stack_name)
    if outputs is None:
        raise StackError(
            f"--stack: there is no stack {stack_name} in {os.environ['AWS_REGION']} of the account whose credentials"
            " these are. Its name and region are in samconfig.toml; give the region as AWS_REGION."
        )
    if "OperatorsApiId" not in outputs:
        raise StackError(f"--stack: {stack_name} is no exchange: it has not the outputs of template.yaml.")
    return Stack(stack_name, outputs, laptop)


def _reach_laptop() -> Mapping[str, Any]:
    settings = LaptopSettings.load()
    found = read_stack(settings)
    if not found:
        raise StackError("Nothing runs here. Start it with `make up`, or name a stack on AWS with --stack.")
    os.environ.update({**environment(settings), "AWS_ENDPOINT_URL": found["aws_endpoint_url"]})
    return found


def _settle_region() -> None:
    """Botocore reads one variable, Lambda's code the other; a profile's region is in neither."""
    region = os.environ.get("AWS_REGION") or boto3.Session().region_name
    if not region:
        raise StackError("--stack: in which region? Say AWS_REGION=eu-central-1, or choose a profile with AWS_PROFILE.")
    os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = region
