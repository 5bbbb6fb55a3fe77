"""Which shards this process follows: those led by the one before it in the ring of all processes that are there.

So every shard has one standby, however many processes there are, and each costs one more engine and one more reader.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any, Generic, Protocol, TypeVar

from matcher.lease import LeaseRecord, Readings
from matcher.shards import Shard


class Shadow(Protocol):
    """A standby for one shard."""

    def start(self) -> None:
        """Begin, beside the caller."""
        ...

    def note(self, record: LeaseRecord) -> None:
        """Take note of the lease as it was just read."""
        ...

    def stop(self) -> None:
        """End."""
        ...

    def report(self) -> dict[str, Any]:
        """What the health page shows."""
        ...


_Shadow = TypeVar("_Shadow", bound=Shadow)


def standby_of(owner: str, members: Collection[str]) -> str:
    """Who follows what `owner` leads: the next in the ring; empty where it is not among the members."""
    ring = sorted(members)
    return ring[(ring.index(owner) + 1) % len(ring)] if owner in ring else ""


class Shadows(Generic[_Shadow]):
    """One shadow for each shard that this process follows."""

    def __init__(self, owner: str, make: Callable[[Shard, LeaseRecord], _Shadow]) -> None:
        self._owner = owner
        self._make = make
        self._shadows: dict[str, _Shadow] = {}

    def __contains__(self, shard_id: object) -> bool:
        """Whether a shard is followed."""
        return shard_id in self._shadows

    def follow(self, shards: Iterable[Shard], readings: Readings, present: Collection[str]) -> None:
        """Follow those of these shards that are ours to follow, and tell each shadow how far its leader has come."""
        wanted = {shard.shard_id: shard for shard in shards if self._is_ours(shard.shard_id, readings, present)}
        for shard_id in self._shadows.keys() - wanted.keys():
            self._shadows.pop(shard_id).stop()
        for shard_id, shard in wanted.items():
            record = readings.leases[shard_id]
            if shard_id in self._shadows:
                self._shadows[shard_id].note(record)
            else:
                self._shadows[shard_id] = self._make(shard, record)
                self._shadows[shard_id].start()

    def give_up(self, shard_id: str) -> _Shadow | None:
        """The shadow of a shard that is led here from now on."""
        return self._shadows.pop(shard_id, None)

    def stop(self) -> None:
        """Follow nothing any more."""
        for shadow in self._shadows.values():
            shadow.stop()

    def report(self) -> dict[str, Any]:
        """What the health page shows of each."""
        return {shard_id: shadow.report() for shard_id, shadow in tuple(self._shadows.items())}

    def _is_ours(self, shard_id: str, readings: Readings, present: Collection[str]) -> bool:
        record = readings.leases.get(shard_id)
        if record is None:
            return False
        if record.owner not in present:
            # Its leader is gone: who has followed it goes on.
            return shard_id in self._shadows
        return record.owner != self._owner and standby_of(record.owner, {*present, self._owner}) == self._owner
