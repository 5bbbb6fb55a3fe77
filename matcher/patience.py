"""Trying again while an outage lasts and the lease holds."""

import random
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from aws_lambda_powertools import Logger
from exchange.kernel.errors import OutageError

PAUSE_SECONDS_MIN: Final = 0.05
PAUSE_SECONDS_MAX: Final = 2.0

_Answer = TypeVar("_Answer")
logger = Logger(service="matcher", child=True)


class Fence(Protocol):
    """Knows whether this process may still act for the shard."""

    def require(self) -> None:
        """Raises LeaseLostError when it may not."""
        ...


class Patience:
    """Repeats what an outage prevented, each time asking the fence first."""

    def __init__(self, fence: Fence, wait: Callable[[float], object]) -> None:
        self._fence = fence
        self._wait = wait

    def insist(self, action: Callable[[], _Answer]) -> _Answer:
        """Do it, however often it takes; it must be harmless to do twice. Raises LeaseLostError."""
        pause = PAUSE_SECONDS_MIN
        while True:
            self._fence.require()
            try:
                return action()
            except OutageError as error:
                logger.warning("an outage: trying again", extra={"reason": str(error), "pause_seconds": pause})
            # Jitter, so that many matchers coming back from one outage don't come back at once.
            self._wait(pause * (0.5 + random.random() / 2))  # noqa: S311 - spreads load, guards nothing
            pause = min(2 * pause, PAUSE_SECONDS_MAX)
