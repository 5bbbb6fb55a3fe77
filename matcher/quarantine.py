"""Where records go that can't be applied: whole, into a bucket, for an operator to read."""

from typing import Any, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from exchange.kernel.errors import UnavailableError

from matcher.stream_reader import StreamRecord

_PREFIX: Final = "orders/"


class Quarantine(Protocol):
    """Keeps what could not be applied."""

    def keep(self, shard_id: str, record: StreamRecord, reason: str) -> None:
        """Keep the record whole; the same one again changes nothing. Raises UnavailableError."""
        ...


class QuarantineBucket:
    """Quarantine in S3, one object a record."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def kept(self, product_id: str) -> list[tuple[str, str]]:
        """Every record kept that stood under this product's key, oldest first, with what was wrong with it.

        Raises:   UnavailableError.
        """
        found = []
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=_PREFIX)
            for item in (item for page in pages for item in page.get("Contents", ())):
                metadata = self._client.head_object(Bucket=self._bucket, Key=item["Key"])["Metadata"]
                if metadata.get("partition-key") == product_id:
                    found.append((item["Key"].rpartition("/")[2], metadata.get("reason", "")))
        except (ClientError, BotoCoreError) as error:
            raise UnavailableError(f"S3 {self._bucket}: {error}") from error
        return sorted(found, key=lambda pair: int(pair[0]))

    def keep(self, shard_id: str, record: StreamRecord, reason: str) -> None:
        """Keep the record whole, with where it stood and what was wrong with it."""
        metadata = {
            "partition-key": record.partition_key.encode("ascii", "backslashreplace").decode(),
            "arrival-ns": str(record.arrival_ns),
            "reason": reason.encode("ascii", "backslashreplace").decode()[:1000],
        }
        key = f"{_PREFIX}{shard_id}/{record.sequence_number}"
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=record.data, Metadata=metadata)
        except (ClientError, BotoCoreError) as error:
            raise UnavailableError(f"S3 {self._bucket}: {error}") from error
