"""WebSocket connections in DynamoDB, and the way out to them through API Gateway's management API.

connection_id                                 channel     what
{id}                                          -           a connection and the names of its subscriptions
{id}#{product}#{channel}#{generation}         {product}   a subscription; by_channel finds a product's with one query
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.attributes import UnicodeAttribute, UnicodeSetAttribute
from pynamodb.exceptions import DoesNotExist, PynamoDBException
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from exchange.aws.dynamodb import UnitsAttribute, bind, outage
from exchange.feeds.model import Pushed, Subscription

CONNECTION_SECONDS_MAX: Final = 2 * 60 * 60  # API Gateway ends a connection after two hours.
WORKERS_MAX: Final = 16
_SECOND_NS: Final = 1_000_000_000


class ByChannel(GlobalSecondaryIndex[Any]):
    """Subscriptions by product."""

    class Meta:
        index_name = "by_channel"
        projection = KeysOnlyProjection()

    channel = UnicodeAttribute(hash_key=True)
    connection_id = UnicodeAttribute(range_key=True)


class ConnectionItem(Model):
    """A connection, or one of its subscriptions."""

    class Meta:
        table_name = "connections"

    connection_id = UnicodeAttribute(hash_key=True)
    channel = UnicodeAttribute(null=True)
    connected_at_ns = UnitsAttribute(null=True)
    expires_at = UnitsAttribute(null=True)
    subscriptions = UnicodeSetAttribute(null=True)
    by_channel = ByChannel()


def bind_connections(connections_table: str) -> None:
    """Tell the items which table they are in here."""
    bind(ConnectionItem, connections_table)


class ConnectionStore:
    """Connections and their subscriptions, whose generation is a time in nanoseconds. Raises OutageError."""

    def open(self, connection_id: str, now_ns: int) -> None:
        """Remember a connection."""
        item = ConnectionItem(connection_id, connected_at_ns=now_ns, expires_at=_expiry(now_ns))
        try:
            item.save()
        except PynamoDBException as error:
            raise outage(error) from error

    def close(self, connection_id: str) -> None:
        """Forget a connection and all its subscriptions."""
        try:
            for name in self._names(connection_id):
                ConnectionItem(f"{connection_id}#{name}").delete()
            ConnectionItem(connection_id).delete()
        except PynamoDBException as error:
            raise outage(error) from error

    def subscriptions(self, connection_id: str) -> list[Subscription]:
        """What a connection listens to, read consistently."""
        try:
            return [_subscription(f"{connection_id}#{name}") for name in self._names(connection_id)]
        except PynamoDBException as error:
            raise outage(error) from error

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Remember subscriptions of one connection: first the names, so that closing it finds them all."""
        if not subscriptions:
            return
        try:
            connection = ConnectionItem(subscriptions[0].connection_id)
            connection.update(actions=[ConnectionItem.subscriptions.add({_name(one) for one in subscriptions})])
            with ConnectionItem.batch_write() as batch:
                for one in subscriptions:
                    batch.save(_subscription_item(one))
        except PynamoDBException as error:
            raise outage(error) from error

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Forget subscriptions of one connection."""
        if not subscriptions:
            return
        try:
            with ConnectionItem.batch_write() as batch:
                for one in subscriptions:
                    batch.delete(ConnectionItem(f"{one.connection_id}#{_name(one)}"))
            connection = ConnectionItem(subscriptions[0].connection_id)
            connection.update(actions=[ConnectionItem.subscriptions.delete({_name(one) for one in subscriptions})])
        except PynamoDBException as error:
            raise outage(error) from error

    def listeners(self, product_id: str) -> list[Subscription]:
        """Every subscription to a product."""
        try:
            return [_subscription(item.connection_id) for item in ConnectionItem.by_channel.query(product_id)]
        except PynamoDBException as error:
            raise outage(error) from error

    @staticmethod
    def _names(connection_id: str) -> list[str]:
        try:
            item = ConnectionItem.get(connection_id, consistent_read=True)
        except DoesNotExist:
            return []
        return sorted(item.subscriptions or ())


class ManagementApi:
    """Posts to connections, many at once and each connection's messages in order."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def at(cls, endpoint: str) -> "ManagementApi":
        """The management API of the WebSocket API with this endpoint."""
        config = Config(
            connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1}, max_pool_connections=WORKERS_MAX
        )
        return cls(boto3.client("apigatewaymanagementapi", endpoint_url=endpoint, config=config))

    def push(self, messages: Mapping[str, Sequence[str]]) -> Pushed:
        """Send each connection its messages, in order; the first that fails ends a connection's."""
        if len(messages) == 1:
            outcomes = [self._push_one(*next(iter(messages.items())))]
        else:
            with ThreadPoolExecutor(WORKERS_MAX) as pool:
                outcomes = list(pool.map(self._push_one, messages.keys(), messages.values()))
        by_outcome = dict(zip(messages, outcomes, strict=True))
        return Pushed(
            gone=frozenset(name for name, outcome in by_outcome.items() if outcome == "gone"),
            failed=frozenset(name for name, outcome in by_outcome.items() if outcome == "failed"),
        )

    def _push_one(self, connection_id: str, texts: Sequence[str]) -> str:
        try:
            for text in texts:
                self._client.post_to_connection(ConnectionId=connection_id, Data=text.encode())
        except ClientError as error:
            return "gone" if error.response.get("Error", {}).get("Code") == "GoneException" else "failed"
        except BotoCoreError:
            return "failed"
        return "taken"


def _expiry(begun_at_ns: int) -> int:
    """When DynamoDB may forget an item whose connection ended unseen: seconds since 1970."""
    return begun_at_ns // _SECOND_NS + CONNECTION_SECONDS_MAX


def _subscription_item(subscription: Subscription) -> ConnectionItem:
    return ConnectionItem(
        f"{subscription.connection_id}#{_name(subscription)}",
        channel=subscription.product_id,
        expires_at=_expiry(int(subscription.generation)),
    )


def _name(subscription: Subscription) -> str:
    return f"{subscription.product_id}#{subscription.channel}#{subscription.generation}"


def _subscription(key: str) -> Subscription:
    connection_id, product_id, channel, generation = key.split("#")
    return Subscription(connection_id, product_id, channel, generation)
