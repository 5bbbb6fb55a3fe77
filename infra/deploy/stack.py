"""`sam build` and `sam deploy`, with the layers exported from the lock and weighed."""

import os
import shutil
from pathlib import Path

from infra.deploy.commands import ROOT, Commands, DeployError, sam, uv
from infra.deploy.foundation import Foundation
from infra.deploy.stages import Stage

BUILD = ROOT / ".aws-sam/build"
LAYER_BYTES_MAX = 120_000_000
PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")
# What Chalice wants for a command line that no function runs.
LEFT_OUT = ("click", "inquirer", "pip", "setuptools", "wheel")
# What layer 2 has already.
IN_LAYER_2 = (
    "annotated-types",
    "cffi",
    "pycparser",
    "pydantic",
    "pydantic-core",
    "typing-extensions",
    "typing-inspection",
    "urllib3",
)


def export(commands: Commands) -> None:
    """Write the requirements of layers 2, 3 and 4, with hashes, from the lock."""
    fixed = ["--frozen", "--quiet", "--no-emit-project", "--no-header", "--no-annotate", "--format", "requirements-txt"]
    layers = {
        "functions/dependencies": ("--no-default-groups", LEFT_OUT),
        "functions/dependencies/payments": ("--only-group=payments", IN_LAYER_2),
        "functions/dependencies/chain": ("--only-group=chain", (*IN_LAYER_2, "pywin32")),
    }
    for folder, (wanted, left_out) in layers.items():
        pruned = [argument for name in left_out for argument in ("--prune", name)]
        path = f"{folder}/requirements.txt"
        commands.run([uv(), "export", *fixed, wanted, *pruned, "--output-file", path])


def build(stage: Stage, commands: Commands, *, directory: Path = BUILD) -> None:
    """Build everything for where Lambda runs it. Raises DeployError where a layer has grown too large."""
    export(commands)
    _forget_bytecode()
    environment = {
        "LAMBDA_PLATFORM": PLATFORMS[stage.architecture],
        "SAM_CLI_TELEMETRY": "0",
        "PATH": f"{Path(uv()).parent}:{os.environ['PATH']}",
    }
    told = ["--parameter-overrides", f"Architecture={stage.architecture}"]
    commands.show(sam("build", "--build-dir", str(directory), *told), environment=environment)
    layers = {
        "1": ROOT / "functions/shared",
        "2": directory / "DependenciesLayer",
        "3": directory / "PaymentsLayer",
        "4": directory / "ChainLayer",
    }
    for name, folder in layers.items():
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        if size > LAYER_BYTES_MAX:
            raise DeployError(
                f"Layer {name} has {size // 1_000_000} MB, at most {LAYER_BYTES_MAX // 1_000_000} are allowed: "
                "take something out of it, or make another layer by use."
            )


def _forget_bytecode() -> None:
    """What this machine's Python left behind would make every deployment look like a new version."""
    for folder in list((ROOT / "functions").rglob("__pycache__")):
        shutil.rmtree(folder, ignore_errors=True)


def deploy(stage: Stage, foundation: Foundation, commands: Commands, *, directory: Path = BUILD) -> None:
    """Create or update the stack; what fails is rolled back by CloudFormation."""
    arguments = [
        "deploy",
        "--template-file",
        str(directory / "template.yaml"),
        "--stack-name",
        stage.stack_name,
        "--region",
        stage.region,
        "--s3-bucket",
        foundation.artefacts_bucket,
        "--s3-prefix",
        stage.stack_name,
        "--capabilities",
        *CAPABILITIES,
        "--tags",
        f"exchange={stage.stack_name}",
        f"stage={stage.name}",
        "--no-confirm-changeset",
        "--no-fail-on-empty-changeset",
        "--no-progressbar",
        "--parameter-overrides",
        *(f"{name}={value}" for name, value in sorted(stage.parameters.items()) if value),
    ]
    commands.show(sam(*arguments), environment={"SAM_CLI_TELEMETRY": "0"})
