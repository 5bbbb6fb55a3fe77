"""The real tables' keys and indexes, created where no cloud is."""

from typing import Any

import boto3
from exchange.ledger.model import Movement, Movements
from exchange.ledger.store import BalanceItem, movement_expression

from tests.contract.cloud_definition import nested_template

REGION = "us-east-1"


def create_tables(*names: str) -> None:
    """Create tables as infra/data.yaml defines them; each is called by its own short name.

    Call it inside moto's `mock_aws`.
    """
    client = boto3.client("dynamodb", region_name=REGION)
    for resource in nested_template("data")["Resources"].values():
        if resource["Type"] != "AWS::DynamoDB::Table":
            continue
        properties: dict[str, Any] = resource["Properties"]
        name = properties["TableName"]["Fn::Sub"].removeprefix("${Exchange}-")
        if name in names:
            kept = ("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes")
            client.create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                **{part: properties[part] for part in kept if part in properties},
            )


def put_sub_balance(account: str, place: str, **numbers: int) -> None:
    """Add to an account's sub-balance, out of nothing."""
    [((_, key), by_asset)] = Movements({(account, place): Movement(**numbers)}).by_item().items()
    actions, condition = movement_expression(account, key, by_asset)
    BalanceItem(account, key).update(actions=actions, condition=condition)
