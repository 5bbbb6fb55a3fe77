"""Reading a shard by subscription: Kinesis pushes the records, and nobody else's reading slows ours."""

import queue
import threading
from collections.abc import Callable
from typing import Any, Final

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from exchange.kernel.errors import UnavailableError
from urllib3.exceptions import HTTPError

from matcher.stream_reader import Batch, stream_record

BATCHES_WAITING_MAX: Final = 8
RESUBSCRIBE_SECONDS: Final = 1.0

logger = Logger(service="matcher", child=True)


class FanOutReader:
    """Subscribes as one consumer, again whenever the subscription ends (after 5 minutes at most)."""

    def __init__(
        self,
        client: Any,
        consumer_arn: str,
        shard_id: str,
        *,
        after: str | None,
        wait_seconds: float,
        sleep: Callable[[float], object],
    ) -> None:
        """Start behind the record `after`; None starts at the oldest. A read waits `wait_seconds` for records."""
        self._client = client
        self._consumer_arn = consumer_arn
        self._shard_id = shard_id
        self._after = after
        self._wait_seconds = wait_seconds
        self._sleep = sleep
        # Bounded: a reader that falls behind makes Kinesis wait instead of filling the memory.
        self._arrived: queue.Queue[Batch | Exception] = queue.Queue(BATCHES_WAITING_MAX)
        self._closed = threading.Event()
        self._last: Batch | None = None
        self._thread = threading.Thread(target=self._receive, name=f"fan-out-{shard_id}", daemon=True)
        self._thread.start()

    def read(self) -> Batch:
        """The next records pushed; none after a while without. Raises UnavailableError, and a defect as it is."""
        if self._last is not None:
            return self._last
        try:
            arrived = self._arrived.get(timeout=self._wait_seconds)
        except queue.Empty:
            return Batch(())
        if isinstance(arrived, Exception):
            raise arrived
        if arrived.is_end:
            self._last = Batch((), is_end=True)
        return arrived

    def close(self) -> None:
        """End the subscription at its next event (one comes every few seconds); nothing waits for that."""
        self._closed.set()

    def _receive(self) -> None:
        while not self._closed.is_set():
            try:
                is_end = self._receive_one_subscription()
            except (ClientError, BotoCoreError, HTTPError, OSError) as error:
                if not self._closed.is_set():
                    self._hand_over(UnavailableError(f"{self._consumer_arn}: {error}"))
                    self._sleep(RESUBSCRIBE_SECONDS)
            except Exception as error:  # noqa: BLE001 - a thread that died in silence would look like a quiet market
                self._hand_over(error)
                return
            else:
                if is_end:
                    return

    def _receive_one_subscription(self) -> bool:
        start: dict[str, str] = {"Type": "TRIM_HORIZON"}
        if self._after is not None:
            start = {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": self._after}
        answer = self._client.subscribe_to_shard(
            ConsumerARN=self._consumer_arn, ShardId=self._shard_id, StartingPosition=start
        )
        subscription = answer["EventStream"]
        for event in subscription:
            if self._closed.is_set():
                subscription.close()
                return False
            pushed = event["SubscribeToShardEvent"]
            # A shard that was split or merged ends by naming its children.
            is_end = bool(pushed.get("ChildShards"))
            records = tuple(map(stream_record, pushed["Records"]))
            if records or is_end:
                self._hand_over(Batch(records, is_end=is_end, behind_milliseconds=pushed["MillisBehindLatest"]))
            if is_end:
                return True
            if records:
                self._after = records[-1].sequence_number
        return False

    def _hand_over(self, arrived: Batch | Exception) -> None:
        while not self._closed.is_set():
            try:
                self._arrived.put(arrived, timeout=RESUBSCRIBE_SECONDS)
            except queue.Full:
                continue
            return
