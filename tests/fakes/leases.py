"""Leases in memory, with DynamoDB's conditions."""

from dataclasses import dataclass, field, replace

from matcher.lease import LeaseLostError, LeaseRecord, MemberRecord, Pointer, Readings
from tests.fakes.bombs import Bomb, Weather


@dataclass
class FakeLeaseTable:
    """The table of leases."""

    records: dict[str, LeaseRecord] = field(default_factory=dict)
    members: dict[str, MemberRecord] = field(default_factory=dict)
    weather: Weather = field(default_factory=Weather)
    bomb: Bomb = field(default_factory=Bomb)

    def read_all(self) -> Readings:
        """Every lease and member."""
        self.weather.before("leases")
        return Readings(dict(self.records), dict(self.members))

    def attend(self, owner: str, *, ttl_seconds: float) -> None:
        """Say that a process is there."""
        version = self.members[owner].version + 1 if owner in self.members else 1
        self.members[owner] = MemberRecord(owner, version, ttl_seconds)

    def leave(self, owner: str) -> None:
        """Take a process off the list."""
        self.members.pop(owner, None)

    def take(
        self, shard_id: str, *, owner: str, ttl_seconds: float, seen: LeaseRecord | None, above: int = 0
    ) -> LeaseRecord | None:
        """Take it exactly as seen."""
        kind = self.weather.before("leases")
        current = self.records.get(shard_id)
        if current is not None and seen is not None:
            if (current.owner, current.epoch, current.version) != (seen.owner, seen.epoch, seen.version):
                return None
            record = replace(
                current,
                owner=owner,
                epoch=max(seen.epoch, above) + 1,
                version=seen.version + 1,
                ttl_seconds=ttl_seconds,
            )
        elif current is None and seen is None:
            record = LeaseRecord(shard_id, owner, above + 1, 1, ttl_seconds)
        else:
            return None
        self.records[shard_id] = record
        self.weather.after("leases", kind)
        return record

    def renew(self, shard_id: str, *, owner: str, epoch: int, published: str) -> None:
        """Change the version, and say how far all is published."""
        kind = self.weather.before("leases")
        record = self._held(shard_id, owner, epoch)
        self.records[shard_id] = replace(record, version=record.version + 1, published=published or record.published)
        self.weather.after("leases", kind)

    def point(self, shard_id: str, *, owner: str, epoch: int, pointer: Pointer, finished: bool) -> None:
        """Replace the pointer."""
        self.bomb.pass_step("before pointer")
        kind = self.weather.before("leases")
        record = self._held(shard_id, owner, epoch)
        self.records[shard_id] = replace(record, pointer=pointer, finished=finished)
        self.bomb.pass_step("after pointer")
        self.weather.after("leases", kind)

    def release(self, shard_id: str, *, owner: str, epoch: int) -> None:
        """Leave it to whoever comes next."""
        record = self._held(shard_id, owner, epoch)
        self.records[shard_id] = replace(record, owner="", version=record.version + 1)

    def reopen(self, shard_id: str) -> None:
        """Have it read to its end again."""
        self.records[shard_id] = replace(self.records[shard_id], finished=False)

    def _held(self, shard_id: str, owner: str, epoch: int) -> LeaseRecord:
        record = self.records.get(shard_id)
        if record is None or (record.owner, record.epoch) != (owner, epoch):
            raise LeaseLostError(shard_id)
        return record
