"""Standing by warm: following a shard that another process leads, to go on at once where it stops.

A standby applies what the leader applies and publishes nothing. What the leader may not have published yet (the lease
says how far it had come at its last renewal) is kept, for whoever takes the lease over publishes that first. A product
that is paused stays so here: the leader alone lets it go on, and we begin again at its next snapshot.
"""

import threading
from dataclasses import dataclass, replace
from typing import Any, Final

from aws_lambda_powertools import Logger
from exchange.kernel.errors import OutageError

from matcher.intake import Intake
from matcher.lease import LeaseRecord
from matcher.markets import Markets
from matcher.patience import Patience
from matcher.resume import resume
from matcher.shards import Shard
from matcher.snapshots import ShardState
from matcher.stream_reader import BACKLOG_RECORDS_MIN, Batch
from matcher.world import World

# More than this and the leader is not publishing: wait for it instead of filling the memory.
UNPUBLISHED_BYTES_MAX: Final = 64 * 2**20
BEGIN_AGAIN_SECONDS: Final = 10.0
HAND_OVER_SECONDS_MAX: Final = 1.0

logger = Logger(service="matcher", child=True)


class StoodDownError(Exception):
    """Nobody wants this standby any more."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A shard as far as it was followed: its markets, and the state without them."""

    markets: Markets
    state: ShardState


class Standby:
    """Follows one shard until it is told to stop or to hand over what it knows."""

    def __init__(
        self,
        shard: Shard,
        record: LeaseRecord,
        world: World,
        *,
        unpublished_bytes_max: int = UNPUBLISHED_BYTES_MAX,
        begin_again_seconds: float = BEGIN_AGAIN_SECONDS,
    ) -> None:
        """`record` is the lease as it was just read."""
        self._begin_again_seconds = begin_again_seconds
        self._unpublished_bytes_max = unpublished_bytes_max
        self._shard = shard
        self._record = record
        self._world = world
        self._stop = threading.Event()
        # Held while records are applied: whoever takes over waits for what was begun, never for a read in flight.
        self._applying = threading.Lock()
        self._followed: Followed | None = None
        self._begun_at = ""
        self._behind_milliseconds = 0
        self._thread = threading.Thread(target=self.run, name=f"standby-{shard.shard_id}", daemon=True)

    def start(self) -> None:
        """Follow in a thread."""
        self._thread.start()

    def note(self, record: LeaseRecord) -> None:
        """Take note of the lease as it was just read."""
        self._record = record

    def stop(self) -> None:
        """End; what was followed is forgotten."""
        self._stop.set()

    def hand_over(self) -> Followed | None:
        """End, and return what was followed; None where there is nothing to go on from.

        Records that are being applied are seen through. What a read in flight brings is left to the heir to read.
        """
        if not self._applying.acquire(timeout=HAND_OVER_SECONDS_MAX):
            self._stop.set()
            return None
        try:
            self._stop.set()
            return self._followed
        finally:
            self._applying.release()

    def join(self, seconds: float) -> None:
        """Wait for its thread's end, so long at most."""
        self._thread.join(seconds)

    def report(self) -> dict[str, Any]:
        """What the health page shows of this shard."""
        followed = self._followed
        if followed is None:
            return {"role": "standby", "warm": False}
        return {
            "role": "standby",
            "warm": True,
            "position": followed.state.position,
            "behind_milliseconds": self._behind_milliseconds,
            "unpublished_bytes": followed.markets.unpublished_bytes,
        }

    def require(self) -> None:
        """Go on only while somebody wants it. Raises StoodDownError."""
        if self._stop.is_set():
            raise StoodDownError(self._shard.shard_id)

    def run(self) -> None:
        """Follow in the caller's thread. Whatever goes wrong, the shard is in its leader's hands: begin again later."""
        while not self._stop.is_set():
            try:
                self.begin()
                while not self._stop.is_set() and not self._is_outdated():
                    if self.step() < BACKLOG_RECORDS_MIN:
                        self._stop.wait(self._world.follow_seconds)
            except StoodDownError:
                logger.info("stood down", extra={"shard": self._shard.shard_id})
            except OutageError as error:
                logger.warning("nothing to follow from", extra={"shard": self._shard.shard_id, "reason": str(error)})
            except Exception:
                logger.exception("this shard can't be followed", extra={"shard": self._shard.shard_id})
            self._stop.wait(self._begin_again_seconds)

    def begin(self) -> None:
        """Begin at the leader's last snapshot.

        Raises:   ParentUnreadableError, OutageError.
        """
        world, pointer = self._world, self._record.pointer
        markets = Markets(world.engines, world.listings)
        state = resume(self._shard, pointer, leases=world.leases, store=world.snapshots, markets=markets)
        self._begun_at = pointer.position if pointer else ""
        self._reader = world.follow_reader(self._shard.shard_id, state.position or None)
        self._intake = Intake(
            state,
            markets,
            world.quarantine,
            Patience(self, self._stop.wait),
            expected_first=pointer.first_record if pointer else "",
        )
        self._followed = Followed(markets, replace(state, markets={}, paused={}))

    def step(self) -> int:
        """Read once and apply; return how many records there were.

        Raises:   StoodDownError, UnknownVersionError, UnknownRulesError, HistoryLostError: nothing is followed then.
        """
        with self._applying:
            self.require()
            if not self._has_room():
                return 0
        try:
            batch = self._reader.read()
        except OutageError as error:
            logger.warning("nothing could be read", extra={"reason": str(error)})
            return 0
        with self._applying:
            self.require()
            self._apply(batch)
        return len(batch.records)

    def _has_room(self) -> bool:
        """Drop what is published by now; whether more may be kept."""
        markets = self._require_followed().markets
        markets.forget_until(self._record.published_until)
        return markets.unpublished_bytes <= self._unpublished_bytes_max

    def _apply(self, batch: Batch) -> None:
        followed = self._require_followed()
        self._behind_milliseconds = batch.behind_milliseconds
        for market in followed.markets:
            self._world.meter.followed(market.product_id, behind_milliseconds=batch.behind_milliseconds)
        if not batch.records:
            return
        # What was applied of a read that is not seen through must not be gone on from.
        self._followed = None
        for record in batch.records:
            self._intake.take(record)
        state = replace(followed.state, position=self._intake.position, first_record=self._intake.first_record)
        self._followed = Followed(followed.markets, state)

    def _require_followed(self) -> Followed:
        if self._followed is None:
            raise StoodDownError(f"{self._shard.shard_id} is not followed")
        return self._followed

    def _is_outdated(self) -> bool:
        """Whether to begin again: a product is paused here, and the leader has saved a newer state."""
        followed, pointer = self._followed, self._record.pointer
        return (
            followed is not None
            and bool(followed.markets.paused)
            and pointer is not None
            and pointer.position != self._begun_at
        )
