"""DynamoDB: conditional writes and transactions over items, with what the documentation says of their failures.

Modelled: at most 100 items a transaction and no item twice; reasons of a cancelled transaction in the items' order; a
conflict with another transaction under way, for plain writes too; request tokens that are remembered for ten minutes;
indexes that lag behind and have the keys only. Not modelled: capacity, sizes, streams.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from botocore.exceptions import ClientError
from pynamodb.connection import Connection
from pynamodb.models import Model

from tests.contract.cloud_definition import nested_template
from tests.fakes.cloud import expressions
from tests.fakes.cloud.carrier import AtOnce, Carrier, refusal

TRANSACTION_ITEMS_MAX: Final = 100
TOKEN_SECONDS: Final = 600.0
COMMITS_KEPT: Final = 8
KEY_VALUE_NAMES: Final = ("S", "N", "B")

Wire = dict[str, Any]
Key = tuple[str, ...]
Place = tuple[str, Key]


@cache
def schemas() -> dict[str, tuple[tuple[str, ...], dict[str, tuple[str, ...]]]]:
    """Each table of infra/data.yaml: its key, and the keys of its indexes."""
    found = {}
    for resource in nested_template("data")["Resources"].values():
        if resource["Type"] == "AWS::DynamoDB::Table":
            properties = resource["Properties"]
            indexes = properties.get("GlobalSecondaryIndexes", [])
            assert all(index["Projection"] == {"ProjectionType": "KEYS_ONLY"} for index in indexes), properties
            found[properties["TableName"]["Fn::Sub"].removeprefix("${Exchange}-")] = (
                _key_names(properties["KeySchema"]),
                {index["IndexName"]: _key_names(index["KeySchema"]) for index in indexes},
            )
    return found


def _key_names(schema: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(part["AttributeName"] for part in sorted(schema, key=lambda part: part["KeyType"]))


class Table:
    """One table. `changed` says when an item was last written and what it was before: what a lagging index shows."""

    def __init__(self, name: str, keys: tuple[str, ...], indexes: dict[str, tuple[str, ...]]) -> None:
        self.name = name
        self.keys = keys
        self.indexes = indexes
        self.items: dict[Key, Wire] = {}
        self.changed: dict[Key, tuple[float, Wire | None]] = {}

    def key_of(self, item: Mapping[str, Wire]) -> Key:
        """Where an item lies."""
        return tuple(next(iter(item[name].values())) for name in self.keys)


class DynamoDb:
    """The service, and the client that PynamoDB holds: `_make_api_call` is all that it asks of one."""

    _request_signer = None

    def __init__(self, carrier: Carrier | None = None, *, index_lag: Callable[[], float] = lambda: 0.0) -> None:
        """`index_lag` says, for each query of an index, how many seconds behind it is."""
        self.carrier = carrier or AtOnce()
        self.tables = {name: Table(name, keys, indexes) for name, (keys, indexes) in schemas().items()}
        self._index_lag = index_lag
        self.conflicts: Callable[[], bool] = lambda: (
            False
        )  # whether somebody else's transaction holds an item of this one
        self.plain_conflicts: Callable[[], bool] = lambda: False  # the same, of a plain write
        self._locked: dict[Place, int] = {}
        self._tokens: dict[str, tuple[float, Any]] = {}
        self._transactions = 0
        self.last_commits: deque[dict[Place, Wire | None]] = deque(maxlen=COMMITS_KEPT)  # what each wrote over
        self.handlers: dict[str, Callable[[Wire], Wire]] = {
            "GetItem": self._get,
            "BatchGetItem": self._batch_get,
            "Query": self._query,
            "Scan": self._scan,
            "PutItem": lambda request: self._write("PutItem", "Put", request),
            "UpdateItem": lambda request: self._write("UpdateItem", "Update", request),
            "DeleteItem": lambda request: self._write("DeleteItem", "Delete", request),
        }

    def _make_api_call(self, operation: str, request: Wire) -> Wire:
        """What botocore's client does with any operation."""
        if operation == "TransactWriteItems":
            return self._transact(request)
        handler = self.handlers[operation]
        answer: Wire = self.carrier.carry("dynamodb", operation, lambda: handler(request))
        return answer

    # Reads

    def _get(self, request: Wire) -> Wire:
        table = self.tables[request["TableName"]]
        item = table.items.get(table.key_of(request["Key"]))
        return {} if item is None else {"Item": dict(item)}

    def _batch_get(self, request: Wire) -> Wire:
        responses = {}
        for name, asked in request["RequestItems"].items():
            table = self.tables[name]
            found = (table.items.get(table.key_of(key)) for key in asked["Keys"])
            responses[name] = [dict(item) for item in found if item is not None]
        return {"Responses": responses, "UnprocessedKeys": {}}

    def _query(self, request: Wire) -> Wire:
        table = self.tables[request["TableName"]]
        index = request.get("IndexName")
        keys = table.indexes[index] if index else table.keys
        names, values = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"]
        matches = expressions.condition(request["KeyConditionExpression"])
        rows = self._lagging(table) if index else table.items.values()
        found = [item for item in rows if all(key in item for key in keys) and matches(item, names, values)]
        found.sort(
            key=lambda item: expressions.plain(item[keys[-1]]), reverse=not request.get("ScanIndexForward", True)
        )
        return _page(table, found, request)

    def _scan(self, request: Wire) -> Wire:
        table = self.tables[request["TableName"]]
        found = list(table.items.values())
        if "FilterExpression" in request:
            matches = expressions.condition(request["FilterExpression"])
            names, values = request["ExpressionAttributeNames"], request.get("ExpressionAttributeValues", {})
            found = [item for item in found if matches(item, names, values)]
        return _page(table, found, {})

    def _lagging(self, table: Table) -> Iterator[Wire]:
        """A table as an index sees it: what was written lately may not have arrived."""
        since = self.carrier.now_seconds() - self._index_lag()
        for key, item in table.items.items():
            at, before = table.changed.get(key, (0.0, None))
            seen = item if at <= since else before
            if seen is not None:
                yield seen

    # Writes

    def _write(self, operation: str, kind: str, request: Wire) -> Wire:
        place = self._place(kind, request)
        if self._locked.get(place) or self.plain_conflicts():
            raise refusal("TransactionConflictException", operation)
        if not self._holds(place, request):
            raise refusal("ConditionalCheckFailedException", operation, "The conditional request failed")
        after = self._apply(kind, place, request)
        return {"Attributes": dict(after)} if request.get("ReturnValues") == "ALL_NEW" and after else {}

    def _transact(self, request: Wire) -> Wire:
        self._transactions += 1
        number = self._transactions
        token = request.get("ClientRequestToken") or f"call-{number}"
        writes = [next(iter(item.items())) for item in request["TransactItems"]]
        places = [self._place(kind, asked) for kind, asked in writes]
        if len(writes) > TRANSACTION_ITEMS_MAX:
            raise refusal("ValidationException", "TransactWriteItems", "at most 100 items a transaction")
        if len(set(places)) != len(places):
            raise refusal("ValidationException", "TransactWriteItems", "cannot include multiple operations on one item")
        locks: list[Place] = []

        def lock() -> None:
            """The transaction begins: for a moment nobody else may write its items."""
            is_free = not any(self._locked.get(place) for place in places) and not self.conflicts()
            if self._remembered(token) is None and is_free:
                locks.extend(places)
                for place in places:
                    self._locked[place] = self._locked.get(place, 0) + 1

        def effect() -> Wire:
            try:
                return self._commit(token, request["TransactItems"], writes, places, own=bool(locks))
            finally:
                for place in locks:
                    self._locked[place] -= 1
                locks.clear()

        answer: Wire = self.carrier.carry("dynamodb", "TransactWriteItems", effect, lock=lock)
        return answer

    def _commit(
        self,
        token: str,
        whole: Sequence[Wire],
        writes: Sequence[tuple[str, Wire]],
        places: Sequence[Place],
        *,
        own: bool,
    ) -> Wire:
        known = self._remembered(token)
        if known is not None:
            if known != whole:
                raise refusal("IdempotentParameterMismatchException", "TransactWriteItems")
            return {}
        if own:
            reasons = [
                "None" if self._holds(place, asked) else "ConditionalCheckFailed"
                for (_, asked), place in zip(writes, places, strict=True)
            ]
        else:
            reasons = ["TransactionConflict" if self._locked.get(place) else "None" for place in places]
            if not any(reason != "None" for reason in reasons):
                reasons[-1] = (
                    "TransactionConflict"  # whoever held it is gone by now; the transaction is lost all the same
                )
        if any(reason != "None" for reason in reasons):
            raise canceled(reasons)
        written = [place for (kind, _), place in zip(writes, places, strict=True) if kind != "ConditionCheck"]
        self.last_commits.append({(name, key): self.tables[name].items.get(key) for name, key in written})
        for (kind, asked), place in zip(writes, places, strict=True):
            if kind != "ConditionCheck":
                self._apply(kind, place, asked)
        self._tokens[token] = (self.carrier.now_seconds(), whole)
        return {}

    def _remembered(self, token: str) -> Any:
        at, whole = self._tokens.get(token, (0.0, None))
        return whole if self.carrier.now_seconds() - at < TOKEN_SECONDS else None

    def _place(self, kind: str, asked: Wire) -> Place:
        table = self.tables[asked["TableName"]]
        return table.name, table.key_of(asked["Item"] if kind == "Put" or "Item" in asked else asked["Key"])

    def _holds(self, place: Place, asked: Wire) -> bool:
        text = asked.get("ConditionExpression")
        if not text:
            return True
        item = self.tables[place[0]].items.get(place[1], {})
        return expressions.condition(text)(
            item, asked["ExpressionAttributeNames"], asked.get("ExpressionAttributeValues", {})
        )

    def _apply(self, kind: str, place: Place, asked: Wire) -> Wire | None:
        table, key = self.tables[place[0]], place[1]
        before = table.items.get(key)
        table.changed[key] = (self.carrier.now_seconds(), before)
        if kind == "Delete":
            table.items.pop(key, None)
            return None
        if kind == "Put":
            after = dict(asked["Item"])
        else:
            after = dict(before) if before is not None else dict(asked["Key"])
            expressions.update(asked["UpdateExpression"])(
                after, asked["ExpressionAttributeNames"], asked.get("ExpressionAttributeValues", {})
            )
        table.items[key] = after
        return after

    # Backups

    def restore(self, saved: Mapping[str, Mapping[Key, Wire]]) -> None:
        """Put tables back as they were."""
        for name, items in saved.items():
            self.tables[name].items = dict(items)

    def tear(self, places: Iterable[Place], before: Mapping[Place, Wire | None]) -> None:
        """Restore tables to points in time that differ: a transaction's items at these places are not written yet."""
        for name, key in places:
            item = before[name, key]
            if item is None:
                del self.tables[name].items[key]
            else:
                self.tables[name].items[key] = item


def canceled(reasons: Sequence[str]) -> ClientError:
    """A cancelled transaction: the reason of each item, in the items' order."""
    return refusal(
        "TransactionCanceledException",
        "TransactWriteItems",
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{', '.join(reasons)}]",
        CancellationReasons=[{"Code": reason} for reason in reasons],
    )


def _page(table: Table, found: Sequence[Wire], request: Wire) -> Wire:
    start = request.get("ExclusiveStartKey")
    if start is not None:
        keys = [table.key_of(item) for item in found]
        begin = keys.index(table.key_of(start)) + 1 if table.key_of(start) in keys else 0
        found = found[begin:]
    limit = request.get("Limit") or len(found)
    index = request.get("IndexName")
    names = (*table.keys, *table.indexes[index]) if index else table.keys
    rows = found[:limit]
    items = [{name: item[name] for name in names} if index else dict(item) for item in rows]
    answer: Wire = {"Items": items, "Count": len(items), "ScannedCount": len(items)}
    if len(found) > limit:
        answer["LastEvaluatedKey"] = {name: rows[-1][name] for name in names}
    return answer


@contextmanager
def served(models: Sequence[tuple[type[Model], str]], service: DynamoDb) -> Iterator[Connection]:
    """Let PynamoDB's models, each a table of the service, reach it; yields a connection for transactions."""
    before = [(model, model.Meta.table_name, model._connection) for model, _ in models]
    client: Any = service
    for model, table_name in models:
        meta: Any = model.Meta
        meta.table_name, meta.region = table_name, "us-east-1"
        model._connection = None
        model._get_connection().connection._client = client
    connection = Connection(region="us-east-1")
    connection._client = client
    try:
        yield connection
    finally:
        for model, table_name, old in before:
            model.Meta.table_name = table_name
            model._connection = old
