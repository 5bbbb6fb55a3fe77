"""The stages of samconfig.toml. SAM would replace its parameters by those of a command line; here they are merged."""

import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from infra.deploy.commands import ROOT, DeployError


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a stage is and what its template is told."""

    name: str
    stack_name: str
    region: str
    parameters: Mapping[str, str]

    def told(self, parameters: Mapping[str, str]) -> "Stage":
        """The same stage, told more."""
        return replace(self, parameters={**self.parameters, **parameters})

    @property
    def architecture(self) -> str:
        """What everything is built for."""
        return self.parameters.get("Architecture", "x86_64")


def read_stage(name: str, path: Path = ROOT / "samconfig.toml") -> Stage:
    """One stage. Raises DeployError naming those that there are."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    stages = {key: value for key, value in document.items() if isinstance(value, dict) and "deploy" in value}
    if name not in stages:
        raise DeployError(f"samconfig.toml has no stage {name}: choose {', '.join(sorted(stages))}, or add it there.")
    deploy = stages[name]["deploy"]["parameters"]
    pairs = [shlex.split(text)[0].partition("=") for text in deploy.get("parameter_overrides", [])]
    return Stage(
        name=name,
        stack_name=deploy["stack_name"],
        region=deploy["region"],
        parameters={key: value for key, _, value in pairs},
    )


def read_settings(texts: list[str]) -> dict[str, str]:
    """`Name=value` of a command line. Raises DeployError."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise DeployError(f"{text!r}: write it as Parameter=value")
        found[name] = value
    return found
