"""Ids of the customers' API: whose the object behind each is. tests/integration/test_ownership.py tries them all."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.contract.cloud_definition import api_document
from tests.contract.test_routes import operations

# Stems of paths with an id. Owned: a customer's own, and another's answers exactly as a missing one.
OWNED = (
    "/accounts/{id}",
    "/coinbase-accounts/{id}",
    "/orders/{order_id}",
    "/profiles/{id}",
    "/reports/{id}",
    "/transfers/{id}",
    "/v1/api-keys/{key_id}",
    "/v1/withdrawals/destinations/{id}",
    "/v1/withdrawals/{id}",
)
# Everybody's. A closing is everybody's too: its proof is of whoever asks, and of nobody who is named.
SHARED = ("/currencies/{id}", "/products/{id}", "/v1/proofs/{closing}")
# Fields of bodies and queries that name what is a customer's own.
OWNED_FIELDS = {"account_id", "from", "oco_order_id", "order_id", "profile_id", "to"}
# Names that a customer chooses: two customers with the same one never meet.
CHOSEN_FIELDS = {"client_amend_id", "client_oid", "client_report_id", "client_transfer_id"}
# Neither: what everybody may name, and ids that the bank and Stripe sign.
SHARED_FIELDS = {"bank_reference", "event_id", "id", "payment_method_id", "product_id", "transfer_id"}
# Where such a name means something else: sequences and times, and a receiver, who is another customer.
OTHERWISE = {
    ("GET /products/{id}/events", "from"),
    ("GET /products/{id}/events", "to"),
    ("GET /udf/history", "from"),
    ("GET /udf/history", "to"),
    ("POST /v1/transfers", "to"),
}


def fields() -> Iterator[tuple[str, str]]:
    """Every field of every body and query, however deep, with its route."""
    for method, path, operation in operations():
        route = f"{method} {path}"
        for parameter in map(resolved, operation.get("parameters", ())):
            if parameter["in"] == "query":
                yield route, parameter["name"]
        for content in operation.get("requestBody", {}).get("content", {}).values():
            yield from ((route, name) for name in _properties(content["schema"]))


def resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference of the document stands for."""
    while "$ref" in node:
        _, _, kind, name = node["$ref"].split("/")
        node = api_document()["components"][kind][name]
    return node


def _properties(schema: Mapping[str, Any]) -> Iterator[str]:
    schema = resolved(schema)
    for part in schema.get("allOf", ()):
        yield from _properties(part)
    if "items" in schema:
        yield from _properties(schema["items"])
    for name, below in schema.get("properties", {}).items():
        yield name
        yield from _properties(below)


def owned_fields() -> set[tuple[str, str]]:
    """Each route with each of its fields that names what is a customer's own, or what a customer chose."""
    return {(route, name) for route, name in fields() if name in OWNED_FIELDS | CHOSEN_FIELDS} - OTHERWISE


def test_every_id_in_a_path_is_of_an_owner_or_everybody_s() -> None:
    with_ids = {path for _, path, _ in operations() if "{" in path}
    for path in with_ids:
        assert sum(path == stem or path.startswith(f"{stem}/") for stem in OWNED + SHARED) == 1, f"say whose: {path}"
    for stem in OWNED + SHARED:
        assert any(path == stem or path.startswith(f"{stem}/") for path in with_ids), f"no route has {stem}"


@pytest.mark.parametrize(("route", "name"), sorted(set(fields())))
def test_every_field_that_looks_like_an_id_is_of_somebody(route: str, name: str) -> None:
    looks_like_an_id = name.endswith("_id") or name in {"id", "from", "to", "client_oid"}
    known = OWNED_FIELDS | CHOSEN_FIELDS | SHARED_FIELDS
    assert not looks_like_an_id or name in known, f"{route}: say whose {name} is"
