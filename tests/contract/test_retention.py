"""What holds money or truth outlives its stack, and nothing in the template can replace it by accident."""

from typing import Any

import pytest

from tests.contract.cloud_definition import every_template, nested_template, resources

KEPT = {
    "AWS::Cognito::UserPool",
    "AWS::DynamoDB::Table",
    "AWS::KMS::Key",
    "AWS::Kinesis::Stream",
    "AWS::S3::Bucket",
    "AWS::SecretsManager::Secret",
}
# A name that comes from a parameter of its own could change; these come from the stack's name, which can't.
NAMES = {
    "AWS::DynamoDB::Table": ("TableName", "${Exchange}-"),
    "AWS::Kinesis::Stream": ("Name", "${Exchange}-"),
    "AWS::SecretsManager::Secret": ("Name", "${Exchange}/"),
}
STATEFUL = [
    (template, logical_id, resource)
    for template, document in every_template().items()
    for logical_id, resource in document["Resources"].items()
    if resource["Type"] in KEPT
]


@pytest.mark.parametrize(("template", "logical_id", "resource"), STATEFUL, ids=[row[1] for row in STATEFUL])
def test_it_is_retained_whatever_happens_to_the_stack(template: str, logical_id: str, resource: dict[str, Any]) -> None:
    assert template in {"infra/data.yaml", "infra/bootstrap.yaml"}
    assert resource["DeletionPolicy"] == "Retain"
    assert resource["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize(("template", "logical_id", "resource"), STATEFUL, ids=[row[1] for row in STATEFUL])
def test_no_parameter_but_the_exchanges_name_decides_its_identity(
    template: str, logical_id: str, resource: dict[str, Any]
) -> None:
    named = NAMES.get(resource["Type"])
    if named is not None:
        name = resource["Properties"][named[0]]["Fn::Sub"]
        assert name.startswith(named[1]), f"{template} {logical_id}"
        assert "${" not in name.removeprefix(named[1])
    else:
        assert "BucketName" not in resource["Properties"]  # Made by CloudFormation: two deployments never collide.
    assert "Condition" not in resource  # A condition that turns false is a deletion.


def test_tables_are_protected_backed_up_and_encrypted() -> None:
    for logical_id, table in resources(nested_template("data"), "AWS::DynamoDB::Table").items():
        properties = table["Properties"]
        assert properties["DeletionProtectionEnabled"] is True, logical_id
        assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}, logical_id
        assert properties["SSESpecification"]["SSEType"] == "KMS", logical_id
        assert properties["BillingMode"] == "PAY_PER_REQUEST", logical_id


def test_streams_keep_a_week_and_are_encrypted() -> None:
    for logical_id, stream in resources(nested_template("data"), "AWS::Kinesis::Stream").items():
        properties = stream["Properties"]
        assert properties["RetentionPeriodHours"] == 168, logical_id
        assert properties["StreamEncryption"]["EncryptionType"] == "KMS", logical_id
        assert properties["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}, logical_id


def test_user_pools_refuse_deletion() -> None:
    for logical_id, pool in resources(nested_template("data"), "AWS::Cognito::UserPool").items():
        assert pool["Properties"]["DeletionProtection"] == "ACTIVE", logical_id


def test_operators_always_need_a_second_factor() -> None:
    pool = nested_template("data")["Resources"]["OperatorPool"]["Properties"]
    assert pool["MfaConfiguration"] == "ON"
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True


def test_keys_rotate() -> None:
    for logical_id, key in resources(nested_template("data"), "AWS::KMS::Key").items():
        if key["Properties"].get("KeyUsage") != "SIGN_VERIFY":  # KMS rotates no key that others know the half of
            assert key["Properties"]["EnableKeyRotation"] is True, logical_id


def test_buckets_are_private_versioned_encrypted_and_over_tls() -> None:
    for path, template in every_template().items():
        for logical_id, bucket in resources(template, "AWS::S3::Bucket").items():
            properties = bucket["Properties"]
            assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}, f"{path} {logical_id}"
            assert properties["VersioningConfiguration"] == {"Status": "Enabled"}, f"{path} {logical_id}"
            assert properties["BucketEncryption"], f"{path} {logical_id}"
    policies = [
        policy["Properties"]["PolicyDocument"]["Statement"][0]
        for template in every_template().values()
        for policy in resources(template, "AWS::S3::BucketPolicy").values()
    ]
    buckets = sum(len(resources(template, "AWS::S3::Bucket")) for template in every_template().values())
    assert len(policies) == buckets
    assert {statement["Sid"] for statement in policies} == {"OnlyOverTls"}


def test_the_archive_is_locked() -> None:
    archive = nested_template("data")["Resources"]["ArchiveBucket"]["Properties"]
    assert archive["ObjectLockEnabled"] is True
    assert archive["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]["Mode"] in {"GOVERNANCE", "COMPLIANCE"}


def test_queues_are_encrypted() -> None:
    for path, template in every_template().items():
        for logical_id, queue in resources(template, "AWS::SQS::Queue").items():
            assert "KmsMasterKeyId" in queue["Properties"], f"{path} {logical_id}"
