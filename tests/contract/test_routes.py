"""Routes of the code, operations of the API document and permissions of the template are the same."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import validate

from tests.contract.cloud_definition import API_DOCUMENTS, ROOT, api_document, functions, resources, root_template, walk

METHODS = {"get", "put", "post", "delete", "patch", "head", "options"}
MONEY = {
    "amount", "available", "balance", "base_increment", "base_max_size", "base_min_size", "executed_value", "fee",
    "fill_fees", "filled_size", "funds", "hold", "maker_fee_rate", "max_precision", "min_market_funds", "min_size",
    "price", "quote_increment", "reference_price", "remaining_size", "size", "specified_funds", "stop_price",
    "taker_fee_rate", "trail_amount", "volume", "volume_30day", "bid", "ask", "open", "high", "low", "last",
    "open_price", "open_size", "due", "maker_rebate_rate", "commission_share",
}  # fmt: skip


def operations(document: str = "openapi") -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in api_document(document)["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield method.upper(), path, operation


def operations_of(document: str, path: str) -> list[tuple[str, str, dict[str, Any]]]:
    return [found for found in operations(document) if found[1] == path]


each_document = pytest.mark.parametrize("document", API_DOCUMENTS)


def _function_of(operation: dict[str, Any]) -> str:
    uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
    found = re.fullmatch(
        r"arn:\$\{AWS::Partition\}:apigateway:\$\{AWS::Region\}:lambda:path/2015-03-31/functions/"
        r"\$\{(\w+)\.Arn\}/invocations",
        uri,
    )
    assert found, uri
    return found[1]


@each_document
def test_the_document_is_valid_openapi(document: str) -> None:
    validate(api_document(document))


@pytest.mark.parametrize(
    "function",
    [function for function in functions() if function.module.endswith(".api")],
    ids=lambda function: function.name,
)
def test_an_api_serves_exactly_its_operations(function: Any, code: dict[str, Any]) -> None:
    found = code["triggers"][function.module]
    assert "error" not in found, found.get("error")
    documented = {
        f"{method} {path}"
        for document in API_DOCUMENTS
        for method, path, operation in operations(document)
        if _function_of(operation) == function.logical_id
    }
    heads = {f"HEAD {route.removeprefix('GET ')}" for route in documented if route.startswith("GET ")}
    assert set(found["routes"]) == documented | heads


@each_document
def test_every_other_method_comes_to_the_function_of_the_path(document: str) -> None:
    # It answers HEAD for GET and 405 for the rest; without it API Gateway says that there is no such route.
    for path, item in api_document(document)["paths"].items():
        other = item["x-amazon-apigateway-any-method"]
        assert other["responses"] == {"default": {"$ref": "#/components/responses/Error"}}, path
        integrations = [
            operation["x-amazon-apigateway-integration"] for _, _, operation in operations_of(document, path)
        ]
        assert all(integration == other["x-amazon-apigateway-integration"] for integration in integrations), path


@each_document
def test_every_operation_is_integrated_as_a_proxy(document: str) -> None:
    known = {function.logical_id for function in functions()}
    for method, path, operation in operations(document):
        integration = operation["x-amazon-apigateway-integration"]
        assert integration["type"] == "aws_proxy", f"{method} {path}"
        assert integration["httpMethod"] == "POST", f"{method} {path}"  # How Lambda is invoked, whatever the method.
        assert _function_of(operation) in known


@each_document
def test_a_path_part_is_literal_or_one_whole_variable(document: str) -> None:
    for path in api_document(document)["paths"]:
        for part in path.strip("/").split("/"):
            assert re.fullmatch(r"[A-Za-z0-9._:-]+|\{[A-Za-z0-9._-]+\}", part), path


@each_document
def test_siblings_that_are_variables_have_one_name(document: str) -> None:
    # API Gateway refuses /orders/{id} beside /orders/{order_id}/fills.
    names: dict[str, set[str]] = {}
    for path in api_document(document)["paths"]:
        parts = path.strip("/").split("/")
        for position, part in enumerate(parts):
            if part.startswith("{"):
                parent = re.sub(r"\{[^}]+\}", "{}", "/".join(parts[:position]))
                names.setdefault(parent, set()).add(part)
    assert {parent: found for parent, found in names.items() if len(found) > 1} == {}


@each_document
def test_every_path_variable_is_declared(document: str) -> None:
    found = api_document(document)
    for path, item in found["paths"].items():
        declared = {
            found["components"]["parameters"][reference["$ref"].rsplit("/", 1)[1]]["name"]
            for reference in item.get("parameters", [])
        }
        assert declared == set(re.findall(r"\{(\w+)\}", path)), path


@each_document
def test_operation_ids_are_unique(document: str) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))


# Stripe adds fields to its events whenever it likes.
WRITTEN_BY_OTHERS = {"StripeEvent"}


@each_document
def test_request_bodies_refuse_unknown_fields(document: str) -> None:
    schemas = api_document(document)["components"]["schemas"]
    for method, path, operation in operations(document):
        if "requestBody" in operation:
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            name = reference.rsplit("/", 1)[1]
            if name not in WRITTEN_BY_OTHERS:
                assert schemas[name]["additionalProperties"] is False, f"{method} {path}"


# The second one is for the withdrawals' amount alone: some clients send a number, which is read as it was written.
MONEY_SCHEMAS = [
    {"$ref": "#/components/schemas/Decimal"},
    {"$ref": "#/components/schemas/DecimalOrNumber"},
]


@each_document
def test_money_is_text(document: str) -> None:
    for node in walk(api_document(document)["components"]["schemas"]):
        if isinstance(node, dict) and isinstance(node.get("properties"), dict):
            for name in MONEY & node["properties"].keys():
                schema = node["properties"][name]
                assert schema in MONEY_SCHEMAS, name


@each_document
def test_a_success_never_has_a_message(document: str) -> None:
    for name, schema in api_document(document)["components"]["schemas"].items():
        assert name == "Error" or "message" not in schema.get("properties", {}), name


@each_document
def test_every_operation_says_how_it_fails(document: str) -> None:
    for method, path, operation in operations(document):
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Error"}, f"{method} {path}"


@each_document
def test_gateway_responses_speak_our_error_shape(document: str) -> None:
    from exchange.kernel.errors import Code

    responses = api_document(document)["x-amazon-apigateway-gateway-responses"]
    codes = {}
    for kind, response in responses.items():
        template = response["responseTemplates"]["application/json"]
        shape = re.fullmatch(r'\{"message":(.+),"code":"(\w+)","request_id":"\$context\.requestId"\}', template)
        assert shape, kind
        assert Code(shape[2]), kind
        codes[kind] = (response.get("statusCode"), shape[2])
    assert codes["MISSING_AUTHENTICATION_TOKEN"] == (404, "ROUTE_NOT_FOUND")
    assert codes["THROTTLED"] == (429, "RATE_LIMITED")
    assert codes["INTEGRATION_TIMEOUT"] == (504, "OUTCOME_UNKNOWN")
    assert codes["UNAUTHORIZED"] == (401, "AUTH_INVALID")
    assert "gatewayresponse.header.Retry-After" in responses["THROTTLED"]["responseParameters"]


@each_document
def test_no_route_has_an_authorizer_of_api_gateway(document: str) -> None:
    # Refused authentication is 401 in our shape, and a signature covers the body: the function checks it.
    text = (ROOT / f"infra/api/{document}.yaml").read_text()
    assert "x-amazon-apigateway-auth" not in text


def test_the_api_may_invoke_each_of_its_functions_by_one_permission() -> None:
    permissions = resources(root_template(), "AWS::Lambda::Permission").values()
    granted = [permission["Properties"]["FunctionName"]["Ref"] for permission in permissions]
    assert len(granted) == len(set(granted))
    serving = {
        _function_of(operation): api
        for document, api in API_DOCUMENTS.items()
        for _, _, operation in operations(document)
    }
    websocket = {function.logical_id for function in functions() if function.module.endswith(".websocket")}
    assert set(granted) == serving.keys() | websocket
    for permission in permissions:
        api = serving.get(permission["Properties"]["FunctionName"]["Ref"], "WebSocketApi")
        assert f"${{{api}}}/" in permission["Properties"]["SourceArn"]["Fn::Sub"]
