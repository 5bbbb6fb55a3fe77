"""What must hold before a deployment begins. A problem stops it; a remark is worth knowing."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.deploy.commands import Commands
from infra.deploy.stages import Stage

Clients = Callable[[str], Any]

# A new account may run ten functions at once in all; the sweeper reserves one and AWS keeps a hundred unreserved.
CONCURRENCY_MIN = 110
FARGATE_VCPUS = ("fargate", "L-3032A538")
SHARDS = ("kinesis", "L-148D0A0E")
VPCS = ("vpc", "L-F678F1CE")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: a sentence with its remedy. A problem stops the deployment."""

    sentence: str
    is_problem: bool = True


def findings(stage: Stage, clients: Clients, commands: Commands, *, build_image: bool) -> Iterator[Finding]:
    """Everything found, problems and remarks."""
    yield from _machine(commands, build_image=build_image)
    account = yield from _account(clients)
    if account is None:
        return
    for check in (_concurrency, _fargate, _shards, _network, _mail, _domain):
        try:
            yield from check(stage, clients)
        except (ClientError, BotoCoreError) as error:
            yield Finding(f"Could not look at one thing ({check.__name__.strip('_')}): {error}", is_problem=False)


def _machine(commands: Commands, *, build_image: bool) -> Iterator[Finding]:
    if not commands.exists("make"):
        yield Finding("make is missing: `sam build` needs it for the layer of third-party packages.")
    if build_image and not commands.exists("docker"):
        yield Finding("Docker is missing: install it, or give an image that was built elsewhere with --image.")


def _account(clients: Clients) -> Generator[Finding, None, str | None]:
    try:
        return str(clients("sts").get_caller_identity()["Account"])
    except (ClientError, BotoCoreError) as error:
        yield Finding(f"AWS does not know who you are ({error}): run `aws configure sso` or set AWS_PROFILE.")
        return None


def _concurrency(_stage: Stage, clients: Clients) -> Iterator[Finding]:
    limits = clients("lambda").get_account_settings()["AccountLimit"]
    allowed = limits["ConcurrentExecutions"]
    if allowed < CONCURRENCY_MIN:
        yield Finding(
            f"This account may run only {allowed} functions at once: ask for 1,000 under Service Quotas, "
            "AWS Lambda, Concurrent executions."
        )


def _fargate(stage: Stage, clients: Clients) -> Iterator[Finding]:
    # Twice, because a deployment starts the new tasks before it ends the old.
    tasks = int(stage.parameters.get("MatcherDesiredCount", "1")) * 2
    needed = tasks * int(stage.parameters.get("MatcherCpu", "1024")) / 1024
    allowed = _quota(clients, FARGATE_VCPUS)
    if allowed < needed:
        yield Finding(f"The matcher needs {needed:g} Fargate vCPUs while it is deployed; {allowed:g} are allowed.")


def _shards(stage: Stage, clients: Clients) -> Iterator[Finding]:
    needed = sum(int(stage.parameters.get(name, "1")) for name in ("OrdersShards", "ExecutionsShards"))
    allowed = _quota(clients, SHARDS)
    used = clients("kinesis").describe_limits()["OpenShardCount"]
    if not _exists(stage, clients) and allowed < used + needed:
        yield Finding(f"The streams need {needed} shards; {used} of {allowed:g} are in use.")


def _network(stage: Stage, clients: Clients) -> Iterator[Finding]:
    if _exists(stage, clients):
        return
    allowed, used = _quota(clients, VPCS), len(clients("ec2").describe_vpcs()["Vpcs"])
    if used >= allowed:
        yield Finding(f"All {allowed:g} networks (VPCs) of this region are in use: delete one or ask for more.")


def _mail(stage: Stage, clients: Clients) -> Iterator[Finding]:
    if not clients("sesv2").get_account().get("ProductionAccessEnabled", False):
        yield Finding(
            "SES is in its sandbox and Cognito sends at most 50 mails a day by itself: enough to try, "
            f"not for customers of {stage.name}. Ask for production access in the SES console.",
            is_problem=False,
        )


def _domain(stage: Stage, clients: Clients) -> Iterator[Finding]:
    name, certificate = stage.parameters.get("DomainName", ""), stage.parameters.get("CertificateArn", "")
    if bool(name) != bool(certificate):
        yield Finding("DomainName and CertificateArn go together: set both in samconfig.toml, or neither.")
    elif certificate and ":us-east-1:" not in certificate:
        yield Finding("CloudFront takes certificates of us-east-1 only: request this one there.")
    elif certificate:
        status = clients("acm-us-east-1").describe_certificate(CertificateArn=certificate)["Certificate"]["Status"]
        if status != "ISSUED":
            yield Finding(f"The certificate of {name} is {status}: finish its validation first.")


def _quota(clients: Clients, quota: tuple[str, str]) -> float:
    service, code = quota
    answer = clients("service-quotas").get_service_quota(ServiceCode=service, QuotaCode=code)
    return float(answer["Quota"]["Value"])


def _exists(stage: Stage, clients: Clients) -> bool:
    try:
        return bool(clients("cloudformation").describe_stacks(StackName=stage.stack_name)["Stacks"])
    except ClientError:
        return False
