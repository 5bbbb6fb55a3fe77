"""A Kinesis stream in memory, read and written through the matcher's Protocols."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from matcher.publisher import Outgoing
from matcher.stream_reader import Batch, StreamRecord
from tests.fakes.bombs import Bomb, Weather

MILLISECOND_NS = 1_000_000


@dataclass
class FakeShard:
    """One shard: records in order, open or closed, its oldest perhaps trimmed."""

    records: list[StreamRecord] = field(default_factory=list)
    is_closed: bool = False
    trimmed: int = 0

    def put(self, product_id: str, data: bytes, *, number: int | None = None) -> StreamRecord:
        """Append a record; arrival times grow by a millisecond."""
        sequence_number = number if number is not None else 100 + 10 * (len(self.records) + 1)
        arrival_ns = 1_700_000_000_000 * MILLISECOND_NS + len(self.records) * MILLISECOND_NS
        record = StreamRecord(str(sequence_number), arrival_ns, product_id, data)
        self.records.append(record)
        return record

    def after(self, position: str | None) -> list[StreamRecord]:
        """What a reader that starts behind `position` gets."""
        kept = self.records[self.trimmed :]
        return [r for r in kept if position is None or int(r.sequence_number) > int(position)]


@dataclass
class FakeReader:
    """Reads a shard a few records at a time."""

    shard: FakeShard
    position: str | None
    limit: int = 3
    weather: Weather = field(default_factory=Weather)
    bomb: Bomb = field(default_factory=Bomb)
    is_open: bool = True

    def read(self) -> Batch:
        """The next records."""
        self.weather.before("read")
        records = tuple(self.shard.after(self.position)[: self.limit])
        if records:
            self.position = records[-1].sequence_number
        is_end = self.shard.is_closed and not self.shard.after(self.position)
        self.bomb.pass_step("read")
        return Batch(records, is_end=is_end)

    def close(self) -> None:
        """Stop reading."""
        self.is_open = False


@dataclass
class FakeSink:
    """A stream that takes records; `refusals` says of coming requests how many of their first records are refused."""

    published: list[Outgoing] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    weather: Weather = field(default_factory=Weather)
    bomb: Bomb = field(default_factory=Bomb)

    def put(self, records: Sequence[Outgoing]) -> Sequence[Outgoing]:
        """Put them, all but those refused."""
        assert len({product_id for product_id, _ in records}) == len(records), "one record a product"
        self.bomb.pass_step("before publish")
        kind = self.weather.before("publish")
        refused = self.refusals.pop(0) if self.refusals else 0
        self.published.extend(records[refused:])
        self.bomb.pass_step("after publish")
        self.weather.after("publish", kind)
        return records[:refused]
