"""Where a new reign begins: the newest snapshot that can be read, the parents' last state, or the very beginning."""

from collections.abc import Mapping

from aws_lambda_powertools import Logger

from matcher.lease import LeaseRecord, LeaseTable, Pointer
from matcher.markets import Markets
from matcher.shards import Shard
from matcher.snapshots import ShardState, SnapshotCorruptError, SnapshotStore, decode_state

logger = Logger(service="matcher", child=True)


class ParentUnreadableError(Exception):
    """The last state of these parents can't be read. They must be read to their end anew before the child begins."""

    def __init__(self, parents: tuple[str, ...], reason: str) -> None:
        super().__init__(reason)
        self.parents = parents


def resume(
    shard: Shard, pointer: Pointer | None, *, leases: LeaseTable, store: SnapshotStore, markets: Markets
) -> ShardState:
    """Restore the markets and return the state that they are in. Without any snapshot, everything is read again.

    Raises:   ParentUnreadableError, OutageError.
    """
    for key in pointer.snapshots if pointer else ():
        try:
            state = _load(store, key, shard.shard_id)
            markets.restore(state)
        except SnapshotCorruptError:
            logger.exception("a snapshot can't be read: trying the one before it", extra={"key": key})
        else:
            return state
    state = _inherit(shard, leases, store)
    try:
        markets.restore(state)
    except SnapshotCorruptError as error:
        raise ParentUnreadableError(shard.parents, str(error)) from error
    return state


def _inherit(shard: Shard, leases: LeaseTable, store: SnapshotStore) -> ShardState:
    records: Mapping[str, LeaseRecord] = leases.read_all().leases if shard.parents else {}
    markets: dict[str, bytes] = {}
    paused: dict[str, str] = {}
    for parent in shard.parents:
        if parent not in records:
            continue
        try:
            state = _last_state(store, records[parent])
        except SnapshotCorruptError as error:
            raise ParentUnreadableError((parent,), str(error)) from error
        markets |= {product_id: data for product_id, data in state.markets.items() if shard.holds(product_id)}
        paused |= {product_id: record for product_id, record in state.paused.items() if shard.holds(product_id)}
    return ShardState(shard.shard_id, markets=markets, paused=paused)


def _last_state(store: SnapshotStore, parent: LeaseRecord) -> ShardState:
    if parent.pointer is None:
        raise SnapshotCorruptError(f"{parent.shard_id}: it was finished without a snapshot")
    return _load(store, parent.pointer.snapshots[0], parent.shard_id)


def _load(store: SnapshotStore, key: str, shard_id: str) -> ShardState:
    data = store.load(key)
    if data is None:
        raise SnapshotCorruptError(f"{key} is not there")
    return decode_state(data, shard_id=shard_id)
