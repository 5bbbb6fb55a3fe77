"""S3: objects by key, whole or not there."""

import io
from collections.abc import Iterator
from typing import Any

from tests.fakes.cloud.carrier import AtOnce, Carrier, refusal

Wire = dict[str, Any]


class S3:
    """The service, with boto3's method names. Buckets are made by putting into them."""

    def __init__(self, carrier: Carrier | None = None) -> None:
        self.carrier = carrier or AtOnce()
        self.objects: dict[tuple[str, str], tuple[bytes, dict[str, str]]] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, Metadata: dict[str, str] | None = None) -> Wire:
        """Put an object over whatever was there."""

        def effect() -> Wire:
            self.objects[Bucket, Key] = (bytes(Body), dict(Metadata or {}))
            return {}

        return dict(self.carrier.carry("s3", "PutObject", effect))

    def get_object(self, *, Bucket: str, Key: str) -> Wire:
        """An object's bytes and metadata."""
        data, metadata = self.carrier.carry(
            "s3", "GetObject", lambda: self._find(Bucket, Key, "NoSuchKey", "GetObject")
        )
        return {"Body": io.BytesIO(data), "Metadata": metadata}

    def head_object(self, *, Bucket: str, Key: str) -> Wire:
        """An object's metadata."""
        _, metadata = self.carrier.carry("s3", "HeadObject", lambda: self._find(Bucket, Key, "404", "HeadObject"))
        return {"Metadata": metadata}

    def delete_object(self, *, Bucket: str, Key: str) -> Wire:
        """Delete an object; that it is not there is success."""
        self.carrier.carry("s3", "DeleteObject", lambda: self.objects.pop((Bucket, Key), None))
        return {}

    def get_paginator(self, operation: str) -> "_Listing":
        """Pages of a list."""
        assert operation == "list_objects_v2", operation
        return _Listing(self)

    def _find(self, bucket: str, key: str, code: str, operation: str) -> tuple[bytes, dict[str, str]]:
        found = self.objects.get((bucket, key))
        if found is None:
            raise refusal(code, operation, "The specified key does not exist.")
        return found


class _Listing:
    """A list of a bucket's objects, by key."""

    def __init__(self, service: S3) -> None:
        self._service = service

    def paginate(self, *, Bucket: str, Prefix: str = "") -> Iterator[Wire]:
        """One page: this fake's lists are short."""

        def effect() -> list[Wire]:
            keys = sorted(key for bucket, key in self._service.objects if bucket == Bucket and key.startswith(Prefix))
            return [{"Key": key} for key in keys]

        yield {"Contents": self._service.carrier.carry("s3", "ListObjectsV2", effect)}
