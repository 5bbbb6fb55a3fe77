"""`python -m infra.deploy.teardown`: takes a stage away, and on request what it kept for good.

The stack goes first; what holds money or truth stays by itself (Retain). Only with the stack's own name given a second
time is that deleted too, for trials: nothing brings it back.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import boto3
import typer
from botocore.exceptions import ClientError
from rich.console import Console

from infra.deploy.commands import DeployError
from infra.deploy.foundation import stack_outputs
from infra.deploy.stages import read_stage

Clients = Callable[[str], Any]
console = Console(highlight=False)
KEY_DAYS = 7
WAIT = {"Delay": 10, "MaxAttempts": 180}

StageOption = Annotated[str, typer.Option("--stage", envvar="STAGE", help="dev, staging or prod, of samconfig.toml")]
DataOption = Annotated[str, typer.Option("--delete-data-of", help="the stack's name, to delete its data for ever")]


def teardown(stage: StageOption, delete_data_of: DataOption = "") -> None:
    """Take a stage away."""
    target = read_stage(stage)
    os.environ["AWS_DEFAULT_REGION"] = target.region
    try:
        for step in take_away(target.stack_name, boto3.client, delete_data_of=delete_data_of):
            console.print(f"[green]✓[/green] {step}")
    except DeployError as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error


def take_away(stack_name: str, clients: Clients, *, delete_data_of: str) -> Iterator[str]:
    """Delete the stack and, where its name is given again, its data. Says each thing done."""
    if delete_data_of and delete_data_of != stack_name:
        raise DeployError(f"--delete-data-of {delete_data_of} is not {stack_name}: nothing was deleted.")
    cloudformation = clients("cloudformation")
    outputs = stack_outputs(cloudformation, stack_name)
    if outputs is None:
        raise DeployError(f"There is no stack {stack_name} here.")
    data_stack = _data_stack(cloudformation, stack_name)
    cloudformation.delete_stack(StackName=stack_name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack_name, WaiterConfig=WAIT)
    yield f"{stack_name} is gone; its tables, streams, buckets, keys and user pools are kept"
    if delete_data_of:
        yield from _delete_data(outputs, clients)
        cloudformation.delete_stack(StackName=data_stack)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=data_stack, WaiterConfig=WAIT)
        yield "its data is gone"


def _data_stack(cloudformation: Any, stack_name: str) -> str:
    answer = cloudformation.describe_stack_resource(StackName=stack_name, LogicalResourceId="Data")
    return str(answer["StackResourceDetail"]["PhysicalResourceId"])


def _delete_data(outputs: Mapping[str, str], clients: Clients) -> Iterator[str]:
    for name, value in outputs.items():
        if name.endswith("Table"):
            tables = clients("dynamodb")
            tables.update_table(TableName=value, DeletionProtectionEnabled=False)
            tables.delete_table(TableName=value)
            yield f"table {value}"
        elif name.endswith("Stream"):
            clients("kinesis").delete_stream(StreamName=value, EnforceConsumerDeletion=True)
            yield f"stream {value}"
        elif name.endswith("Bucket"):
            _empty(clients("s3"), value)
            yield f"bucket {value}"
        elif name.endswith("PoolId"):
            _delete_pool(clients("cognito-idp"), value)
            yield f"user pool {value}"
        elif name.endswith("SecretArn"):
            clients("secretsmanager").delete_secret(SecretId=value, ForceDeleteWithoutRecovery=True)
            yield f"secret {value}"
        elif name.endswith("KeyArn"):
            clients("kms").schedule_key_deletion(KeyId=value, PendingWindowInDays=KEY_DAYS)
            yield f"key {value}, in {KEY_DAYS} days"


def _empty(s3: Any, bucket: str) -> None:
    """Delete every version and then the bucket. Raises DeployError where a lock holds some."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
    for page in pages:
        rows = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects = [{"Key": row["Key"], "VersionId": row["VersionId"]} for row in rows]
        if objects:
            answer = s3.delete_objects(
                Bucket=bucket, Delete={"Objects": objects, "Quiet": True}, BypassGovernanceRetention=True
            )
            if answer.get("Errors"):
                raise DeployError(f"{bucket} holds what can't be deleted yet: {answer['Errors'][0]['Message']}")
    s3.delete_bucket(Bucket=bucket)


def _delete_pool(cognito: Any, pool: str) -> None:
    settings = cognito.describe_user_pool(UserPoolId=pool)["UserPool"]
    domain = settings.get("Domain")
    if domain:
        cognito.delete_user_pool_domain(Domain=domain, UserPoolId=pool)
    attributes = [] if settings.get("UsernameAttributes") is None else ["email"]
    try:
        cognito.update_user_pool(
            UserPoolId=pool,
            DeletionProtection="INACTIVE",
            MfaConfiguration=settings.get("MfaConfiguration", "OFF"),
            AutoVerifiedAttributes=attributes,
        )
        cognito.delete_user_pool(UserPoolId=pool)
    except ClientError as error:
        raise DeployError(f"user pool {pool}: {error}") from error


if __name__ == "__main__":
    typer.run(teardown)
