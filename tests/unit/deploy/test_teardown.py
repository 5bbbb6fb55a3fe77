"""A teardown keeps what holds money unless the stack is named twice."""

import pytest

from infra.deploy.commands import DeployError
from infra.deploy.teardown import take_away
from tests.fakes.deployment import FakeAws, refusal

OUTPUTS = {
    "OrdersTable": "x-orders",
    "OrdersStream": "x-orders",
    "ArchiveBucket": "x-archive",
    "UserPoolId": "pool",
    "BankWebhookSecretArn": "arn:secret",
    "DataKeyArn": "arn:key",
    "RestUrl": "https://x.test",
}


def aws() -> FakeAws:
    outputs = [{"OutputKey": key, "OutputValue": value} for key, value in OUTPUTS.items()]
    return FakeAws(
        {
            "cloudformation.describe_stacks": {"Stacks": [{"Outputs": outputs}]},
            "cloudformation.describe_stack_resource": {"StackResourceDetail": {"PhysicalResourceId": "x-Data-1"}},
            "cognito-idp.describe_user_pool": {"UserPool": {"Domain": "x"}},
            "s3.get_paginator": lambda **_: Pages(),
        }
    )


class Pages:
    def paginate(self, **_: str) -> list[dict[str, list[dict[str, str]]]]:
        return [{"Versions": [{"Key": "a", "VersionId": "1"}], "DeleteMarkers": [{"Key": "b", "VersionId": "2"}]}]


def test_by_itself_it_deletes_the_stack_alone() -> None:
    world = aws()
    steps = list(take_away("x", world, delete_data_of=""))
    assert len(steps) == 1
    assert [name for name, _ in world.calls if "delete" in name] == ["cloudformation.delete_stack"]


def test_a_name_that_is_not_the_stacks_deletes_nothing_at_all() -> None:
    world = aws()
    with pytest.raises(DeployError, match="nothing was deleted"):
        list(take_away("x", world, delete_data_of="y"))
    assert world.calls == []


def test_named_twice_everything_goes() -> None:
    world = aws()
    list(take_away("x", world, delete_data_of="x"))
    assert world.called("dynamodb.update_table") == [{"TableName": "x-orders", "DeletionProtectionEnabled": False}]
    assert world.called("dynamodb.delete_table")
    assert world.called("kinesis.delete_stream")
    assert len(world.called("s3.delete_objects")[0]["Delete"]["Objects"]) == 2
    assert world.called("s3.delete_bucket") == [{"Bucket": "x-archive"}]
    assert world.called("cognito-idp.delete_user_pool") == [{"UserPoolId": "pool"}]
    assert world.called("secretsmanager.delete_secret")
    assert world.called("kms.schedule_key_deletion")[0]["PendingWindowInDays"] == 7
    assert [call["StackName"] for call in world.called("cloudformation.delete_stack")] == ["x", "x-Data-1"]


def test_what_a_lock_holds_is_told() -> None:
    world = aws()
    world.answers["s3.delete_objects"] = {"Errors": [{"Message": "Access Denied because object protected by lock"}]}
    with pytest.raises(DeployError, match="protected by lock"):
        list(take_away("x", world, delete_data_of="x"))
    assert world.called("s3.delete_bucket") == []


def test_a_stack_that_is_not_there_is_told() -> None:
    world = FakeAws({"cloudformation.describe_stacks": refusal("ValidationError", "Stack x does not exist")})
    with pytest.raises(DeployError, match="no stack x"):
        list(take_away("x", world, delete_data_of=""))
