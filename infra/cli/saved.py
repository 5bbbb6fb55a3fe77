"""The matcher's snapshots as an audit looks at them."""

from collections.abc import Iterator
from typing import Any

from exchange.audit.model import Saved

from matcher.engines import ProductEngines
from matcher.snapshots import SnapshotBucket, SnapshotCorruptError, decode_state


def saved_markets(s3: Any, bucket: str) -> Iterator[Saved]:
    """Every market of every snapshot that can be read; who restores passes over the others, and so does this.

    Raises:   UnknownRulesError, where it was taken under rules that this release does not know.
    """
    store = SnapshotBucket(s3, bucket)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for listed in page.get("Contents", ()):
            data = store.load(listed["Key"])
            if data is not None:
                yield from _markets(listed["Key"], data)


def _markets(key: str, data: bytes) -> Iterator[Saved]:
    try:
        state = decode_state(data, shard_id=key.split("/", maxsplit=1)[0])
        engines = {product_id: ProductEngines().restore(saved) for product_id, saved in state.markets.items()}
    except SnapshotCorruptError:
        return
    for product_id, engine in engines.items():
        yield Saved(key, product_id, engine.sequence, engine.chain_hash)
