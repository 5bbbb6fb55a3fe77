"""Kinesis: shards of records in order, read by iterators that expire, split while in use.

Modelled: a record put again has another sequence number; PutRecords refuses part of a request; iterators live five
minutes; at most 1,000 records a second a shard is not modelled. A split closes the parent, whose readers end there.
"""

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.fakes.cloud.carrier import AtOnce, Carrier, refusal

ITERATOR_SECONDS: Final = 300.0
HASH_KEY_MAX: Final = 2**128 - 1
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

Wire = dict[str, Any]


@dataclass
class FakeShard:
    """One shard; `closed` means split, `trimmed` counts the oldest records that the stream no longer has."""

    shard_id: str
    first_hash: int
    last_hash: int
    parent: str = ""
    records: list[Wire] = field(default_factory=list)
    closed: bool = False
    trimmed: int = 0


@dataclass
class FakeStream:
    """A stream's shards, oldest first."""

    name: str
    shards: list[FakeShard] = field(default_factory=list)

    def shard_for(self, hashed: int) -> FakeShard:
        """The open shard that takes a hashed key."""
        return next(s for s in self.shards if not s.closed and s.first_hash <= hashed <= s.last_hash)

    def shard(self, shard_id: str) -> FakeShard:
        """A shard by its id."""
        return next(s for s in self.shards if s.shard_id == shard_id)


class Kinesis:
    """The service, with boto3's method names.

    `refuses` says of the next record of a PutRecords whether it is refused, `expires` whether an iterator is lost.
    """

    def __init__(self, carrier: Carrier | None = None) -> None:
        self.carrier = carrier or AtOnce()
        self.streams: dict[str, FakeStream] = {}
        self._numbers = 49_000_000_000_000_000_000
        self._shards = 0
        self.refuses: Callable[[], bool] = lambda: False
        self.expires: Callable[[], bool] = lambda: False

    def create_stream(self, *, StreamName: str, ShardCount: int = 1) -> Wire:
        """A stream whose shards share the keys equally."""
        stream = self.streams[StreamName] = FakeStream(StreamName)
        width = (HASH_KEY_MAX + 1) // ShardCount
        for number in range(ShardCount):
            last = HASH_KEY_MAX if number == ShardCount - 1 else (number + 1) * width - 1
            stream.shards.append(FakeShard(self._shard_id(), number * width, last))
        return {}

    def put_record(self, *, StreamName: str, PartitionKey: str, Data: bytes) -> Wire:
        """Append one record."""
        answer: Wire = self.carrier.carry(
            "kinesis", "PutRecord", lambda: self._append(StreamName, PartitionKey, bytes(Data))
        )
        return answer

    def put_records(self, *, StreamName: str, Records: list[Wire]) -> Wire:
        """Append records, each by itself: some may be refused while later ones are in."""
        answer: Wire = self.carrier.carry("kinesis", "PutRecords", lambda: self._append_all(StreamName, Records))
        return answer

    def get_shard_iterator(
        self, *, StreamName: str, ShardId: str, ShardIteratorType: str, StartingSequenceNumber: str = "0"
    ) -> Wire:
        """Where to read from."""
        return dict(
            self.carrier.carry(
                "kinesis",
                "GetShardIterator",
                lambda: self._iterator(StreamName, ShardId, ShardIteratorType, StartingSequenceNumber),
            )
        )

    def get_records(self, *, ShardIterator: str, Limit: int = 10_000) -> Wire:
        """The records behind an iterator, and the next one; none where a closed shard was read to its end."""
        answer: Wire = self.carrier.carry("kinesis", "GetRecords", lambda: self._read(ShardIterator, Limit))
        return answer

    def list_shards(self, *, StreamName: str = "", NextToken: str = "") -> Wire:
        """Every shard with its parent and its keys."""
        answer: Wire = self.carrier.carry("kinesis", "ListShards", lambda: self._list(StreamName))
        return answer

    def split_shard(self, *, StreamName: str, ShardToSplit: str, NewStartingHashKey: str) -> Wire:
        """Close a shard; two children share its keys."""
        stream = self.streams[StreamName]
        parent = stream.shard(ShardToSplit)
        if parent.closed:
            raise refusal("ResourceInUseException", "SplitShard", f"{ShardToSplit} is closed")
        parent.closed = True
        middle = int(NewStartingHashKey)
        for first, last in ((parent.first_hash, middle - 1), (middle, parent.last_hash)):
            stream.shards.append(FakeShard(self._shard_id(), first, last, parent.shard_id))
        return {}

    def _shard_id(self) -> str:
        self._shards += 1
        return f"shardId-{self._shards - 1:012d}"

    def _append(self, stream_name: str, partition_key: str, data: bytes) -> Wire:
        stream = self.streams.get(stream_name)
        if stream is None:
            raise refusal("ResourceNotFoundException", "PutRecord", f"no stream {stream_name}")
        hashed = int.from_bytes(hashlib.md5(partition_key.encode(), usedforsecurity=False).digest(), "big")
        shard = stream.shard_for(hashed)
        self._numbers += 17
        milliseconds = int(self.carrier.now_seconds() * 1000)
        shard.records.append(
            {
                "SequenceNumber": str(self._numbers),
                "ApproximateArrivalTimestamp": _EPOCH + dt.timedelta(milliseconds=milliseconds),
                "PartitionKey": partition_key,
                "Data": data,
            }
        )
        return {"ShardId": shard.shard_id, "SequenceNumber": str(self._numbers)}

    def _append_all(self, stream_name: str, records: list[Wire]) -> Wire:
        rows: list[Wire] = []
        for record in records:
            if self.refuses():
                rows.append({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"})
            else:
                rows.append(self._append(stream_name, record["PartitionKey"], bytes(record["Data"])))
        return {"FailedRecordCount": sum("ErrorCode" in row for row in rows), "Records": rows}

    def _iterator(self, stream_name: str, shard_id: str, kind: str, number: str) -> Wire:
        shard = self.streams[stream_name].shard(shard_id)
        after = {"TRIM_HORIZON": 0, "AFTER_SEQUENCE_NUMBER": int(number), "AT_SEQUENCE_NUMBER": int(number) - 1}
        if kind == "LATEST":
            after["LATEST"] = int(shard.records[-1]["SequenceNumber"]) if shard.records else 0
        return {"ShardIterator": self._token(stream_name, shard_id, after[kind])}

    def _token(self, stream_name: str, shard_id: str, after: int) -> str:
        return f"{stream_name}|{shard_id}|{after}|{self.carrier.now_seconds()}"

    def _read(self, iterator: str, limit: int) -> Wire:
        stream_name, shard_id, after, made_at = iterator.split("|")
        if self.carrier.now_seconds() - float(made_at) >= ITERATOR_SECONDS or self.expires():
            raise refusal("ExpiredIteratorException", "GetRecords", "Iterator expired")
        shard = self.streams[stream_name].shard(shard_id)
        position, rows = int(after), shard.records
        start = len(rows)
        while start > shard.trimmed and int(rows[start - 1]["SequenceNumber"]) > position:
            start -= 1
        found = rows[start : start + limit]
        position = int(found[-1]["SequenceNumber"]) if found else position
        behind = len(rows) - start - len(found)
        answer: Wire = {"Records": found, "MillisBehindLatest": 1000 if behind else 0}
        if not (shard.closed and not behind):
            answer["NextShardIterator"] = self._token(stream_name, shard_id, position)
        return answer

    def _list(self, stream_name: str) -> Wire:
        return {
            "Shards": [
                {
                    "ShardId": shard.shard_id,
                    "HashKeyRange": {
                        "StartingHashKey": str(shard.first_hash),
                        "EndingHashKey": str(shard.last_hash),
                    },
                    "SequenceNumberRange": {"StartingSequenceNumber": "0"},
                    **({"ParentShardId": shard.parent} if shard.parent else {}),
                }
                for shard in self.streams[stream_name].shards
            ]
        }
