"""Single writes as DynamoDB takes them, made without PynamoDB's expression objects.

A part of settlement writes up to a hundred items, and making those objects took more time than all else together
(docs/decisions/023-settlement-capacity.md). What is made here is handed to PynamoDB's own connection.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

Value = int | str | bytes
Write = dict[str, Any]


class Is(StrEnum):
    """What a condition asks of an attribute."""

    EQUAL = "{name} = {value}"
    AT_LEAST = "{name} >= {value}"
    AT_MOST = "{name} <= {value}"
    THERE = "attribute_exists({name})"
    ABSENT = "attribute_not_exists({name})"


Condition = tuple[str, Is, int]  # of an attribute; the number is of no account where only its presence is asked


def attribute_value(value: Value) -> dict[str, Any]:
    """A value with its type. Whole numbers, text and bytes only."""
    if isinstance(value, str):
        return {"S": value}
    return {"B": value} if isinstance(value, bytes) else {"N": str(int(value))}


def item_of(values: Mapping[str, Value]) -> dict[str, Any]:
    """An item's attributes with their types."""
    return {name: attribute_value(value) for name, value in values.items()}


def update_write(
    table_name: str,
    key: Mapping[str, Value],
    *,
    sets: Mapping[str, Value | None] | None = None,
    adds: Mapping[str, int] | None = None,
    conditions: Sequence[Condition] = (),
) -> Write:
    """An update: `sets` puts a value, or takes the attribute away where it is None; `adds` adds to a number.

    At least one of both must be given. All conditions must hold.
    """
    values: dict[str, Any] = {}
    names: dict[str, str] = {}

    def named(name: str) -> str:
        mark = f"#{len(names)}"
        names[mark] = name
        return mark

    def valued(value: Value) -> str:
        mark = f":{len(values)}"
        values[mark] = attribute_value(value)
        return mark

    puts = [f"{named(name)} = {valued(value)}" for name, value in (sets or {}).items() if value is not None]
    drops = [named(name) for name, value in (sets or {}).items() if value is None]
    sums = [f"{named(name)} {valued(units)}" for name, units in (adds or {}).items()]
    clauses = ((word, parts) for word, parts in (("SET", puts), ("REMOVE", drops), ("ADD", sums)) if parts)
    write: Write = {
        "TableName": table_name,
        "Key": item_of(key),
        "UpdateExpression": " ".join(f"{word} {', '.join(parts)}" for word, parts in clauses),
    }
    asked = [
        form.format(name=named(name), value=valued(wanted) if "{value}" in form else "")
        for name, form, wanted in conditions
    ]
    if asked:
        write["ConditionExpression"] = " AND ".join(asked)
    if values:
        write["ExpressionAttributeValues"] = values
    return write | {"ExpressionAttributeNames": names}
