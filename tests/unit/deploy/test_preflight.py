"""What stops a deployment before anything was made, and what is only said."""

from typing import Any

import pytest

from infra.deploy.preflight import Finding, findings
from infra.deploy.stages import Stage
from tests.fakes.deployment import FakeAws, FakeCommands, refusal

STAGE = Stage("prod", "exchange", "us-east-1", {"MatcherDesiredCount": "2", "MatcherCpu": "2048", "OrdersShards": "2"})


def fine() -> dict[str, Any]:
    return {
        "sts.get_caller_identity": {"Account": "123456789012"},
        "lambda.get_account_settings": {"AccountLimit": {"ConcurrentExecutions": 1000}},
        "service-quotas.get_service_quota": {"Quota": {"Value": 50.0}},
        "kinesis.describe_limits": {"OpenShardCount": 3},
        "ec2.describe_vpcs": {"Vpcs": [{}]},
        "sesv2.get_account": {"ProductionAccessEnabled": True},
        "cloudformation.describe_stacks": refusal("ValidationError", "Stack with id exchange does not exist"),
    }


def found(answers: dict[str, Any], *, stage: Stage = STAGE, commands: FakeCommands | None = None) -> list[Finding]:
    return list(findings(stage, FakeAws(answers), commands or FakeCommands(), build_image=True))


def test_a_ready_account_has_nothing_against_it() -> None:
    assert found(fine()) == []


def test_without_credentials_nothing_else_is_asked() -> None:
    aws = FakeAws({"sts.get_caller_identity": refusal("ExpiredToken")})
    (finding,) = findings(STAGE, aws, FakeCommands(), build_image=True)
    assert finding.is_problem
    assert "aws configure sso" in finding.sentence
    assert [name for name, _ in aws.calls] == ["sts.get_caller_identity"]


@pytest.mark.parametrize(
    ("operation", "answer", "words"),
    [
        ("lambda.get_account_settings", {"AccountLimit": {"ConcurrentExecutions": 10}}, "only 10 functions at once"),
        ("service-quotas.get_service_quota", {"Quota": {"Value": 4.0}}, "needs 8 Fargate vCPUs"),
        ("kinesis.describe_limits", {"OpenShardCount": 49}, "need 3 shards; 49 of 50"),
        ("ec2.describe_vpcs", {"Vpcs": [{}] * 50}, "All 50 networks"),
    ],
)
def test_a_quota_that_is_too_small_is_a_problem_with_its_remedy(operation: str, answer: Any, words: str) -> None:
    problems = [finding.sentence for finding in found({**fine(), operation: answer}) if finding.is_problem]
    assert any(words in sentence for sentence in problems), problems


def test_an_upgrade_needs_no_shards_or_networks_of_its_own() -> None:
    existing = {"cloudformation.describe_stacks": {"Stacks": [{}]}, "kinesis.describe_limits": {"OpenShardCount": 50}}
    assert found({**fine(), **existing, "ec2.describe_vpcs": {"Vpcs": [{}] * 50}}) == []


def test_the_mail_sandbox_is_only_said() -> None:
    (finding,) = found({**fine(), "sesv2.get_account": {"ProductionAccessEnabled": False}})
    assert not finding.is_problem


def test_a_check_that_is_not_allowed_does_not_stop_a_deployment() -> None:
    (finding,) = found({**fine(), "sesv2.get_account": refusal("AccessDeniedException")})
    assert not finding.is_problem
    assert "(mail)" in finding.sentence


def test_docker_is_needed_only_to_build_an_image() -> None:
    commands = FakeCommands(missing=frozenset({"docker"}))
    assert [finding.is_problem for finding in found(fine(), commands=commands)] == [True]
    assert list(findings(STAGE, FakeAws(fine()), commands, build_image=False)) == []


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"DomainName": "x.test"}, "go together"),
        ({"DomainName": "x.test", "CertificateArn": "arn:aws:acm:eu-west-1:1:certificate/a"}, "us-east-1 only"),
        ({"DomainName": "x.test", "CertificateArn": "arn:aws:acm:us-east-1:1:certificate/a"}, "PENDING_VALIDATION"),
    ],
)
def test_a_domain_needs_an_issued_certificate_where_cloudfront_looks(told: dict[str, str], words: str) -> None:
    pending = {"Certificate": {"Status": "PENDING_VALIDATION"}}
    answers = {**fine(), "acm-us-east-1.describe_certificate": pending}
    (finding,) = found(answers, stage=STAGE.told(told))
    assert finding.is_problem
    assert words in finding.sentence
