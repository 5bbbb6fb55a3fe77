"""How long a market stands still when its leader is killed: two real matchers on a laptop cloud, `kill -9`, orders all
the time, until the first event of the next epoch is on the executions stream.
"""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from exchange.messages import decode_events, encode_commands

from bench.engines.flow import PRODUCT_ID, Mix
from tests.integration.matcher_cloud import PREFIX, Cloud, Follower, Matcher, start_cloud, wait_for

BOOK: Final = 20_000
RECORD: Final = 20
PAUSE_SECONDS: Final = 0.02
WAIT_SECONDS_MAX: Final = 60.0
# As the container runs: nothing of it is tuned for this.
SETTINGS: Final = {"POLL_MILLISECONDS": "200"}


@dataclass(frozen=True, slots=True)
class Takeover:
    """Seconds from each kill to the first event of the next leader."""

    seconds: list[float]
    orders: int


def measure_takeover(seed: int, kills: int) -> Takeover:
    """Kill the leader so many times; the other takes over, and the killed one comes back to stand by."""
    with tempfile.TemporaryDirectory(prefix="bench-takeover-") as name:
        folder = Path(name)
        cloud = start_cloud(folder)
        matchers = [Matcher(cloud, folder / f"{letter}.log", settings=dict(SETTINGS)) for letter in "ab"]
        try:
            return _measure(cloud, matchers, seed, kills)
        finally:
            for matcher in matchers:
                matcher.kill()
            cloud.stop()


def _measure(cloud: Cloud, matchers: list[Matcher], seed: int, kills: int) -> Takeover:
    flow = Mix(seed, resting=BOOK)
    kinesis = cloud.client("kinesis")
    book = list(flow.book(BOOK))
    for start in range(0, BOOK, 1_000):
        _put(kinesis, encode_commands(PRODUCT_ID, book[start : start + 1_000]))
    executions = cloud.follow("executions")
    matchers[0].start()
    wait_for(matchers[0].leads, "the first matcher does not lead", seconds=WAIT_SECONDS_MAX)
    matchers[1].start()
    seconds = []
    with _orders(kinesis, flow):
        for _ in range(kills):
            wait_for(lambda: any(matcher.stands_by() for matcher in matchers), "nobody stands by")
            leader = next(matcher for matcher in matchers if matcher.leads())
            wait_for(lambda: _epoch(executions) > 0, "no events", seconds=WAIT_SECONDS_MAX)
            # Snapshots are taken every ten seconds: kill at some moment between two.
            time.sleep(3.7)
            epoch = _epoch(executions)
            killed = time.monotonic()
            leader.kill()
            wait_for(lambda before=epoch: _epoch(executions) > before, "nobody took over", seconds=WAIT_SECONDS_MAX)  # type: ignore[misc]
            seconds.append(time.monotonic() - killed)
            leader.start()
    return Takeover(seconds, BOOK)


def _epoch(executions: Follower) -> int:
    """The highest epoch in what has come since it was last asked."""
    return max((decode_events(record["Data"]).epoch for record in executions.read()), default=0)


def _put(kinesis: Any, data: bytes) -> None:
    kinesis.put_record(StreamName=f"{PREFIX}-orders", PartitionKey=PRODUCT_ID, Data=data)


@contextmanager
def _orders(kinesis: Any, flow: Mix) -> Iterator[None]:
    """Orders all the time, from a thread."""
    ended, commands = threading.Event(), flow.commands()

    def put_all() -> None:
        while not ended.wait(PAUSE_SECONDS):
            _put(kinesis, encode_commands(PRODUCT_ID, list(islice(commands, RECORD))))

    thread = threading.Thread(target=put_all, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
