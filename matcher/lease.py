"""Who may publish for a shard: a lease that is taken, renewed, and feared lost before it is.

A lease is an item that its holder changes all the time. Nobody compares clocks: who wants it must have watched the item
stand still for its whole time to live by the own monotonic clock, and takes it only if it still stands so, raising the
epoch. The holder counts from the moment it *asked* for the last renewal, so it stops before anyone else can begin.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol


class LeaseLostError(Exception):
    """Somebody else may be writing for this shard: stop at once, write nothing more."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """How far a shard's output is certainly published, and the snapshots of its state, newest first.

    `first_record` is the first record ever applied in the shard: a full replay that does not begin with it is refused.
    """

    position: str
    first_record: str
    snapshots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """The item as it was read. An empty owner has released it; a finished shard was read to its end.

    `published` is a record up to which all output was published when the lease was last renewed; empty: none is known.
    """

    shard_id: str
    owner: str
    epoch: int
    version: int
    ttl_seconds: float
    pointer: Pointer | None = None
    finished: bool = False
    published: str = ""

    @property
    def published_until(self) -> int:
        """The last record whose output is certainly published, as a number; 0 where none is."""
        return max(int(self.published or 0), int(self.pointer.position or 0) if self.pointer else 0)


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A process that says it is there, leading or not, by changing its version all the time."""

    owner: str
    version: int
    ttl_seconds: float


@dataclass(frozen=True, slots=True)
class Readings:
    """The whole table at one moment: leases by shard, members by owner."""

    leases: Mapping[str, LeaseRecord]
    members: Mapping[str, MemberRecord]


class LeaseTable(Protocol):
    """Where leases are kept. Everything raises OutageError where the table can't be asked."""

    def read_all(self) -> Readings:
        """Every lease and member, read consistently."""
        ...

    def attend(self, owner: str, *, ttl_seconds: float) -> None:
        """Say that a process is there."""
        ...

    def leave(self, owner: str) -> None:
        """Take a process off the list."""
        ...

    def take(
        self, shard_id: str, *, owner: str, ttl_seconds: float, seen: LeaseRecord | None, above: int = 0
    ) -> LeaseRecord | None:
        """Take it exactly as seen (None: nobody ever had it), with the next epoch; None when it has changed since.

        `above` is the highest epoch of the shard's parents: a product's epochs rise through a reshard too.
        """
        ...

    def renew(self, shard_id: str, *, owner: str, epoch: int, published: str) -> None:
        """Change the version, and say how far all is published (empty: nothing new). Raises LeaseLostError."""
        ...

    def point(self, shard_id: str, *, owner: str, epoch: int, pointer: Pointer, finished: bool) -> None:
        """Replace the pointer. Raises LeaseLostError."""
        ...

    def release(self, shard_id: str, *, owner: str, epoch: int) -> None:
        """Leave it to whoever comes next. Raises LeaseLostError."""
        ...

    def reopen(self, shard_id: str) -> None:
        """Have a finished shard read to its end again: its last snapshot can't be read."""
        ...


class LeaseWatch:
    """Remembers since when each item has stood still, by the own clock."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._leases: dict[str, tuple[LeaseRecord, float]] = {}
        self._members: dict[str, tuple[MemberRecord, float]] = {}

    def observe(self, readings: Readings) -> None:
        """Take note of a reading that has just come back."""
        now = self._monotonic()
        self._leases = {
            shard_id: self._leases[shard_id] if self._stands_still(record) else (record, now)
            for shard_id, record in readings.leases.items()
        }
        self._members = {
            owner: seen if (seen := self._members.get(owner)) and seen[0] == record else (record, now)
            for owner, record in readings.members.items()
        }

    def free_in(self, record: LeaseRecord) -> float:
        """Seconds until the lease may be taken if it goes on standing still; 0 when it may be taken now."""
        if not record.owner:
            return 0.0
        return max(0.0, self._leases[record.shard_id][1] + record.ttl_seconds - self._monotonic())

    def present(self) -> set[str]:
        """The members that have changed their version within their time to live."""
        now = self._monotonic()
        return {owner for owner, (record, since) in self._members.items() if now - since < record.ttl_seconds}

    def long_gone(self, *, seconds: float) -> set[str]:
        """The members that have stood still for so long that nobody need remember them."""
        now = self._monotonic()
        return {owner for owner, (_, since) in self._members.items() if now - since >= seconds}

    def _stands_still(self, record: LeaseRecord) -> bool:
        seen = self._leases.get(record.shard_id)
        return seen is not None and (seen[0].owner, seen[0].epoch, seen[0].version) == (
            record.owner,
            record.epoch,
            record.version,
        )


class Lease:
    """A lease that this process holds."""

    def __init__(
        self, table: LeaseTable, record: LeaseRecord, *, asked_at: float, monotonic: Callable[[], float]
    ) -> None:
        """`asked_at` is the own clock's time just before the lease was asked for."""
        self._table = table
        self._record = record
        self._monotonic = monotonic
        self._lost = False
        self._published = ""
        self._deadline = asked_at + record.ttl_seconds

    @property
    def shard_id(self) -> str:
        """The shard."""
        return self._record.shard_id

    @property
    def epoch(self) -> int:
        """Which reign this is; a later one has a higher number."""
        return self._record.epoch

    @property
    def pointer(self) -> Pointer | None:
        """The pointer as it was when the lease was taken."""
        return self._record.pointer

    @property
    def published_until(self) -> int:
        """Up to which record all was published when the lease was taken."""
        return self._record.published_until

    def note_published(self, position: str) -> None:
        """Let the next renewal say that all output up to this record is published."""
        self._published = position

    @property
    def is_lost(self) -> bool:
        """Whether others may have it by now."""
        return self._lost or self._monotonic() >= self._deadline

    def require(self) -> None:
        """Go on only while nobody else can hold it. Raises LeaseLostError."""
        if self.is_lost:
            self._lost = True
            raise LeaseLostError(f"{self.shard_id}: epoch {self.epoch} has ended")

    def renew(self) -> None:
        """Ask for another time to live. Raises LeaseLostError, or OutageError: then the old deadline stands."""
        self.require()
        asked_at = self._monotonic()
        try:
            self._table.renew(self.shard_id, owner=self._record.owner, epoch=self.epoch, published=self._published)
        except LeaseLostError:
            self._lost = True
            raise
        self._deadline = asked_at + self._record.ttl_seconds

    def point(self, pointer: Pointer, *, finished: bool = False) -> None:
        """Say how far the shard has come. Raises LeaseLostError, OutageError."""
        self.require()
        try:
            self._table.point(
                self.shard_id, owner=self._record.owner, epoch=self.epoch, pointer=pointer, finished=finished
            )
        except LeaseLostError:
            self._lost = True
            raise

    def release(self) -> None:
        """Give it up; nothing may be written for the shard after this. Raises LeaseLostError, OutageError."""
        self._lost = True
        self._table.release(self.shard_id, owner=self._record.owner, epoch=self.epoch)
