"""Records that could not be settled, kept whole until somebody releases them."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

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

    def keep(self, product_id: str, sequence_number: str, data: bytes) -> None:
        """Keep one record whole, under its place in the stream; keeping it again changes nothing."""
        self._client.put_object(Bucket=self._bucket, Key=_key(product_id, sequence_number), Body=data)

    def kept(self, product_id: str) -> Iterator[tuple[str, bytes]]:
        """Every kept record of a product with its key, in the stream's order."""
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=f"{_PREFIX}/{product_id}/records/"):
            for row in page.get("Contents", []):
                answer = self._client.get_object(Bucket=self._bucket, Key=row["Key"])
                yield row["Key"], answer["Body"].read()

    def settled(self, key: str) -> None:
        """Forget a kept record that has been settled."""
        self._client.delete_object(Bucket=self._bucket, Key=key)

    def release(self, product_id: str) -> None:
        """Take the mark away; records settle from the stream again."""
        self._client.delete_object(Bucket=self._bucket, Key=_mark(product_id))

    def paused(self) -> dict[str, str]:
        """Every paused product with the reason."""
        found: dict[str, str] = {}
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=f"{_PREFIX}/"):
            for row in page.get("Contents", []):
                if row["Key"].endswith("/PAUSED"):
                    body = self._client.get_object(Bucket=self._bucket, Key=row["Key"])["Body"].read()
                    found[row["Key"].split("/")[1]] = body.decode()
        return found


def _mark(product_id: str) -> str:
    return f"{_PREFIX}/{product_id}/PAUSED"


def _key(product_id: str, sequence_number: str) -> str:
    return f"{_PREFIX}/{product_id}/records/{sequence_number.rjust(64, '0')}"
