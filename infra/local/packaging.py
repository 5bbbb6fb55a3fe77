"""What `sam build` and `sam package` do, for the laptop: local paths in the template become objects in a bucket.

Third-party packages are those of the virtual environment that the workers are forked from, so their layer is a marker.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

# A fixed time stamp makes equal folders equal archives, so that only what changed is deployed again.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_SKIPPED = {"__pycache__", ".mypy_cache", ".ruff_cache"}
_CONTENT_TYPES = {".yaml": "application/yaml", ".json": "application/json", ".zip": "application/zip"}

# Known beforehand, so that the functions can be told where to push before the API exists.
WEBSOCKET_API_ID = "ec0fa11b"


class PackagingError(RuntimeError):
    """The template names something that is not there; the message says what and where."""


@dataclass
class Package:
    """The packaged template and the objects that it points to, by key."""

    bucket: str
    endpoint_url: str
    template: dict[str, Any] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The template as JSON."""
        return json.dumps(self.template, sort_keys=True).encode()

    @property
    def revision(self) -> str:
        """Changes whenever anything that is deployed changes."""
        return hashlib.sha256(self.body).hexdigest()[:16]

    def add(self, content: bytes, suffix: str) -> str:
        """Add an object; its digest is its key."""
        key = hashlib.sha256(content).hexdigest()[:32] + suffix
        self.objects[key] = content
        return key

    def url(self, key: str) -> str:
        """Where CloudFormation reads an object."""
        return f"{self.endpoint_url}/{self.bucket}/{key}"


def content_type(key: str) -> str:
    """The media type of an object by its key."""
    return _CONTENT_TYPES.get(Path(key).suffix, "application/octet-stream")


def package(template_path: Path, *, bucket: str, endpoint_url: str) -> Package:
    """Package a template and everything below it. Raises PackagingError."""
    made = Package(bucket=bucket, endpoint_url=endpoint_url)
    made.template = _package_template(template_path, made)
    return made


def _package_template(path: Path, made: Package) -> dict[str, Any]:
    template = read_template(path)
    root = path.parent
    for name, resource in template.get("Resources", {}).items():
        properties = resource.get("Properties") or {}
        packer = _PACKERS.get(resource.get("Type", ""))
        if packer is not None:
            try:
                packer(resource, properties, root, made)
            except OSError as error:
                raise PackagingError(f"{path.name}: {name}: {error.strerror}: {error.filename}") from error
    packed: dict[str, Any] = _include(template, root, made)
    return packed


def read_template(path: Path) -> dict[str, Any]:
    """Read a CloudFormation template, its short forms (!Ref, !Sub ...) written out."""
    with path.open(encoding="utf-8") as file:
        loaded: dict[str, Any] = yaml.load(file, Loader=_TemplateLoader)  # noqa: S506 - a SafeLoader with our tags.
    return loaded


class _TemplateLoader(yaml.SafeLoader):
    """Reads the short forms."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_TemplateLoader.add_multi_constructor("!", _short_form)
# A date without quotes ("2012-10-17") is text in a template.
_TemplateLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _pack_function(_resource: dict[str, Any], properties: dict[str, Any], root: Path, made: Package) -> None:
    properties["CodeUri"] = f"s3://{made.bucket}/{made.add(zip_directory(root / properties['CodeUri']), '.zip')}"


def _pack_layer(resource: dict[str, Any], properties: dict[str, Any], root: Path, made: Package) -> None:
    built = "BuildMethod" in (resource.get("Metadata") or {})
    archive = _marker() if built else zip_directory(root / properties["ContentUri"])
    properties["ContentUri"] = f"s3://{made.bucket}/{made.add(archive, '.zip')}"
    # Emulators refuse a runtime list with what they don't know yet; which Python runs is the laptop's.
    resource.pop("Metadata", None)


def _pack_state_machine(_resource: dict[str, Any], properties: dict[str, Any], root: Path, made: Package) -> None:
    """AWS reads a definition in YAML; the emulators read JSON."""
    definition = yaml.safe_load((root / properties["DefinitionUri"]).read_text(encoding="utf-8"))
    key = made.add(json.dumps(definition).encode(), ".json")
    properties["DefinitionUri"] = {"Bucket": made.bucket, "Key": key}


def _pack_nested(_resource: dict[str, Any], properties: dict[str, Any], root: Path, made: Package) -> None:
    nested = _package_template(root / properties["TemplateURL"], made)
    properties["TemplateURL"] = made.url(made.add(json.dumps(nested, sort_keys=True).encode(), ".json"))


def _name_websocket_api(_resource: dict[str, Any], properties: dict[str, Any], _root: Path, _made: Package) -> None:
    properties["Tags"] = {**(properties.get("Tags") or {}), "ms-custom-id": WEBSOCKET_API_ID}


_PACKERS: dict[str, Callable[[dict[str, Any], dict[str, Any], Path, Package], None]] = {
    "AWS::Serverless::Function": _pack_function,
    "AWS::Serverless::LayerVersion": _pack_layer,
    "AWS::Serverless::StateMachine": _pack_state_machine,
    "AWS::CloudFormation::Stack": _pack_nested,
    "AWS::ApiGatewayV2::Api": _name_websocket_api,
}


def _include(node: Any, root: Path, made: Package) -> Any:
    """Upload each AWS::Include's document."""
    if isinstance(node, list):
        return [_include(entry, root, made) for entry in node]
    if not isinstance(node, dict):
        return node
    transform = node.get("Fn::Transform")
    if isinstance(transform, dict) and transform.get("Name") == "AWS::Include":
        source = root / transform["Parameters"]["Location"]
        if not source.is_file():
            raise PackagingError(f"AWS::Include: {source} is not there")
        key = made.add(source.read_bytes(), source.suffix)
        return {**node, "Fn::Transform": {**transform, "Parameters": {"Location": f"s3://{made.bucket}/{key}"}}}
    return {name: _include(value, root, made) for name, value in node.items()}


def zip_directory(directory: Path) -> bytes:
    """The folder as an archive, byte for byte the same for the same content."""
    if not directory.is_dir():
        raise PackagingError(f"{directory} is not a folder")
    paths = sorted(
        path
        for path in directory.rglob("*")
        if path.is_file() and not _SKIPPED.intersection(path.relative_to(directory).parts)
    )
    return _archive({path.relative_to(directory).as_posix(): path.read_bytes() for path in paths})


def _marker() -> bytes:
    return _archive(
        {"python/README.txt": b"On the laptop, third-party packages are those of the virtual environment.\n"}
    )


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return buffer.getvalue()
