"""WebSocket connections in DynamoDB.

connection_id                                 channel        what
{id}                                          @address:{ip}  a connection and the names of its subscriptions
{id}#{product}#{channel}#{generation}[#...]   {topic}        a subscription; by_channel finds a topic's with one query
@pulse                                                       which run of the pulse goes on, and how long it means to

What follows a generation is the owner of a private subscription: account, user, key, end.
"""

from collections.abc import Sequence
from typing import Any, Final

from pynamodb.attributes import UnicodeAttribute, UnicodeSetAttribute
from pynamodb.exceptions import DoesNotExist, PynamoDBException, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from exchange.aws.dynamodb import UnitsAttribute, bind, error_code, outage
from exchange.feeds.model import PULSE_TOPIC, Connection, Owner, Pace, Subscription, address_topic

CONNECTION_SECONDS_MAX: Final = 2 * 60 * 60  # API Gateway ends a connection after two hours.
_SECOND_NS: Final = 1_000_000_000


class ByChannel(GlobalSecondaryIndex[Any]):
    """Subscriptions by topic, and connections by address."""

    class Meta:
        index_name = "by_channel"
        projection = KeysOnlyProjection()

    channel = UnicodeAttribute(hash_key=True)
    connection_id = UnicodeAttribute(range_key=True)


class ConnectionItem(Model):
    """A connection, one of its subscriptions, or the pulse."""

    class Meta:
        table_name = "connections"

    connection_id = UnicodeAttribute(hash_key=True)
    channel = UnicodeAttribute(null=True)
    connected_at_ns = UnitsAttribute(null=True)
    expires_at = UnitsAttribute(null=True)
    frames_until_ns = UnitsAttribute(null=True)
    source_address = UnicodeAttribute(null=True)
    subscriptions = UnicodeSetAttribute(null=True)
    run = UnicodeAttribute(null=True)
    by_channel = ByChannel()


def bind_connections(connections_table: str) -> None:
    """Tell the items which table they are in here."""
    bind(ConnectionItem, connections_table)


class ConnectionStore:
    """Connections and their subscriptions, whose generation is a time in nanoseconds. Raises OutageError."""

    def count_from(self, source_address: str, now_ns: int, limit: int) -> int:
        """How many connections an address has that may still live, counted up to `limit`.

        What ended unseen may stay for days behind its time, until DynamoDB gets to it. The index does not know of time,
        so where an address has as many as it may, they are looked at, and those that are over are forgotten here.
        """
        try:
            names = [
                one.connection_id for one in ConnectionItem.by_channel.query(address_topic(source_address), limit=limit)
            ]
            if len(names) < limit:
                return len(names)
            items = list(ConnectionItem.batch_get(names, consistent_read=True))
            over = [item for item in items if (item.expires_at or 0) <= _seconds(now_ns)]
            _forget(over)
            return len(items) - len(over)
        except PynamoDBException as error:
            raise outage(error) from error

    def open(self, connection_id: str, source_address: str, now_ns: int) -> None:
        """Remember a connection."""
        item = ConnectionItem(
            connection_id,
            channel=address_topic(source_address),
            connected_at_ns=now_ns,
            expires_at=_expiry(now_ns),
            source_address=source_address,
        )
        try:
            item.save()
        except PynamoDBException as error:
            raise outage(error) from error

    def close(self, connection_id: str) -> None:
        """Forget a connection and all its subscriptions."""
        try:
            item = _item(connection_id)
            _forget([item] if item else [])
        except PynamoDBException as error:
            raise outage(error) from error

    def find(self, connection_id: str) -> Connection | None:
        """A connection with all that it listens to, read consistently; None where it has ended."""
        try:
            item = _item(connection_id)
        except PynamoDBException as error:
            raise outage(error) from error
        if item is None:
            return None
        names = sorted(item.subscriptions or ())
        return Connection(
            connection_id,
            item.source_address or "",
            tuple(_subscription(f"{connection_id}#{name}") for name in names),
            item.frames_until_ns or 0,
        )

    def pace(self, connection: Connection, now_ns: int, pace: Pace) -> bool:
        """Count a frame that comes now, however many others come with it; False where it is one too many.

        API Gateway calls a function a frame, all at once, so a frame adds to what is there, and begins
        anew where nothing is due any more. What is due never falls: a frame that can't begin anew never could later,
        and where it can't add either, it truly is one too many.
        """
        due_ns = ConnectionItem.frames_until_ns
        if connection.frames_until_ns < now_ns:
            is_idle = due_ns.does_not_exist() | (due_ns < now_ns)
            if _update(connection.connection_id, due_ns.set(now_ns + pace.frame_ns), is_idle):
                return True
        return _update(
            connection.connection_id, due_ns.add(pace.frame_ns), due_ns.between(now_ns, now_ns + pace.lead_ns_max)
        )

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Remember subscriptions of one connection: first the names, so that closing it finds them all."""
        if not subscriptions:
            return
        try:
            ConnectionItem(subscriptions[0].connection_id).update(
                actions=[ConnectionItem.subscriptions.add({_name(one) for one in subscriptions})],
                condition=ConnectionItem.connected_at_ns.exists(),
            )
            with ConnectionItem.batch_write() as batch:
                for one in subscriptions:
                    batch.save(_subscription_item(one))
        except PynamoDBException as error:
            if error_code(error) == "ConditionalCheckFailedException":
                return  # It has ended meanwhile.
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

    def listeners(self, topic: str) -> list[Subscription]:
        """Every subscription to a topic."""
        try:
            return [_subscription(item.connection_id) for item in ConnectionItem.by_channel.query(topic)]
        except PynamoDBException as error:
            raise outage(error) from error

    def start_pulse(self, run: str, until_ns: int) -> None:
        """Make a run of the pulse the one that goes on; whichever went before sees it and ends."""
        try:
            ConnectionItem(PULSE_TOPIC, run=run, expires_at=_seconds(until_ns)).save()
        except PynamoDBException as error:
            raise outage(error) from error

    def stop_pulse(self, run: str) -> None:
        """Say that this run has ended, unless another has begun."""
        try:
            ConnectionItem(PULSE_TOPIC).delete(condition=ConnectionItem.run == run)
        except PynamoDBException as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise outage(error) from error

    def pulse(self) -> tuple[str, int]:
        """The run that goes on and until when, in nanoseconds; empty and 0 where none does."""
        try:
            item = _item(PULSE_TOPIC)
        except PynamoDBException as error:
            raise outage(error) from error
        return (item.run or "", (item.expires_at or 0) * _SECOND_NS) if item else ("", 0)


def _item(connection_id: str) -> ConnectionItem | None:
    try:
        return ConnectionItem.get(connection_id, consistent_read=True)
    except DoesNotExist:
        return None


def _forget(items: Sequence[ConnectionItem]) -> None:
    """Delete connections, each after all its subscriptions."""
    with ConnectionItem.batch_write() as batch:
        for item in items:
            for name in sorted(item.subscriptions or ()):
                batch.delete(ConnectionItem(f"{item.connection_id}#{name}"))
            batch.delete(ConnectionItem(item.connection_id))


def _update(connection_id: str, action: Action, condition: Condition) -> bool:
    """Change a connection that has not ended; False where the condition does not hold. Raises OutageError."""
    try:
        ConnectionItem(connection_id).update([action], condition & ConnectionItem.connected_at_ns.exists())
    except UpdateError as error:
        if error_code(error) == "ConditionalCheckFailedException":
            return False
        raise outage(error) from error
    return True


def _expiry(begun_at_ns: int) -> int:
    """When DynamoDB may forget an item whose connection ended unseen: seconds since 1970."""
    return _seconds(begun_at_ns) + CONNECTION_SECONDS_MAX


def _seconds(time_ns: int) -> int:
    return time_ns // _SECOND_NS


def _subscription_item(subscription: Subscription) -> ConnectionItem:
    return ConnectionItem(
        f"{subscription.connection_id}#{_name(subscription)}",
        channel=subscription.topic,
        expires_at=_expiry(int(subscription.generation)),
    )


def _name(subscription: Subscription) -> str:
    name = f"{subscription.product_id}#{subscription.channel}#{subscription.generation}"
    owner = subscription.owner
    return f"{name}#{owner.account_id}#{owner.user_id}#{owner.key_id}#{owner.ends_at_ns}" if owner else name


def _subscription(key: str) -> Subscription:
    connection_id, product_id, channel, generation, *owned = key.split("#")
    owner = Owner(int(owned[0]), owned[1], owned[2], int(owned[3])) if owned else None
    return Subscription(connection_id, product_id, channel, generation, owner)
