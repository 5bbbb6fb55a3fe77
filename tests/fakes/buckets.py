"""Snapshots and quarantined records in memory."""

from dataclasses import dataclass, field

from matcher.stream_reader import StreamRecord
from tests.fakes.bombs import Bomb, Weather


@dataclass
class FakeSnapshots:
    """A bucket of snapshots."""

    objects: dict[str, bytes] = field(default_factory=dict)
    weather: Weather = field(default_factory=Weather)
    bomb: Bomb = field(default_factory=Bomb)

    def save(self, key: str, data: bytes) -> None:
        """Keep it."""
        self.bomb.pass_step("before snapshot")
        self.weather.before("snapshots")
        self.objects[key] = data
        self.bomb.pass_step("after snapshot")

    def load(self, key: str) -> bytes | None:
        """Read it."""
        self.weather.before("snapshots")
        return self.objects.get(key)

    def delete(self, key: str) -> None:
        """Forget it."""
        self.bomb.pass_step("before delete")
        self.objects.pop(key, None)


@dataclass
class FakeQuarantine:
    """A bucket of quarantined records."""

    kept: dict[tuple[str, str], tuple[StreamRecord, str]] = field(default_factory=dict)
    weather: Weather = field(default_factory=Weather)

    def keep(self, shard_id: str, record: StreamRecord, reason: str) -> None:
        """Keep it."""
        self.weather.before("quarantine")
        self.kept[shard_id, record.sequence_number] = (record, reason)
