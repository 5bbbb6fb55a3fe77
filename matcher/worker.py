"""One shard's reign from the lease to its release."""

import threading
from typing import Any, Final

from aws_lambda_powertools import Logger
from exchange.kernel.errors import OutageError

from matcher.checkpoints import Checkpoints
from matcher.lease import Lease, LeaseLostError
from matcher.loop import ShardLoop
from matcher.markets import Markets
from matcher.patience import PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN, Patience
from matcher.publisher import Publisher
from matcher.resume import ParentUnreadableError, resume
from matcher.shards import Shard
from matcher.snapshots import ShardState
from matcher.standby import Standby
from matcher.stream_reader import BACKLOG_RECORDS_MIN, Batch
from matcher.ticks import Ticker
from matcher.world import World

RELEASES_READ_SECONDS: Final = 5.0
logger = Logger(service="matcher", child=True)


class ShardWorker:
    """Reigns over one shard until told to stop, until the lease is lost, or until the shard ends."""

    def __init__(self, shard: Shard, lease: Lease, world: World, *, standby: Standby | None = None) -> None:
        """`standby` has followed the shard so far."""
        self.shard = shard
        self.lease = lease
        self._standby = standby
        self.failure: BaseException | None = None
        self._world = world
        self._stop = threading.Event()
        self._loop: ShardLoop | None = None
        self._read_at = world.monotonic()
        self._behind_milliseconds = 0
        self._pauses_seen_at = 0.0
        self._thread = threading.Thread(target=self.run, name=shard.shard_id, daemon=True)

    def start(self) -> None:
        """Reign in a thread."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether the reign goes on."""
        return self._thread.is_alive()

    def join(self, seconds: float) -> None:
        """Wait for its end, so long at most."""
        self._thread.join(seconds)

    def stop(self) -> None:
        """Ask for an orderly end: the batch in flight, a snapshot, the pointer, the lease."""
        self._stop.set()

    def run(self) -> None:
        """Reign in the caller's thread. What went wrong, if anything did, is in `failure` afterwards."""
        try:
            self._reign()
        except LeaseLostError as error:
            logger.warning("the lease is lost: standing by", extra={"reason": str(error)})
        except ParentUnreadableError as error:
            logger.exception("waiting for the parent to be read again", extra={"shard": self.shard.shard_id})
            self._reopen(error.parents)
            self._release()
        except BaseException as error:
            logger.exception("this shard can't go on", extra={"shard": self.shard.shard_id})
            self.failure = error
            self._release()

    def report(self) -> dict[str, Any]:
        """What the health page shows of this shard."""
        loop = self._loop
        return {
            "role": "leader",
            "epoch": self.lease.epoch,
            "position": loop.position if loop else "",
            "behind_milliseconds": self._behind_milliseconds,
            "sequences": loop.sequences if loop else {},
            "paused": loop.paused if loop else {},
        }

    @property
    def seconds_since_read(self) -> float:
        """How long ago the stream last answered."""
        return self._world.monotonic() - self._read_at

    def _reign(self) -> None:
        world, patience = self._world, Patience(self.lease, self._world.sleep)
        markets, state = self._beginning(patience)
        reader = world.open_reader(self.shard.shard_id, state.position or None)
        loop = self._loop = ShardLoop(
            lease=self.lease,
            state=state,
            markets=markets,
            reader=reader,
            publisher=Publisher(world.executions, patience),
            checkpoints=Checkpoints(self.lease, world.snapshots, world.saver, world.pace, world.monotonic),
            quarantine=world.quarantine,
            patience=patience,
            meter=world.meter,
            wall_ns=world.wall_ns,
        )
        try:
            is_end = self._run(loop)
        finally:
            reader.close()
        self._end(loop, is_end=is_end)

    def _beginning(self, patience: Patience) -> tuple[Markets, ShardState]:
        """Where to go on: what the standby has followed, else the last snapshot."""
        world = self._world
        followed = self._standby.hand_over() if self._standby else None
        if followed is not None:
            markets, state = followed.markets, followed.state
        else:
            markets = Markets(world.engines, world.listings)
            state = patience.insist(
                lambda: resume(
                    self.shard, self.lease.pointer, leases=world.leases, store=world.snapshots, markets=markets
                )
            )
        logger.info(
            "resumed",
            extra={
                "shard": self.shard.shard_id,
                "epoch": self.lease.epoch,
                "position": state.position,
                "warm": followed is not None,
            },
        )
        return markets, state

    def _run(self, loop: ShardLoop) -> bool:
        ticker = Ticker(self._world.orders, seconds=self._world.tick_seconds, monotonic=self._world.monotonic)
        pause = PAUSE_SECONDS_MIN
        while not self._stop.is_set():
            try:
                batch = loop.step()
            except OutageError as error:
                logger.warning("nothing could be read", extra={"reason": str(error)})
                self._stop.wait(pause)
                pause = min(2 * pause, PAUSE_SECONDS_MAX)
                continue
            pause = PAUSE_SECONDS_MIN
            self._note(batch)
            if batch.is_end:
                return True
            self._end_pauses(loop)
            ticker.tick(loop.sequences)
            # A pause keeps to the reads that Kinesis grants and lets a batch gather; a backlog is read without.
            if len(batch.records) < BACKLOG_RECORDS_MIN:
                self._stop.wait(self._world.poll_seconds)
        return False

    def _end_pauses(self, loop: ShardLoop) -> None:
        """Every few seconds, see whether an operator has released a paused product."""
        now = self._world.monotonic()
        if not loop.paused or now < self._pauses_seen_at + RELEASES_READ_SECONDS:
            return
        self._pauses_seen_at = now
        for product_id, record in loop.paused.items():
            try:
                if self._world.releases.is_released(product_id, record):
                    reader = self._world.open_reader_at(self.shard.shard_id, record)
                    logger.info("going on", extra={"product": product_id, "ended": loop.go_on(product_id, reader)})
            except OutageError as error:
                logger.warning("the pause goes on", extra={"product": product_id, "reason": str(error)})

    def _note(self, batch: Batch) -> None:
        self._read_at = self._world.monotonic()
        self._behind_milliseconds = batch.behind_milliseconds

    def _end(self, loop: ShardLoop, *, is_end: bool) -> None:
        try:
            loop.finish(is_end=is_end)
        except OutageError as error:
            # A shard's end must be saved before its children begin; anything else is replayed by whoever comes next.
            if is_end:
                raise
            logger.warning("the last snapshot was not saved", extra={"reason": str(error)})
        self._release()
        logger.info("released", extra={"shard": self.shard.shard_id, "finished": is_end, "position": loop.position})

    def _reopen(self, parents: tuple[str, ...]) -> None:
        try:
            for parent in parents:
                self._world.leases.reopen(parent)
        except OutageError as error:
            logger.warning("the parent was not opened again: next time", extra={"reason": str(error)})

    def _release(self) -> None:
        try:
            self.lease.release()
        except (LeaseLostError, OutageError) as error:
            logger.warning("the lease was not released: it will run out", extra={"reason": str(error)})
