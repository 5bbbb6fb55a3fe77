"""Budgets in DynamoDB: one item for each, taken from by one conditional write."""

from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.attributes import UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import UpdateError
from pynamodb.models import Model

from exchange.aws.dynamodb import UnitsAttribute, error_code, reading
from exchange.kernel.errors import UnavailableError
from exchange.usage.limiter import Reading
from exchange.usage.model import SECOND_NS, Budget

KEPT_SECONDS = 3_600
_REFUSED = "ConditionalCheckFailedException"
_KEY = "key:"


class UsageItem(Model):
    """A budget, or when a key was last used, which never expires. Beside what is named here a budget has an attribute
    for each of its buckets: when that is full again."""

    class Meta:
        table_name = "usage"

    owner = UnicodeAttribute(hash_key=True)
    expires_at = UnitsAttribute(null=True)
    used_at_ns = UnitsAttribute(null=True)


class UsageStore:
    """Budgets that all functions share."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note_use(self, key_id: str, now_ns: int, *, unless_after_ns: int) -> None:
        """Write when a key was used, unless that is known well enough. Raises UnavailableError."""
        item = UsageItem(_key_owner(key_id))
        known = UsageItem.used_at_ns.does_not_exist() | (UsageItem.used_at_ns <= unless_after_ns)
        try:
            item.update(actions=[UsageItem.used_at_ns.set(now_ns)], condition=known)
        except UpdateError as error:
            if error_code(error) != _REFUSED:
                raise UnavailableError(f"DynamoDB: {error.msg}") from error

    def last_uses(self, key_ids: Iterable[str]) -> dict[str, int]:
        """When each of these keys was last used, to the hour; keys that never were are absent."""
        with reading():
            found = list(UsageItem.batch_get([_key_owner(key_id) for key_id in key_ids]))
        return {item.owner.removeprefix(_KEY): item.used_at_ns for item in found if item.used_at_ns is not None}

    def take(self, budget: Budget, amount: int, *, now_ns: int, idle: frozenset[str]) -> Reading:
        """Take from every bucket or from none. Raises UnavailableError."""
        # PynamoDB's models know no attributes by the name of a key, nor what a refused write found.
        client: Any = self._connection.client
        try:
            answer = client.update_item(
                TableName=UsageItem.Meta.table_name,
                Key={"owner": {"S": budget.owner}},
                ReturnValues="UPDATED_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **_expressions(budget, amount, now_ns, idle),
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != _REFUSED:
                raise UnavailableError(f"DynamoDB: {error}") from error
            # botocore's type of an error's response does not name what a refused write brings.
            refused: Mapping[str, Any] = {**error.response}
            return Reading(written=False, full_at_ns=_moments(budget, refused.get("Item") or {}))
        except BotoCoreError as error:
            raise UnavailableError(f"DynamoDB: {type(error).__name__}") from error
        return Reading(written=True, full_at_ns=_moments(budget, answer["Attributes"]))


def _key_owner(key_id: str) -> str:
    return f"{_KEY}{key_id}"


def _expressions(budget: Budget, amount: int, now_ns: int, idle: frozenset[str]) -> dict[str, Any]:
    sets, conditions = ["expires_at = :expires_at"], []
    names: dict[str, str] = {}
    values = {":expires_at": now_ns // SECOND_NS + KEPT_SECONDS, ":now": now_ns}
    for number, part in enumerate(budget.parts):
        name, cost_ns = f"#part{number}", amount * part.policy.interval_ns
        names[name] = part.name
        if part.name in idle:
            sets.append(f"{name} = :full{number}")
            values[f":full{number}"] = now_ns + cost_ns
            conditions.append(f"(attribute_not_exists({name}) OR {name} <= :now)")
        else:
            sets.append(f"{name} = {name} + :cost{number}")
            values[f":cost{number}"] = cost_ns
            values[f":latest{number}"] = now_ns + part.policy.burst * part.policy.interval_ns - cost_ns
            conditions.append(f"{name} > :now AND {name} <= :latest{number}")
    return {
        "UpdateExpression": f"SET {', '.join(sets)}",
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": {name: {"N": str(value)} for name, value in values.items()},
    }


def _moments(budget: Budget, item: Mapping[str, Any]) -> dict[str, int]:
    return {part.name: int(item[part.name]["N"]) for part in budget.parts if part.name in item}
