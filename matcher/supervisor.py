"""Which shards this process reigns over: it takes what is free, renews what it holds, and stands by for the rest."""

import threading
from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar

from aws_lambda_powertools import Logger
from exchange.kernel.errors import OutageError

from matcher.assignments import may_take, shard_to_release
from matcher.lease import Lease, LeaseLostError, LeaseRecord, LeaseTable, LeaseWatch, Readings
from matcher.shadows import Shadow, Shadows
from matcher.shards import Shard, readable_shards

RENEWALS_PER_LEASE: Final = 3
LOOKS_PER_LEASE: Final = 6
PATIENCE_PER_LEASE: Final = 2
MEMORY_PER_LEASE: Final = 20
HEAD_STARTS_PER_LEASE: Final = 3
DISAPPOINTMENT_FACTOR: Final = 4
GENEROSITY_SECONDS_MAX: Final = 3600.0
SHARDS_READ_SECONDS: Final = 30.0
SILENCE_SECONDS_MAX: Final = 30.0
DRAIN_SECONDS_MAX: Final = 20.0
LOOK_SECONDS_MIN: Final = 0.01

_Standby = TypeVar("_Standby", bound=Shadow)
logger = Logger(service="matcher", child=True)


class Shards(Protocol):
    """Knows a stream's shards."""

    def read(self) -> list[Shard]:
        """All of them. Raises OutageError."""
        ...


class Worker(Protocol):
    """A reign over one shard."""

    lease: Lease
    failure: BaseException | None

    def start(self) -> None:
        """Begin, beside the caller."""
        ...

    def stop(self) -> None:
        """Ask for an orderly end."""
        ...

    def is_alive(self) -> bool:
        """Whether it goes on."""
        ...

    def join(self, seconds: float) -> None:
        """Wait for its end, so long at most."""
        ...

    def report(self) -> dict[str, Any]:
        """What the health page shows."""
        ...

    @property
    def seconds_since_read(self) -> float:
        """How long ago the stream last answered."""
        ...


class Supervisor(Generic[_Standby]):
    """Keeps one worker for each lease that it holds, and renews them all from a thread of its own."""

    def __init__(
        self,
        leases: LeaseTable,
        shards: Shards,
        employ: Callable[[Shard, Lease, _Standby | None], Worker],
        *,
        follow: Callable[[Shard, LeaseRecord], _Standby] | None = None,
        owner: str,
        lease_seconds: float,
        monotonic: Callable[[], float],
    ) -> None:
        """`employ` makes the worker for a lease just taken, `follow` the standby for a shard that another leads.

        `owner` is a name that no other process ever has.
        """
        self._leases = leases
        self._shard_list = shards
        self._employ = employ
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._monotonic = monotonic
        self._watch = LeaseWatch(monotonic)
        self._workers: dict[str, Worker] = {}
        self._shadows: Shadows[_Standby] | None = Shadows(owner, follow) if follow else None
        self._shards: list[Shard] = []
        self._shards_read_at: float | None = None
        self._free_since: dict[str, float] = {}
        self._others: set[str] = set()
        self._hands_over_every = PATIENCE_PER_LEASE * lease_seconds
        self._handed_over_at = self._looked_at = monotonic()
        self._failed = False

    def run(self, stop: threading.Event) -> int:
        """Work until told to stop; return the exit code: 0 after an orderly end, 1 when a shard could not go on."""
        ended = threading.Event()
        renewer = threading.Thread(target=self._renew_until, args=(ended,), name="renewer", daemon=True)
        self.renew()
        renewer.start()
        while not stop.is_set() and not self._failed:
            pause = self._lease_seconds / LOOKS_PER_LEASE
            try:
                pause = min(pause, self.look())
            except OutageError as error:
                logger.warning("the leases can't be read", extra={"reason": str(error)})
            stop.wait(pause)
        if self._shadows is not None:
            self._shadows.stop()
        self._drain()
        ended.set()
        renewer.join(self._lease_seconds)
        self._leave()
        return 1 if self._failed else 0

    def look(self) -> float:
        """Reap what has ended, take what is free, hand over what is too much.

        Returns the seconds until something may become free. Raises OutageError.
        """
        self._reap()
        self._read_shards()
        readings = self._leases.read_all()
        self._watch.observe(readings)
        self._looked_at = self._monotonic()
        shards = readable_shards(self._shards, readings.leases)
        others = self._watch.present() - {self._owner}
        waits = [
            self._consider(shard, readings, shards=len(shards), members=len(others) + 1)
            for shard in shards
            if shard.shard_id not in self._workers
        ]
        self._hand_over(shards, readings, others)
        if self._shadows is not None:
            self._shadows.follow((s for s in shards if s.shard_id not in self._workers), readings, others)
        for owner in self._watch.long_gone(seconds=MEMORY_PER_LEASE * self._lease_seconds):
            self._leases.leave(owner)
        return max(LOOK_SECONDS_MIN, min(waits, default=self._lease_seconds))

    def renew(self) -> None:
        """Renew every lease that is held, and this process's own presence."""
        try:
            self._leases.attend(self._owner, ttl_seconds=self._lease_seconds)
        except OutageError as error:
            logger.warning("the others can't be told of this process", extra={"reason": str(error)})
        for worker in list(self._workers.values()):
            if worker.is_alive() and not worker.lease.is_lost:
                _renew(worker.lease)

    def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether this process reads as leader or stands by, and what it leads."""
        workers = dict(self._workers)
        silences = [self._monotonic() - self._looked_at, *(w.seconds_since_read for w in workers.values())]
        shards: dict[str, Any] = {shard.shard_id: {"role": "standby"} for shard in self._shards}
        shards |= self._shadows.report() if self._shadows is not None else {}
        shards |= {shard_id: worker.report() for shard_id, worker in workers.items()}
        healthy = not self._failed and max(silences) < SILENCE_SECONDS_MAX
        return healthy, {"owner": self._owner, "role": "leader" if workers else "standby", "shards": shards}

    def _read_shards(self) -> None:
        now = self._monotonic()
        if self._shards_read_at is None or now - self._shards_read_at >= SHARDS_READ_SECONDS:
            self._shards = self._shard_list.read()
            self._shards_read_at = now

    def _consider(self, shard: Shard, readings: Readings, *, shards: int, members: int) -> float:
        """Take the shard if it is free and ours to take; return when to look again."""
        seen = readings.leases.get(shard.shard_id)
        above = max((readings.leases[parent].epoch for parent in shard.parents if parent in readings.leases), default=0)
        wait = self._watch.free_in(seen) if seen else 0.0
        if wait:
            self._free_since.pop(shard.shard_id, None)
            return wait
        now = self._monotonic()
        unwanted_seconds = now - self._free_since.setdefault(shard.shard_id, now)
        if self._is_followed_elsewhere(shard, seen, members):
            head_start = self._lease_seconds / HEAD_STARTS_PER_LEASE - unwanted_seconds
            if head_start > 0:
                return head_start
        if may_take(
            held=len(self._workers),
            shards=shards,
            members=members,
            unwanted_seconds=unwanted_seconds,
            patience_seconds=PATIENCE_PER_LEASE * self._lease_seconds,
        ):
            self._take(shard, seen, above=above)
            if unwanted_seconds:
                # Somebody is there who takes nothing: offer it less and less often, for each time costs a pause.
                self._hands_over_every = min(DISAPPOINTMENT_FACTOR * self._hands_over_every, GENEROSITY_SECONDS_MAX)
        return self._lease_seconds

    def _is_followed_elsewhere(self, shard: Shard, seen: LeaseRecord | None, members: int) -> bool:
        """Whether somebody else may have followed the shard, who goes on faster than we could begin."""
        return self._shadows is not None and shard.shard_id not in self._shadows and seen is not None and members > 1

    def _take(self, shard: Shard, seen: LeaseRecord | None, *, above: int) -> None:
        asked_at = self._monotonic()
        record = self._leases.take(
            shard.shard_id, owner=self._owner, ttl_seconds=self._lease_seconds, seen=seen, above=above
        )
        if record is None:
            return
        lease = Lease(self._leases, record, asked_at=asked_at, monotonic=self._monotonic)
        logger.info("leading", extra={"shard": shard.shard_id, "epoch": lease.epoch})
        self._free_since.pop(shard.shard_id, None)
        standby = self._shadows.give_up(shard.shard_id) if self._shadows is not None else None
        worker = self._workers[shard.shard_id] = self._employ(shard, lease, standby)
        worker.start()

    def _hand_over(self, shards: list[Shard], readings: Readings, others: set[str]) -> None:
        now = self._monotonic()
        if others != self._others:
            self._others, self._hands_over_every = others, PATIENCE_PER_LEASE * self._lease_seconds
        if now - self._handed_over_at < self._hands_over_every:
            return
        shard_id = shard_to_release(list(self._workers), shards, readings.leases, others)
        if shard_id is not None:
            logger.info("handing over to who leads fewer", extra={"shard": shard_id})
            self._workers[shard_id].stop()
            self._handed_over_at = now

    def _reap(self) -> None:
        for shard_id, worker in list(self._workers.items()):
            if not worker.is_alive():
                del self._workers[shard_id]
                self._failed = self._failed or worker.failure is not None
                # It may have come to its end, and have children by now.
                self._shards_read_at = None

    def _renew_until(self, ended: threading.Event) -> None:
        while not ended.wait(self._lease_seconds / RENEWALS_PER_LEASE):
            try:
                self.renew()
            except Exception:
                # A defect. Leases that nobody renews would be lost and taken again for ever: better a new process.
                logger.exception("leases can't be renewed any more")
                self._failed = True
                return

    def _leave(self) -> None:
        try:
            self._leases.leave(self._owner)
        except OutageError as error:
            logger.warning("the others will see that this process is gone", extra={"reason": str(error)})

    def _drain(self) -> None:
        for worker in self._workers.values():
            worker.stop()
        deadline = self._monotonic() + DRAIN_SECONDS_MAX
        for shard_id, worker in self._workers.items():
            worker.join(max(0.0, deadline - self._monotonic()))
            if worker.is_alive() or worker.failure is not None:
                logger.error("a shard did not end in order", extra={"shard": shard_id})
                self._failed = True


def _renew(lease: Lease) -> None:
    try:
        lease.renew()
    except LeaseLostError as error:
        logger.warning("the lease was not renewed", extra={"reason": str(error)})
    except OutageError as error:
        logger.warning("the lease can't be renewed now", extra={"reason": str(error)})
