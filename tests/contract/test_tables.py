"""Tables of the template and models of the code have the same names, keys and indexes."""

from typing import Any

from tests.contract.cloud_definition import functions, nested_template, resources


def _tables() -> dict[str, dict[str, Any]]:
    found = resources(nested_template("data"), "AWS::DynamoDB::Table")
    return {
        table["Properties"]["TableName"]["Fn::Sub"].removeprefix("${Exchange}-"): table["Properties"]
        for table in found.values()
    }


def _keys(properties: dict[str, Any], schema: list[dict[str, str]]) -> list[list[str]]:
    types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in properties["AttributeDefinitions"]}
    return [[key["AttributeName"], types[key["AttributeName"]], key["KeyType"]] for key in schema]


def test_every_model_is_a_table_with_its_keys(code: dict[str, Any]) -> None:
    tables = _tables()
    for model in code["models"]:
        table = tables[model["table"]]
        assert model["keys"] == _keys(table, table["KeySchema"]), model["name"]


def test_every_table_has_a_model(code: dict[str, Any]) -> None:
    assert {model["table"] for model in code["models"]} == set(_tables())


def test_indexes_are_the_models(code: dict[str, Any]) -> None:
    in_code: dict[str, dict[str, Any]] = {name: {} for name in _tables()}
    for model in code["models"]:
        in_code[model["table"]].update(model["indexes"])
    in_template = {
        name: {
            index["IndexName"]: {
                "keys": _keys(table, index["KeySchema"]),
                "projection": index["Projection"]["ProjectionType"],
            }
            for index in table.get("GlobalSecondaryIndexes", [])
        }
        for name, table in _tables().items()
    }
    assert in_code == in_template


def test_every_attribute_defined_is_a_key() -> None:
    # CloudFormation refuses an attribute definition that no key uses.
    for name, table in _tables().items():
        schemas = [table["KeySchema"], *(index["KeySchema"] for index in table.get("GlobalSecondaryIndexes", []))]
        used = {key["AttributeName"] for schema in schemas for key in schema}
        assert used == {attribute["AttributeName"] for attribute in table["AttributeDefinitions"]}, name


def test_a_functions_table_variables_are_tables() -> None:
    logical = {
        table["TableName"]["Fn::Sub"].removeprefix("${Exchange}-"): logical_id
        for logical_id, resource in resources(nested_template("data"), "AWS::DynamoDB::Table").items()
        for table in [resource["Properties"]]
    }
    for function in functions():
        for name, value in function.variables.items():
            if name.endswith("_TABLE"):
                expected = logical[name.removesuffix("_TABLE").lower()]
                assert value == {"Fn::GetAtt": ["Data", f"Outputs.{expected}"]}, f"{function.name}.{name}"


def test_what_expires_is_an_attribute(code: dict[str, Any]) -> None:
    attributes: dict[str, set[str]] = {}
    for model in code["models"]:
        attributes.setdefault(model["table"], set()).update(model["attributes"])
    for name, table in _tables().items():
        if "TimeToLiveSpecification" in table:
            assert table["TimeToLiveSpecification"]["AttributeName"] in attributes[name]
    # Nothing that is money expires.
    assert {name for name, table in _tables().items() if "TimeToLiveSpecification" in table} == {
        "connections",
        "market_data",
        "reports",
        "usage",
    }
