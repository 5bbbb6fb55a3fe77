"""Programs that a deployment runs, and what it says meanwhile."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parents[2]
SAM_CLI_VERSION = "1.170.0"


class DeployError(RuntimeError):
    """A step could not be done; the message says which and the remedy."""


class Commands(Protocol):
    """How programs are run."""

    def run(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, text: str = "") -> str:
        """Run to the end and return what it printed. Raises DeployError where it fails."""
        ...

    def show(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        """Run to the end, its output seen as it comes. Raises DeployError where it fails."""
        ...

    def exists(self, program: str) -> bool:
        """Whether a program is installed."""
        ...


class Shell:
    """Runs programs here, from the repository's root."""

    def run(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, text: str = "") -> str:
        """Run to the end and return what it printed. Raises DeployError where it fails."""
        done = subprocess.run(  # noqa: S603 - our own commands, no shell between
            list(command),
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DeployError(f"`{' '.join(command[:4])} ...` failed:\n{(done.stderr or done.stdout).strip()[-2000:]}")
        return done.stdout

    def show(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        """Run to the end, its output seen as it comes. Raises DeployError where it fails."""
        done = subprocess.run(  # noqa: S603 - our own commands, no shell between
            list(command), cwd=ROOT, env={**os.environ, **(environment or {})}, check=False
        )
        if done.returncode != 0:
            raise DeployError(f"`{' '.join(command[:4])} ...` failed: see above, mend it and deploy again.")

    def exists(self, program: str) -> bool:
        """Whether a program is installed."""
        return shutil.which(program) is not None


def uv() -> str:
    """The uv in PATH, or the one that `make setup` made."""
    own = ROOT / ".uv/bin/uv"
    return shutil.which("uv") or str(own)


def sam(*arguments: str) -> list[str]:
    """A command of the SAM CLI. It pins other versions than we do, so it lives in an environment of its own."""
    return [uv(), "tool", "run", "--from", f"aws-sam-cli=={SAM_CLI_VERSION}", "sam", *arguments]
