"""The shards of a stream: which key goes where, and which may be read now."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from exchange.kernel.errors import UnavailableError

from matcher.lease import LeaseRecord

HASH_KEY_MAX = 2**128 - 1


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard, the shards that it came from, and the range of hashed keys that it takes."""

    shard_id: str
    parents: tuple[str, ...] = ()
    first_hash: int = 0
    last_hash: int = HASH_KEY_MAX

    def holds(self, product_id: str) -> bool:
        """Whether a record with this partition key lands here."""
        hashed = int.from_bytes(hashlib.md5(product_id.encode(), usedforsecurity=False).digest(), "big")
        return self.first_hash <= hashed <= self.last_hash


def readable_shards(shards: Collection[Shard], leases: Mapping[str, LeaseRecord]) -> list[Shard]:
    """The shards with something left to read whose parents were read to their end: order outlives a reshard.

    A parent that is neither listed nor known to the leases is from before this exchange.
    """
    listed = {shard.shard_id for shard in shards}

    def is_finished(shard_id: str) -> bool:
        lease = leases.get(shard_id)
        return lease.finished if lease is not None else shard_id not in listed

    return [
        shard
        for shard in sorted(shards, key=lambda shard: shard.shard_id)
        if all(map(is_finished, shard.parents)) and not (shard.shard_id in leases and leases[shard.shard_id].finished)
    ]


class ShardList:
    """Asks Kinesis which shards a stream has."""

    def __init__(self, client: Any, stream_name: str) -> None:
        self._client = client
        self._stream_name = stream_name

    def read(self) -> list[Shard]:
        """Every shard that still holds records or takes new ones. Raises UnavailableError."""
        shards: list[Shard] = []
        request: dict[str, str] = {"StreamName": self._stream_name}
        try:
            while True:
                answer = self._client.list_shards(**request)
                shards += map(_shard, answer["Shards"])
                if not answer.get("NextToken"):
                    return shards
                request = {"NextToken": answer["NextToken"]}
        except (ClientError, BotoCoreError) as error:
            raise UnavailableError(f"Kinesis {self._stream_name}: {error}") from error


def _shard(answer: dict[str, Any]) -> Shard:
    parents = (answer.get("ParentShardId"), answer.get("AdjacentParentShardId"))
    hashes = answer["HashKeyRange"]
    return Shard(
        shard_id=answer["ShardId"],
        parents=tuple(parent for parent in parents if parent),
        first_hash=int(hashes["StartingHashKey"]),
        last_hash=int(hashes["EndingHashKey"]),
    )
