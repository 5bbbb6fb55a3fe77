"""Request bodies of the API document and the models that read them have the same fields."""

from typing import Any

from tests.contract.cloud_definition import API_DOCUMENTS, api_document


def _documented() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for document in API_DOCUMENTS:
        schemas = api_document(document)["components"]["schemas"]
        bodies = {name: schema for name, schema in schemas.items() if name.endswith("Body")}
        assert not bodies.keys() & found.keys()
        found |= bodies
    return found


def test_every_body_is_documented_and_the_reverse(code: dict[str, Any]) -> None:
    assert set(_documented()) == set(code["bodies"])


def test_fields_are_the_same(code: dict[str, Any]) -> None:
    documented = {name: sorted(schema["properties"]) for name, schema in _documented().items()}
    assert {name: sorted(body["fields"]) for name, body in code["bodies"].items()} == documented


def test_required_fields_are_the_same(code: dict[str, Any]) -> None:
    documented = {name: sorted(schema.get("required", [])) for name, schema in _documented().items()}
    assert {name: sorted(body["required"]) for name, body in code["bodies"].items()} == documented
