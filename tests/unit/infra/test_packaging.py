"""What `exchange up` makes of template.yaml."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from infra.local.packaging import PackagingError, package, read_template, zip_directory
from infra.local.settings import ROOT

ENDPOINT = "http://127.0.0.1:4566"


def _walk(node: Any) -> list[tuple[str, Any]]:
    if isinstance(node, list):
        return [found for entry in node for found in _walk(entry)]
    if isinstance(node, dict):
        return [found for key, value in node.items() for found in [(key, value), *_walk(value)]]
    return []


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_real_template_keeps_no_local_path() -> None:
    made = package(ROOT / "template.yaml", bucket="b", endpoint_url=ENDPOINT)
    documents = [made.template, *(json.loads(body) for key, body in made.objects.items() if key.endswith(".json"))]
    for document in documents:
        for key, value in _walk(document):
            if key in ("CodeUri", "ContentUri", "TemplateURL", "DefinitionUri", "Location"):
                assert not isinstance(value, str) or value.startswith((f"{ENDPOINT}/b/", "s3://b/")), (key, value)


def test_packaging_twice_gives_the_same_revision() -> None:
    first, second = (package(ROOT / "template.yaml", bucket="b", endpoint_url=ENDPOINT) for _ in range(2))
    assert first.revision == second.revision
    assert first.objects == second.objects


def test_a_changed_function_changes_the_revision(tmp_path: Path) -> None:
    template = _write(
        tmp_path,
        "template.yaml",
        "Resources: {F: {Type: 'AWS::Serverless::Function', Properties: {CodeUri: code/, Handler: a.b}}}",
    )
    _write(tmp_path, "code/a.py", "b = 1")
    before = package(template, bucket="b", endpoint_url=ENDPOINT).revision
    _write(tmp_path, "code/a.py", "b = 2")
    assert package(template, bucket="b", endpoint_url=ENDPOINT).revision != before


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    template = _write(
        tmp_path, "template.yaml", "Resources: {F: {Type: 'AWS::Serverless::Function', Properties: {CodeUri: gone/}}}"
    )
    with pytest.raises(PackagingError, match="gone is not a folder"):
        package(template, bucket="b", endpoint_url=ENDPOINT)


def test_a_missing_definition_is_named_with_its_resource(tmp_path: Path) -> None:
    template = _write(
        tmp_path,
        "template.yaml",
        "Resources: {M: {Type: 'AWS::Serverless::StateMachine', Properties: {DefinitionUri: gone.yaml}}}",
    )
    with pytest.raises(PackagingError, match=r"template\.yaml: M: .*gone\.yaml"):
        package(template, bucket="b", endpoint_url=ENDPOINT)


def test_short_forms_are_written_out(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        "t.yaml",
        "a: !Ref X\nb: !GetAtt X.Outputs.Y\nc: !Sub '${X}'\nd: !If [C, 1, !Ref Z]\ne: !Condition C\nf: 2012-10-17\n",
    )
    assert read_template(path) == {
        "a": {"Ref": "X"},
        "b": {"Fn::GetAtt": ["X", "Outputs.Y"]},
        "c": {"Fn::Sub": "${X}"},
        "d": {"Fn::If": ["C", 1, {"Ref": "Z"}]},
        "e": {"Condition": "C"},
        "f": "2012-10-17",
    }


def test_an_archive_leaves_caches_out_and_has_no_clock_in_it(tmp_path: Path) -> None:
    _write(tmp_path, "a.py", "")
    _write(tmp_path, "__pycache__/a.pyc", "")
    with zipfile.ZipFile(io.BytesIO(zip_directory(tmp_path))) as archive:
        assert [(info.filename, info.date_time[0]) for info in archive.infolist()] == [("a.py", 1980)]
