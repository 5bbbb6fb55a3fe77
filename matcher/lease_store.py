"""Leases in DynamoDB: one item a shard, every write conditional on who holds it and in which epoch."""

from exchange.aws.dynamodb import OftenRead, UnitsAttribute, error_code, outage
from pynamodb.attributes import BooleanAttribute, UnicodeAttribute
from pynamodb.exceptions import PynamoDBException
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model

from matcher.lease import LeaseLostError, LeaseRecord, MemberRecord, Pointer, Readings

SHARD_PREFIX = "shard/"
MEMBER_PREFIX = "member/"
_SEPARATOR = "\n"


class LeaseItem(OftenRead, Model):
    """`shard` is "shard/<shard id>" or "member/<owner>"; other prefixes of this table belong to `listings`."""

    class Meta:
        table_name = "leases"

    shard = UnicodeAttribute(hash_key=True)
    owner = UnicodeAttribute(default="")
    epoch = UnitsAttribute(default=0)
    version = UnitsAttribute(default=0)
    ttl_milliseconds = UnitsAttribute(default=0)
    finished = BooleanAttribute(default=False)
    published = UnicodeAttribute(null=True)
    position = UnicodeAttribute(null=True)
    first_record = UnicodeAttribute(null=True)
    snapshots = UnicodeAttribute(null=True)


class LeaseStore:
    """The table of leases."""

    def read_all(self) -> Readings:
        """Every lease and member, read consistently."""
        try:
            items = list(LeaseItem.scan(consistent_read=True))
        except PynamoDBException as error:
            raise outage(error) from error
        leases = [_record(item) for item in items if item.shard.startswith(SHARD_PREFIX)]
        members = [_member(item) for item in items if item.shard.startswith(MEMBER_PREFIX)]
        return Readings({lease.shard_id: lease for lease in leases}, {member.owner: member for member in members})

    def attend(self, owner: str, *, ttl_seconds: float) -> None:
        """Say that a process is there."""
        milliseconds = LeaseItem.ttl_milliseconds.set(round(ttl_seconds * 1000))
        _update(LeaseItem(MEMBER_PREFIX + owner), [LeaseItem.version.add(1), milliseconds])

    def leave(self, owner: str) -> None:
        """Take a process off the list."""
        try:
            LeaseItem(MEMBER_PREFIX + owner).delete()
        except PynamoDBException as error:
            raise outage(error) from error

    def take(
        self, shard_id: str, *, owner: str, ttl_seconds: float, seen: LeaseRecord | None, above: int = 0
    ) -> LeaseRecord | None:
        """Take it exactly as seen, with the next epoch; None when it has changed since."""
        item = LeaseItem(SHARD_PREFIX + shard_id)
        condition = (
            LeaseItem.shard.does_not_exist()
            if seen is None
            else (LeaseItem.owner == seen.owner) & (LeaseItem.epoch == seen.epoch) & (LeaseItem.version == seen.version)
        )
        actions: list[Action] = [
            LeaseItem.owner.set(owner),
            LeaseItem.epoch.set(max(seen.epoch if seen else 0, above) + 1),
            LeaseItem.version.set(seen.version + 1 if seen else 1),
            LeaseItem.ttl_milliseconds.set(round(ttl_seconds * 1000)),
        ]
        if seen is None:
            actions.append(LeaseItem.finished.set(False))
        if not _update(item, actions, condition):
            return None
        return _record(item)

    def renew(self, shard_id: str, *, owner: str, epoch: int, published: str) -> None:
        """Change the version. An answer that got lost does no harm: the condition is who, not which version."""
        actions: list[Action] = [LeaseItem.version.add(1)]
        if published:
            actions.append(LeaseItem.published.set(published))
        self._as_holder(shard_id, owner, epoch, actions)

    def point(self, shard_id: str, *, owner: str, epoch: int, pointer: Pointer, finished: bool) -> None:
        """Replace the pointer."""
        actions: list[Action] = [
            LeaseItem.position.set(pointer.position),
            LeaseItem.first_record.set(pointer.first_record),
            LeaseItem.snapshots.set(_SEPARATOR.join(pointer.snapshots)),
            LeaseItem.finished.set(finished),
        ]
        self._as_holder(shard_id, owner, epoch, actions)

    def release(self, shard_id: str, *, owner: str, epoch: int) -> None:
        """Leave it to whoever comes next."""
        self._as_holder(shard_id, owner, epoch, [LeaseItem.owner.set(""), LeaseItem.version.add(1)])

    def reopen(self, shard_id: str) -> None:
        """Have a finished shard read to its end again."""
        _update(LeaseItem(SHARD_PREFIX + shard_id), [LeaseItem.finished.set(False)], LeaseItem.shard.exists())

    def _as_holder(self, shard_id: str, owner: str, epoch: int, actions: list[Action]) -> None:
        condition = (LeaseItem.owner == owner) & (LeaseItem.epoch == epoch)
        if not _update(LeaseItem(SHARD_PREFIX + shard_id), actions, condition):
            raise LeaseLostError(f"{shard_id}: epoch {epoch} is over")


def _update(item: LeaseItem, actions: list[Action], condition: Condition | None = None) -> bool:
    try:
        item.update(actions=actions, condition=condition)
    except PynamoDBException as error:
        if error_code(error) == "ConditionalCheckFailedException":
            return False
        raise outage(error) from error
    return True


def _member(item: LeaseItem) -> MemberRecord:
    return MemberRecord(item.shard.removeprefix(MEMBER_PREFIX), item.version, item.ttl_milliseconds / 1000)


def _record(item: LeaseItem) -> LeaseRecord:
    pointer = None
    if item.snapshots:
        pointer = Pointer(item.position or "", item.first_record or "", tuple(item.snapshots.split(_SEPARATOR)))
    return LeaseRecord(
        shard_id=item.shard.removeprefix(SHARD_PREFIX),
        owner=item.owner,
        epoch=item.epoch,
        version=item.version,
        ttl_seconds=item.ttl_milliseconds / 1000,
        pointer=pointer,
        finished=item.finished,
        published=item.published or "",
    )
