"""When a shard's state is saved, and in which order: the snapshot first, then the pointer to it."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Final

from aws_lambda_powertools import Logger
from exchange.kernel.errors import OutageError

from matcher.lease import Lease, LeaseLostError, Pointer
from matcher.snapshots import ShardState, SnapshotStore, encode_state, snapshot_key

SNAPSHOTS_KEPT: Final = 3
# Saving may take a twentieth of the time, and a market in which nothing happens is saved six times less often.
SAVING_SHARE: Final = 20
QUIET_FACTOR: Final = 6

logger = Logger(service="matcher", child=True)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to save: after so many seconds or commands, whichever comes first."""

    seconds: float
    commands: int


class Checkpoints:
    """Saves one shard's states, in the background where the executor is one.

    Trading goes on while snapshots can't be saved: the next start replays more, and the log says so.
    """

    def __init__(
        self,
        lease: Lease,
        store: SnapshotStore,
        executor: Executor,
        pace: Pace,
        monotonic: Callable[[], float],
    ) -> None:
        self._lease = lease
        self._store = store
        self._executor = executor
        self._pace = pace
        self._monotonic = monotonic
        self._snapshots = lease.pointer.snapshots if lease.pointer else ()
        self._saving: Future[None] | None = None
        self._saved_at = monotonic()
        self._took_seconds = 0.0
        self._commands = 0
        self._is_quiet = True

    def note(self, *, commands: int, spoke: bool) -> None:
        """Count what was applied and published since the last save."""
        self._commands += commands
        self._is_quiet = self._is_quiet and not spoke

    def is_due(self) -> bool:
        """Whether it is time to save. Raises what went wrong with the last save, an outage excepted."""
        if not self._commands or not self._is_idle():
            return False
        age = self._monotonic() - self._saved_at
        if age < SAVING_SHARE * self._took_seconds:
            return False
        return self._commands >= self._pace.commands or age >= self._pace.seconds * (
            QUIET_FACTOR if self._is_quiet else 1
        )

    def save(self, capture: Callable[[], ShardState]) -> None:
        """Take the state now and save it; what `capture` returns was published to its last event."""
        began = self._monotonic()
        data_of = capture()
        self._commands, self._is_quiet, self._saved_at = 0, True, began
        self._saving = self._executor.submit(self._save, data_of, began)

    def save_last(self, state: ShardState, *, finished: bool) -> None:
        """Save the state this reign ends with, and wait for it. Raises LeaseLostError, OutageError."""
        if self._saving is not None:
            self._saving.exception()
        self._write(state, finished=finished)

    def _is_idle(self) -> bool:
        if self._saving is None:
            return True
        if not self._saving.done():
            return False
        saving, self._saving = self._saving, None
        saving.result()
        return True

    def _save(self, state: ShardState, began: float) -> None:
        try:
            self._write(state, finished=False)
        except OutageError as error:
            logger.warning("the snapshot was not saved", extra={"shard": state.shard_id, "reason": str(error)})
        except LeaseLostError:
            logger.warning("the lease went before the snapshot was saved", extra={"shard": state.shard_id})
        self._took_seconds = self._monotonic() - began

    def _write(self, state: ShardState, *, finished: bool) -> None:
        key = snapshot_key(state.shard_id, epoch=self._lease.epoch, position=state.position or "0")
        self._lease.require()
        self._store.save(key, encode_state(state))
        kept = (key, *(old for old in self._snapshots if old != key))
        self._lease.point(Pointer(state.position, state.first_record, kept[:SNAPSHOTS_KEPT]), finished=finished)
        self._snapshots = kept[:SNAPSHOTS_KEPT]
        for old in kept[SNAPSHOTS_KEPT:]:
            self._forget(old)

    def _forget(self, key: str) -> None:
        try:
            self._store.delete(key)
        except OutageError as error:
            logger.warning("an old snapshot stays", extra={"key": key, "reason": str(error)})
