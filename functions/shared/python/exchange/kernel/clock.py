"""Time as an argument: rules are told the time, only the composition root asks for it."""

import datetime as dt
import random
import time
from typing import Protocol


class Clock(Protocol):
    """Where a use case learns what time it is."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970, UTC."""
        ...


class SystemClock:
    """The machine's clock. Used by composition roots only."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970, UTC."""
        return time.time_ns()


def iso_utc(time_ns: int) -> str:
    """Nanoseconds since 1970 as ISO text in UTC with microseconds, like 2026-01-31T12:00:00.000000Z."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    moment = dt.datetime.fromtimestamp(seconds, tz=dt.UTC).replace(microsecond=nanoseconds // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def jittered_pause(attempt: int) -> None:
    """Wait before trying again after the n-th conflict in a row: 4 ms doubling to 128 ms, half of it by chance."""
    longest = 0.004 * 2 ** min(attempt, 5)
    time.sleep(random.uniform(longest / 2, longest))  # noqa: S311 - jitter, not a secret
