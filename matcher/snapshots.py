"""A shard's whole state as bytes, and back; what is not exactly what was written is refused.

Format, version 1:

    4s magic "XSNP" | u16 version | u32 length of the header | header, JSON | the states | sha256 of all before

The header names the shard, the position (the last record applied and published), the first record ever applied, the
markets in the order of their states, and the products that are paused.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from exchange.kernel.errors import UnavailableError

_MAGIC: Final = b"XSNP"
_VERSION: Final = 1
_HEAD: Final = Struct("<4sHI")
_DIGEST_LENGTH: Final = 32


class SnapshotCorruptError(ValueError):
    """The snapshot is not what was written, or is not of this shard: take the one before it."""


@dataclass(frozen=True, slots=True)
class ShardState:
    """Everything that the records up to and with `position` made of a shard. No position: nothing was read yet.

    `paused` maps a product to the record that stopped it.
    """

    shard_id: str
    position: str = ""
    first_record: str = ""
    markets: Mapping[str, bytes] = field(default_factory=dict)
    paused: Mapping[str, str] = field(default_factory=dict)


class SnapshotStore(Protocol):
    """Where snapshots are kept. Everything raises UnavailableError where they can't be reached."""

    def save(self, key: str, data: bytes) -> None:
        """Keep it."""
        ...

    def load(self, key: str) -> bytes | None:
        """Read it; None where there is none."""
        ...

    def delete(self, key: str) -> None:
        """Forget it."""
        ...


def snapshot_key(shard_id: str, *, epoch: int, position: str) -> str:
    """The name of a snapshot: two reigns never write the same one."""
    return f"{shard_id}/{epoch:010d}/{position}"


def encode_state(state: ShardState) -> bytes:
    """The state as bytes."""
    header = {
        "shard_id": state.shard_id,
        "position": state.position,
        "first_record": state.first_record,
        "markets": {product_id: len(data) for product_id, data in state.markets.items()},
        "paused": dict(state.paused),
    }
    text = json.dumps(header).encode()
    body = b"".join((_HEAD.pack(_MAGIC, _VERSION, len(text)), text, *state.markets.values()))
    return body + hashlib.sha256(body).digest()


def decode_state(data: bytes, *, shard_id: str) -> ShardState:
    """Read a state back.

    Raises:   SnapshotCorruptError where a byte differs, or it is another shard's or another version's.
    """
    body, digest = data[:-_DIGEST_LENGTH], data[-_DIGEST_LENGTH:]
    if len(body) < _HEAD.size or hashlib.sha256(body).digest() != digest:
        raise SnapshotCorruptError(f"{shard_id}: the digest does not fit the snapshot")
    magic, version, length = _HEAD.unpack_from(body)
    if magic != _MAGIC or version != _VERSION:
        raise SnapshotCorruptError(f"{shard_id}: {magic!r} version {version} is no snapshot that this code reads")
    offset = _HEAD.size + length
    header = json.loads(body[_HEAD.size : offset])
    if header["shard_id"] != shard_id:
        raise SnapshotCorruptError(f"{shard_id}: the snapshot is of {header['shard_id']}")
    markets = {}
    for product_id, size in header["markets"].items():
        markets[product_id] = body[offset : offset + size]
        offset += size
    if offset != len(body):
        raise SnapshotCorruptError(f"{shard_id}: the markets don't fill the snapshot")
    return ShardState(shard_id, header["position"], header["first_record"], markets, header["paused"])


class SnapshotBucket:
    """Snapshots in S3."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def save(self, key: str, data: bytes) -> None:
        """Keep it."""
        self._ask("put_object", Key=key, Body=data)

    def load(self, key: str) -> bytes | None:
        """Read it; None where there is none."""
        try:
            return bytes(self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read())
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NoSuchKey":
                return None
            raise UnavailableError(f"S3 {self._bucket}: {error}") from error
        except (BotoCoreError, OSError) as error:
            raise UnavailableError(f"S3 {self._bucket}: {error}") from error

    def delete(self, key: str) -> None:
        """Forget it."""
        self._ask("delete_object", Key=key)

    def _ask(self, operation: str, **request: Any) -> None:
        try:
            getattr(self._client, operation)(Bucket=self._bucket, **request)
        except (ClientError, BotoCoreError) as error:
            raise UnavailableError(f"S3 {self._bucket}: {error}") from error
