"""The cloud definition as data: templates, state machines and the API document, read from the files themselves."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
NESTED = ("bootstrap", "consumers", "data", "edge", "matcher", "monitoring")


class _TemplateLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, read as their long ones."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        raise TypeError(f"{node!r}")
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_TemplateLoader.add_multi_constructor("!", _intrinsic)


def load_template(path: Path) -> dict[str, Any]:
    """A template with every short form made long."""
    document = yaml.load(path.read_text(), Loader=_TemplateLoader)
    assert isinstance(document, dict)
    return document


@cache
def root_template() -> dict[str, Any]:
    """template.yaml."""
    return load_template(ROOT / "template.yaml")


@cache
def nested_template(name: str) -> dict[str, Any]:
    """infra/NAME.yaml."""
    return load_template(ROOT / "infra" / f"{name}.yaml")


def every_template() -> dict[str, dict[str, Any]]:
    """Every template by its path."""
    templates = {"template.yaml": root_template()}
    templates.update({f"infra/{name}.yaml": nested_template(name) for name in NESTED})
    return templates


@cache
def api_document(name: str = "openapi") -> dict[str, Any]:
    """infra/api/openapi.yaml, the customers'; or another one beside it."""
    document = yaml.safe_load((ROOT / f"infra/api/{name}.yaml").read_text())
    assert isinstance(document, dict)
    return document


# Each REST API of the template by its document.
API_DOCUMENTS = {"openapi": "RestApi", "operators": "OperatorsApi"}


def resources(template: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The resources of one type, by logical id."""
    return {name: found for name, found in template["Resources"].items() if found["Type"] == kind}


@dataclass(frozen=True)
class Function:
    """A function of the template. `module` is its trigger file as the tests import it."""

    logical_id: str
    name: str
    module: str
    code: Path
    variables: Mapping[str, Any]
    properties: Mapping[str, Any]
    role: Mapping[str, Any]

    @property
    def statements(self) -> list[dict[str, Any]]:
        """Every statement of its role's own policies."""
        return [statement for policy in self.role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]


@cache
def functions() -> tuple[Function, ...]:
    """Every function of the template."""
    template = root_template()
    return tuple(
        _function(logical_id, found["Properties"], template)
        for logical_id, found in resources(template, "AWS::Serverless::Function").items()
    )


def _function(logical_id: str, properties: dict[str, Any], template: dict[str, Any]) -> Function:
    folder = properties["CodeUri"].removeprefix("functions/").strip("/")
    file = properties["Handler"].split(".")[0]
    role_id = properties["Role"]["Fn::GetAtt"][0]
    return Function(
        logical_id=logical_id,
        name=properties["FunctionName"]["Fn::Sub"].removeprefix("${AWS::StackName}-"),
        module=f"functions.{folder}.{file}",
        code=ROOT / "functions" / folder / f"{file}.py",
        variables=properties.get("Environment", {}).get("Variables", {}),
        properties=properties,
        role=template["Resources"][role_id]["Properties"],
    )


def function_named(name: str) -> Function:
    """One function by its name without the stack's."""
    return next(function for function in functions() if function.name == name)


def state_machines() -> dict[str, dict[str, Any]]:
    """Every state machine's resource properties, by file name."""
    found = resources(root_template(), "AWS::Serverless::StateMachine").values()
    return {Path(machine["Properties"]["DefinitionUri"]).name: machine["Properties"] for machine in found}


def definition(file_name: str) -> dict[str, Any]:
    """A state machine's definition."""
    document = yaml.safe_load((ROOT / "statemachines" / file_name).read_text())
    assert isinstance(document, dict)
    return document


def walk(node: Any) -> Iterator[Any]:
    """Every node below and including this one."""
    yield node
    if isinstance(node, Mapping):
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)
