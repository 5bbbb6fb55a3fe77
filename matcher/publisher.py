"""Putting events on the executions stream: in order, one request in flight, again until it is certain."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from exchange.kernel.errors import OutcomeUnknownError, UnavailableError

from matcher.patience import Patience

PUT_RECORDS_MAX: Final = 32  # of at most 128 KiB: within the 5 MiB of one request

Outgoing = tuple[str, bytes]


class RecordSink(Protocol):
    """A stream to write to."""

    def put(self, records: Sequence[Outgoing]) -> Sequence[Outgoing]:
        """Put (product, data) pairs, no product twice; return those refused. Raises OutageError: any may be in."""
        ...


class Publisher:
    """Publishes one shard's output."""

    def __init__(self, sink: RecordSink, patience: Patience) -> None:
        self._sink = sink
        self._patience = patience

    def publish(self, output: Mapping[str, Sequence[bytes]]) -> None:
        """Return when every record is in the stream, each product's in order.

        A request never holds two records of one product, since a partly refused one would put them out of order; and
        the next goes out when the last is in. What got in without our hearing of it gets in twice: consumers drop that.
        Raises:   LeaseLostError.
        """
        for turn in range(max(map(len, output.values()), default=0)):
            records = [(product_id, data[turn]) for product_id, data in output.items() if turn < len(data)]
            for start in range(0, len(records), PUT_RECORDS_MAX):
                self._put(records[start : start + PUT_RECORDS_MAX])

    def _put(self, records: Sequence[Outgoing]) -> None:
        remaining = records

        def put_remaining() -> None:
            nonlocal remaining
            remaining = self._sink.put(remaining)
            if remaining:
                raise UnavailableError(f"{len(remaining)} records were refused")

        self._patience.insist(put_remaining)


class StreamSink:
    """A Kinesis stream; the partition key is the product."""

    def __init__(self, client: Any, stream_name: str) -> None:
        self._client = client
        self._stream_name = stream_name

    def put(self, records: Sequence[Outgoing]) -> Sequence[Outgoing]:
        """Put them in one request; return those that Kinesis refused."""
        try:
            if len(records) == 1:
                product_id, data = records[0]
                self._client.put_record(StreamName=self._stream_name, PartitionKey=product_id, Data=data)
                return []
            entries = [{"PartitionKey": product_id, "Data": data} for product_id, data in records]
            answer = self._client.put_records(StreamName=self._stream_name, Records=entries)
        except (ClientError, BotoCoreError) as error:
            raise OutcomeUnknownError(f"Kinesis {self._stream_name}: {error}") from error
        if not answer["FailedRecordCount"]:
            return []
        return [record for record, put in zip(records, answer["Records"], strict=True) if put.get("ErrorCode")]
