"""Which shards this process reigns over: it takes what is free, renews what it holds, and stands by for the rest."""

import threading
from typing import Any, Final

from aws_lambda_powertools import Logger
from exchange.kernel.errors import OutageError

from matcher.lease import Lease, LeaseLostError, LeaseRecord, LeaseWatch
from matcher.shards import Shard, ShardList, readable_shards
from matcher.worker import ShardWorker, World

RENEWALS_PER_LEASE: Final = 3
LOOKS_PER_LEASE: Final = 6
SHARDS_READ_SECONDS: Final = 30.0
SILENCE_SECONDS_MAX: Final = 30.0
DRAIN_SECONDS_MAX: Final = 20.0

logger = Logger(service="matcher", child=True)


class Supervisor:
    """Runs a worker thread for each lease, and one thread that renews them all."""

    def __init__(self, world: World, shards: ShardList, *, owner: str, lease_seconds: float) -> None:
        self._world = world
        self._shard_list = shards
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._watch = LeaseWatch(world.monotonic)
        self._workers: dict[str, tuple[ShardWorker, threading.Thread]] = {}
        self._shards: list[Shard] = []
        self._shards_read_at: float | None = None
        self._looked_at = world.monotonic()
        self._failed = False

    def run(self, stop: threading.Event) -> int:
        """Work until told to stop; return the exit code: 0 after an orderly end, 1 when a shard could not go on."""
        ended = threading.Event()
        renewer = threading.Thread(target=self._renew_all, args=(ended,), name="renewer", daemon=True)
        renewer.start()
        while not stop.is_set() and not self._failed:
            pause = self._lease_seconds / LOOKS_PER_LEASE
            try:
                pause = min(pause, self.look())
            except OutageError as error:
                logger.warning("the leases can't be read", extra={"reason": str(error)})
            stop.wait(pause)
        self._drain()
        ended.set()
        return 1 if self._failed else 0

    def look(self) -> float:
        """Take what is free, reap what has ended; return the seconds until something may become free.

        Raises:   OutageError.
        """
        self._reap()
        self._read_shards()
        records = self._world.leases.read_all()
        self._watch.observe(records)
        self._looked_at = self._world.monotonic()
        waits = [self._lease_seconds]
        for shard in readable_shards(self._shards, records):
            if shard.shard_id in self._workers:
                continue
            record = records.get(shard.shard_id)
            wait = self._watch.free_in(record) if record else 0.0
            if not wait:
                self._take(shard, record)
            waits.append(wait or self._lease_seconds)
        return max(0.01, min(waits))

    def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether this process reads as leader or stands by, and what it leads."""
        workers = {shard_id: worker for shard_id, (worker, _) in list(self._workers.items())}
        silences = [self._world.monotonic() - self._looked_at]
        silences += [worker.seconds_since_read for worker in workers.values()]
        shards = {shard.shard_id: {"role": "standby"} for shard in self._shards}
        shards |= {shard_id: worker.report() for shard_id, worker in workers.items()}
        healthy = not self._failed and max(silences) < SILENCE_SECONDS_MAX
        return healthy, {"owner": self._owner, "role": "leader" if workers else "standby", "shards": shards}

    def _read_shards(self) -> None:
        now = self._world.monotonic()
        if self._shards_read_at is None or now - self._shards_read_at >= SHARDS_READ_SECONDS:
            self._shards = self._shard_list.read()
            self._shards_read_at = now

    def _take(self, shard: Shard, seen: LeaseRecord | None) -> None:
        asked_at = self._world.monotonic()
        record = self._world.leases.take(shard.shard_id, owner=self._owner, ttl_seconds=self._lease_seconds, seen=seen)
        if record is None:
            return
        lease = Lease(self._world.leases, record, asked_at=asked_at, monotonic=self._world.monotonic)
        worker = ShardWorker(shard, lease, self._world)
        thread = threading.Thread(target=worker.run, name=shard.shard_id, daemon=True)
        self._workers[shard.shard_id] = (worker, thread)
        logger.info("leading", extra={"shard": shard.shard_id, "epoch": lease.epoch})
        thread.start()

    def _reap(self) -> None:
        for shard_id, (worker, thread) in list(self._workers.items()):
            if not thread.is_alive():
                del self._workers[shard_id]
                self._failed = self._failed or worker.failure is not None
                self._shards_read_at = None

    def _renew_all(self, ended: threading.Event) -> None:
        while not ended.wait(self._lease_seconds / RENEWALS_PER_LEASE):
            for worker, thread in list(self._workers.values()):
                if thread.is_alive() and not worker.lease.is_lost:
                    _renew(worker.lease)

    def _drain(self) -> None:
        for worker, _ in self._workers.values():
            worker.stop()
        deadline = self._world.monotonic() + DRAIN_SECONDS_MAX
        for worker, thread in self._workers.values():
            thread.join(max(0.0, deadline - self._world.monotonic()))
            if thread.is_alive() or worker.failure is not None:
                logger.error("a shard did not end in order", extra={"shard": worker.shard.shard_id})
                self._failed = True


def _renew(lease: Lease) -> None:
    try:
        lease.renew()
    except LeaseLostError as error:
        logger.warning("the lease was not renewed", extra={"reason": str(error)})
    except OutageError as error:
        logger.warning("the lease can't be renewed now", extra={"reason": str(error)})
