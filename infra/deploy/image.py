"""The matcher's image: built from what is committed, pushed once a commit, deployed by its digest."""

import base64
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from infra.deploy.commands import Commands, DeployError
from infra.deploy.foundation import Foundation
from infra.deploy.stages import Stage

PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}


def revision(commands: Commands) -> str:
    """The commit that is deployed. Raises DeployError where files differ from it: nobody could deploy that again."""
    if commands.run(["git", "status", "--porcelain"]).strip():
        raise DeployError(
            "There are changes that are not committed: commit them first, so that a rollback can find them."
        )
    return commands.run(["git", "rev-parse", "HEAD"]).strip()


def push(stage: Stage, commit: str, foundation: Foundation, clients: Callable[[str], Any], commands: Commands) -> str:
    """Build and push the image of a commit, unless it is there. Returns its URI by digest."""
    tag = f"{commit[:12]}-{stage.architecture}"
    registry = clients("ecr")
    digest = find_digest(registry, foundation.repository_name, tag)
    if digest is None:
        _build_and_push(f"{foundation.repository_uri}:{tag}", stage, registry, commands)
        digest = find_digest(registry, foundation.repository_name, tag)
    if digest is None:
        raise DeployError(f"The registry does not know {tag} after it was pushed: deploy again.")
    return f"{foundation.repository_uri}@{digest}"


def find_digest(registry: Any, repository: str, tag: str) -> str | None:
    """The digest of a tag; None where there is no such image."""
    try:
        answer = registry.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ImageNotFoundException":
            return None
        raise
    return str(answer["imageDetails"][0]["imageDigest"])


def _build_and_push(name: str, stage: Stage, registry: Any, commands: Commands) -> None:
    token = registry.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    server = name.partition("/")[0]
    platform = PLATFORMS[stage.architecture]
    commands.show(
        [
            "docker",
            "build",
            "--platform",
            platform,
            "--provenance",
            "false",
            "--file",
            "matcher/Dockerfile",
            "--tag",
            name,
            ".",
        ]
    )
    commands.run(["docker", "login", "--username", user, "--password-stdin", server], text=password)
    commands.show(["docker", "push", name])
