"""The templates are what CloudFormation and SAM accept, and what the laptop cloud accepts too."""

import json
import os
import re
from typing import Any

import pytest
from cfnlint.api import ManualArgs, lint_by_config

from infra.deploy.commands import SAM_CLI_VERSION
from tests.contract.cloud_definition import (
    NESTED,
    ROOT,
    every_template,
    nested_template,
    resources,
    root_template,
    walk,
)

# What the laptop cloud can't make; so it must hang on the condition that only AWS meets, or in a stack that does.
ONLY_ON_AWS = {"AWS::Kinesis::StreamConsumer", "AWS::CloudFront::Distribution", "AWS::ECS::Service"}
AWS_STACKS = {"Consumers", "Matcher", "Edge", "Monitoring"}


def test_cfn_lint_finds_nothing() -> None:
    """All in one test, so that one process loads the linter's schemas."""
    paths = [str(ROOT / path) for path in ("template.yaml", *(f"infra/{name}.yaml" for name in NESTED))]
    found = lint_by_config(ManualArgs(templates=paths, regions=["us-east-1", "eu-central-1"]))
    assert [f"{match.filename}: {match}" for match in found] == []


def test_sam_makes_plain_cloudformation_of_it() -> None:
    from samtranslator.translator.transform import transform

    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

    class NoManagedPolicies:
        def load(self) -> dict[str, str]:
            return {}

    template = json.loads(json.dumps(root_template(), default=str))
    for resource in template["Resources"].values():
        for name in ("CodeUri", "ContentUri", "DefinitionUri"):
            if name in resource.get("Properties", {}):
                resource["Properties"][name] = "s3://bucket/key"
    made = transform(template, {}, NoManagedPolicies())
    kinds = {resource["Type"] for resource in made["Resources"].values()}
    assert not [kind for kind in kinds if kind.startswith("AWS::Serverless")]
    stages = [name for name, found in made["Resources"].items() if found["Type"] == "AWS::ApiGateway::Stage"]
    assert sorted(stages) == ["OperatorsApiliveStage", "RestApiliveStage"]  # SAM would like to add one named Stage.
    roles = [name for name, found in made["Resources"].items() if found["Type"] == "AWS::IAM::Role"]
    assert set(roles) <= set(root_template()["Resources"])  # Every role is one that we wrote.


def test_what_only_aws_can_make_is_made_only_there() -> None:
    stacks = resources(root_template(), "AWS::CloudFormation::Stack")
    assert {name for name, stack in stacks.items() if "Condition" in stack} == AWS_STACKS
    kinds = {
        resource["Type"]
        for template in (root_template(), nested_template("data"))
        for resource in template["Resources"].values()
    }
    assert not kinds & ONLY_ON_AWS


@pytest.mark.parametrize("name", ["Data", *sorted(AWS_STACKS)])
def test_a_nested_stack_gets_exactly_its_parameters(name: str) -> None:
    stack = root_template()["Resources"][name]["Properties"]
    nested = every_template()[stack["TemplateURL"]]
    required = {key for key, parameter in nested["Parameters"].items() if "Default" not in parameter}
    assert required <= set(stack["Parameters"]) <= set(nested["Parameters"])


def test_outputs_that_are_read_exist() -> None:
    stacks = resources(root_template(), "AWS::CloudFormation::Stack")
    for node in walk(root_template()):
        if isinstance(node, dict) and isinstance(node.get("Fn::GetAtt"), list):
            target, attribute = node["Fn::GetAtt"]
            if target in stacks:
                outputs = every_template()[stacks[target]["Properties"]["TemplateURL"]]["Outputs"]
                assert attribute.removeprefix("Outputs.") in outputs, f"{target}.{attribute}"


def test_every_parameter_is_used() -> None:
    for path, template in every_template().items():
        text = (ROOT / path).read_text()
        for name in template.get("Parameters", {}):
            assert f"!Ref {name}" in text or f"${{{name}}}" in text or f"${{{name}." in text, f"{path} {name}"


def test_the_websocket_stage_is_named_as_the_path_that_serves_it() -> None:
    stage = root_template()["Resources"]["WebSocketStage"]["Properties"]
    behaviours: list[dict[str, Any]] = nested_template("edge")["Resources"]["Distribution"]["Properties"][
        "DistributionConfig"
    ]["CacheBehaviors"]
    assert f"/{stage['StageName']}" in {behaviour["PathPattern"] for behaviour in behaviours}
    origins = nested_template("edge")["Resources"]["Distribution"]["Properties"]["DistributionConfig"]["Origins"]
    assert "OriginPath" not in next(origin for origin in origins if origin["Id"] == "websocket")


def test_error_pages_do_not_hide_the_apis_answers() -> None:
    distribution = nested_template("edge")["Resources"]["Distribution"]["Properties"]["DistributionConfig"]
    assert "CustomErrorResponses" not in distribution


def test_tools_have_one_version_wherever_they_are_named() -> None:
    makefile = (ROOT / "Makefile").read_text()
    pinned = dict(re.findall(r"^(\w+_VERSION) := (\S+)$", makefile, re.MULTILINE))
    assert pinned["SAM_CLI_VERSION"] == SAM_CLI_VERSION
    assert f"astral-sh/uv:{pinned['UV_VERSION']} " in (ROOT / "matcher/Dockerfile").read_text()


def test_a_deployment_of_the_matcher_overlaps() -> None:
    service = nested_template("matcher")["Resources"]["Service"]["Properties"]["DeploymentConfiguration"]
    assert service["MinimumHealthyPercent"] == 100
    assert service["MaximumPercent"] == 200
    assert service["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
