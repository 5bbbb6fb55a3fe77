"""Reading one shard of the orders stream, record by record in its order."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from exchange.kernel.errors import UnavailableError

READ_RECORDS_MAX: Final = 2000
# A read this large says that more waits behind it.
BACKLOG_RECORDS_MIN: Final = 500
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND_NS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """One Kinesis record. `arrival_ns` is stored with it, so every reader at any time reads the same."""

    sequence_number: str
    arrival_ns: int
    partition_key: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read gave. `is_end`: the shard is closed and these were its last records."""

    records: tuple[StreamRecord, ...]
    is_end: bool = False
    behind_milliseconds: int = 0


class RecordReader(Protocol):
    """A reader of one shard from a position on."""

    def read(self) -> Batch:
        """The next records, perhaps none. Raises UnavailableError: read again later."""
        ...

    def close(self) -> None:
        """Stop reading."""
        ...


class PollingReader:
    """Reads by GetRecords, which all pollers of a shard share: 5 a second on AWS."""

    def __init__(
        self, client: Any, stream_name: str, shard_id: str, *, after: str | None = None, at: str | None = None
    ) -> None:
        """Start behind the record `after`, or with the record `at`; else with the oldest that the stream still has."""
        self._client = client
        self._stream_name = stream_name
        self._shard_id = shard_id
        self._after = after
        self._at = at
        self._iterator: str | None = None
        self._is_end = False

    def read(self) -> Batch:
        """The next records. Raises UnavailableError."""
        if self._is_end:
            return Batch((), is_end=True)
        try:
            if self._iterator is None:
                self._iterator = self._seek()
            answer = self._client.get_records(ShardIterator=self._iterator, Limit=READ_RECORDS_MAX)
        except ClientError as error:
            # Whatever was wrong with the iterator (they live 5 minutes), the position is ours: seek again.
            self._iterator = None
            raise UnavailableError(f"Kinesis {self._stream_name}: {error}") from error
        except BotoCoreError as error:
            raise UnavailableError(f"Kinesis {self._stream_name}: {error}") from error
        records = tuple(map(stream_record, answer["Records"]))
        if records:
            self._after = records[-1].sequence_number
        self._iterator = answer.get("NextShardIterator")
        self._is_end = self._iterator is None
        return Batch(records, is_end=self._is_end, behind_milliseconds=answer.get("MillisBehindLatest", 0))

    def close(self) -> None:
        """Nothing is held open between two reads."""

    def _seek(self) -> str:
        where: dict[str, str] = {"ShardIteratorType": "TRIM_HORIZON"}
        if self._after is not None:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": self._after}
        elif self._at is not None:
            where = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": self._at}
        answer = self._client.get_shard_iterator(StreamName=self._stream_name, ShardId=self._shard_id, **where)
        return str(answer["ShardIterator"])


def stream_record(answer: dict[str, Any]) -> StreamRecord:
    """A record of boto3's answer. Arrival times have milliseconds; what boto3's floats add to them is taken off."""
    since = answer["ApproximateArrivalTimestamp"] - _EPOCH
    milliseconds = (since.days * 86_400 + since.seconds) * 1000 + (since.microseconds + 500) // 1000
    return StreamRecord(
        sequence_number=answer["SequenceNumber"],
        arrival_ns=milliseconds * _MILLISECOND_NS,
        partition_key=answer["PartitionKey"],
        data=answer["Data"],
    )
