"""The steps of a deployment: each finds what the last one left and does only what is missing."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from exchange.fees.store import FeeScheduleItem
from exchange.instruments.store import InstrumentItem, InstrumentStore
from moto import mock_aws

from infra.deploy import foundation, image, listing, operators, web
from infra.deploy.commands import ROOT, DeployError
from infra.deploy.foundation import Foundation
from infra.deploy.stages import Stage
from tests.fakes.deployment import FakeAws, FakeCommands, refusal

STAGE = Stage("dev", "exchange-dev", "us-east-1", {})
FOUNDATION = Foundation("1.dkr.ecr.us-east-1.amazonaws.com/exchange-dev/matcher", "exchange-dev/matcher", "artefacts")
DIGEST = {"imageDetails": [{"imageDigest": "sha256:abc"}]}
OUTPUTS = [
    {"OutputKey": "RepositoryUri", "OutputValue": "uri"},
    {"OutputKey": "RepositoryName", "OutputValue": "name"},
    {"OutputKey": "ArtefactsBucket", "OutputValue": "bucket"},
]


def test_an_image_that_is_there_is_not_built_again() -> None:
    commands = FakeCommands()
    uri = image.push(STAGE, "c" * 40, FOUNDATION, FakeAws({"ecr.describe_images": DIGEST}), commands)
    assert uri == f"{FOUNDATION.repository_uri}@sha256:abc"
    assert commands.ran == []


def test_an_image_is_built_pushed_and_named_by_its_digest() -> None:
    answers: list[Any] = [refusal("ImageNotFoundException"), DIGEST]

    def describe(**_: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    token = base64.b64encode(b"AWS:secret").decode()
    aws = FakeAws(
        {
            "ecr.describe_images": describe,
            "ecr.get_authorization_token": {"authorizationData": [{"authorizationToken": token}]},
        }
    )
    commands = FakeCommands()
    uri = image.push(STAGE.told({"Architecture": "arm64"}), "c" * 40, FOUNDATION, aws, commands)
    assert commands.programs == ["docker build", "docker login", "docker push"]
    assert "linux/arm64" in commands.ran[0]
    assert not any("secret" in word for command in commands.ran for word in command)  # It goes by standard input.
    assert uri.endswith("@sha256:abc")


def test_what_is_not_committed_is_not_deployed() -> None:
    with pytest.raises(DeployError, match="commit them first"):
        image.revision(FakeCommands(printed={"git status": " M template.yaml\n"}))
    assert image.revision(FakeCommands(printed={"git rev-parse": "abc\n"})) == "abc"


def test_the_foundation_is_created_once_and_updated_after() -> None:
    seen = iter([refusal("ValidationError", "Stack with id x does not exist"), {"Stacks": [{"Outputs": OUTPUTS}]}])

    def describe(**_: Any) -> Any:
        answer = next(seen)
        if isinstance(answer, Exception):
            raise answer
        return answer

    aws = FakeAws({"cloudformation.describe_stacks": describe})
    assert foundation.lay(STAGE, aws) == Foundation("uri", "name", "bucket")
    assert len(aws.called("cloudformation.create_stack")) == 1

    again = FakeAws(
        {
            "cloudformation.describe_stacks": {"Stacks": [{"Outputs": OUTPUTS}]},
            "cloudformation.update_stack": refusal("ValidationError", "No updates are to be performed."),
        }
    )
    assert foundation.lay(STAGE, again) == Foundation("uri", "name", "bucket")
    assert again.called("cloudformation.create_stack") == []


def test_the_first_operator_is_invited_once() -> None:
    outputs = {"OperatorPoolId": "pool"}
    aws = FakeAws(
        {"cognito-idp.list_users": {"Users": []}, "cognito-idp.admin_create_user": {"User": {"Username": "sub"}}}
    )
    assert operators.invite_first("ann@example.com", outputs, aws)
    assert [call["GroupName"] for call in aws.called("cognito-idp.admin_add_user_to_group")] == list(operators.GROUPS)
    later = FakeAws({"cognito-idp.list_users": {"Users": [{}]}})
    assert not operators.invite_first("eve@example.com", outputs, later)
    assert later.called("cognito-idp.admin_create_user") == []


def test_the_page_is_uploaded_after_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<html>")
    (tmp_path / "assets" / "screen-1a2b.js").write_text("go()")
    aws = FakeAws()
    assert web.upload(tmp_path, {"WebBucket": "web", "DistributionId": "D"}, aws) == 2
    put = aws.called("s3.put_object")
    assert [call["Key"] for call in put] == ["app/assets/screen-1a2b.js", "app/index.html"]
    assert [call["CacheControl"] for call in put] == [web.FOREVER, web.NEVER]
    assert put[1]["ContentType"] == "text/html"
    (invalidation,) = aws.called("cloudfront.create_invalidation")
    assert invalidation["InvalidationBatch"]["Paths"]["Items"] == ["/app*"]


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        client = boto3.client("dynamodb")
        for table, keys in {"i": [("kind", "HASH"), ("id", "RANGE")], "f": [("schedule_id", "HASH")]}.items():
            client.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
            )
        yield {"InstrumentsTable": "i", "FeeSchedulesTable": "f"}
        for model in (InstrumentItem, FeeScheduleItem):
            model._connection = None


def test_listing_lists_what_is_missing_and_never_changes_what_is(tables: dict[str, str]) -> None:
    path = ROOT / "infra/deploy/products.toml"
    listed = listing.list_missing(path, tables)
    assert listed == ["ACME-USD", "BTC-USD", "EUR-USD", "ETH-BTC"]
    InstrumentItem("product", "ACME-USD").update(actions=[InstrumentItem.status.set("halted")])
    assert listing.list_missing(path, tables) == []
    assert InstrumentStore().products()["ACME-USD"].status.value == "halted"


def test_a_file_that_lists_nonsense_is_refused_whole(tmp_path: Path) -> None:
    path = tmp_path / "products.toml"
    path.write_text('[assets]\nUSD = {name = "Dollar", scale = 6, kind = "fiat"}\n[products.X-USD]\n[fees]\n')
    with pytest.raises(DeployError, match="can't be listed"):
        listing.read_file(path)
