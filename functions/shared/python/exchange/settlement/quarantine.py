"""Records that could not be settled, kept whole until somebody releases them."""

import base64
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from exchange.settlement.delivery import StreamRecord

_PREFIX = "settlement"


class Quarantine:
    """A product's kept records, in the stream's order, and the mark that pauses it.

    Only the reader of a product's shard pauses it, so "not paused" may be remembered; a stale memory mends itself,
    because a record behind a kept one is a gap, which pauses again.
    """

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._running: set[str] = set()

    def is_paused(self, product_id: str) -> bool:
        """Whether a product waits to be released."""
        if product_id in self._running:
            return False
        try:
            self._client.head_object(Bucket=self._bucket, Key=_mark(product_id))
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"404", "NoSuchKey", "NotFound"}:
                raise
            self._running.add(product_id)
            return False
        return True

    def pause(self, product_id: str, reason: str) -> None:
        """Stop settling a product until it is released."""
        self._running.discard(product_id)
        self._client.put_object(Bucket=self._bucket, Key=_mark(product_id), Body=reason.encode())

    def keep(self, record: StreamRecord) -> None:
        """Keep one record whole, under its place in the stream; keeping it again changes nothing."""
        self._client.put_object(Bucket=self._bucket, Key=_key(record), Body=base64.b64decode(record.data))

    def kept(self, product_id: str) -> Iterator[StreamRecord]:
        """Every kept record of a product, in the stream's order."""
        for key in self._keys(f"{_PREFIX}/{product_id}/records/"):
            data = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            number = key.rsplit("/", 1)[1].lstrip("0") or "0"
            yield StreamRecord(product_id, number, base64.b64encode(data).decode())

    def holds(self, product_id: str) -> bool:
        """Whether a record or the mark of a product is there, whatever is remembered."""
        return next(self._keys(f"{_PREFIX}/{product_id}/"), None) is not None

    def settled(self, record: StreamRecord) -> None:
        """Forget a kept record that has been settled."""
        self._client.delete_object(Bucket=self._bucket, Key=_key(record))

    def release(self, product_id: str) -> None:
        """Take the mark away; records settle from the stream again."""
        self._client.delete_object(Bucket=self._bucket, Key=_mark(product_id))

    def paused(self) -> dict[str, str]:
        """Every paused product with the reason."""
        marks = [key for key in self._keys(f"{_PREFIX}/") if key.endswith("/PAUSED")]
        bodies = {key: self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read() for key in marks}
        return {key.split("/")[1]: body.decode() for key, body in bodies.items()}

    def _keys(self, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            for row in page.get("Contents", []):
                yield row["Key"]


def _mark(product_id: str) -> str:
    return f"{_PREFIX}/{product_id}/PAUSED"


def _key(record: StreamRecord) -> str:
    # Padded, so that the keys' order is the stream's.
    return f"{_PREFIX}/{record.product_id}/records/{record.sequence_number.rjust(64, '0')}"
