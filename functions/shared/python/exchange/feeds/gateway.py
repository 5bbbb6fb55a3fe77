"""The way out: API Gateway's management API for messages, Lambda for waking the pulse."""

import itertools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from exchange.aws.clients import client_at
from exchange.feeds.model import Pushed
from exchange.kernel.clock import Clock

WORKERS_MAX: Final = 16
PUSH_SECONDS_MAX: Final = 10.0
_LOG = logging.getLogger(__name__)


class ManagementApi:
    """Posts to connections, many at once and each connection's messages in order.

    A push ends after `seconds_max`: whom it has not come to has failed, and the next push begins with others.
    """

    def __init__(
        self, client: Any, monotonic: Callable[[], float] = time.monotonic, *, seconds_max: float = PUSH_SECONDS_MAX
    ) -> None:
        self._client = client
        self._seconds_max = seconds_max
        self._monotonic = monotonic
        self._pool = ThreadPoolExecutor(WORKERS_MAX)
        self._turn = itertools.count()

    @classmethod
    def at(cls, endpoint: str, *, seconds_max: float = PUSH_SECONDS_MAX) -> "ManagementApi":
        """The management API of the WebSocket API with this endpoint."""
        config = Config(
            connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1}, max_pool_connections=WORKERS_MAX
        )
        return cls(client_at("apigatewaymanagementapi", endpoint, config), seconds_max=seconds_max)

    def push(self, messages: Mapping[str, Sequence[str]]) -> Pushed:
        """Send each connection its messages, in order; the first that fails ends a connection's."""
        deadline = self._monotonic() + self._seconds_max
        names = _from_another(list(messages), next(self._turn))
        if len(names) == 1:
            outcomes = [self._push_one(names[0], messages[names[0]], deadline)]
        else:
            outcomes = list(self._pool.map(lambda name: self._push_one(name, messages[name], deadline), names))
        by_outcome = dict(zip(names, outcomes, strict=True))
        return Pushed(
            gone=frozenset(name for name, outcome in by_outcome.items() if outcome == "gone"),
            failed=frozenset(name for name, outcome in by_outcome.items() if outcome == "failed"),
        )

    def disconnect(self, connection_id: str) -> None:
        """End a connection from our side. One that has ended already, or does not answer, is left to its time-out."""
        try:
            self._client.delete_connection(ConnectionId=connection_id)
        except (ClientError, BotoCoreError):
            return

    def _push_one(self, connection_id: str, texts: Sequence[str], deadline: float) -> str:
        try:
            for text in texts:
                if self._monotonic() > deadline:
                    return "failed"
                self._client.post_to_connection(ConnectionId=connection_id, Data=text.encode())
        except ClientError as error:
            return "gone" if error.response.get("Error", {}).get("Code") == "GoneException" else "failed"
        except BotoCoreError:
            return "failed"
        return "taken"


class Runs(Protocol):
    """Where the runs of the pulse are known."""

    def pulse(self) -> tuple[str, int]:
        """The run that goes on and until when, in nanoseconds; empty and 0 where none does."""
        ...


class LambdaPulse:
    """Wakes the function of the pulse where none of its runs goes on. Who can't wake it leaves that to its schedule."""

    def __init__(self, client: Any, function: str, runs: Runs, clock: Clock) -> None:
        self._client = client
        self._function = function
        self._runs = runs
        self._clock = clock

    def wake(self) -> None:
        """Start a run, unless one goes on."""
        run, until_ns = self._runs.pulse()
        if run and self._clock.now_ns() < until_ns:
            return
        try:
            self._client.invoke(FunctionName=self._function, InvocationType="Event")
        except (ClientError, BotoCoreError) as error:
            _LOG.warning("the pulse was not woken: %s", error)


def _from_another(names: list[str], turn: int) -> list[str]:
    """The names, each turn from another beginning, so that the same ones are not always the last."""
    start = turn * 7919 % len(names) if names else 0  # A prime: it comes by everybody, whatever their number.
    return names[start:] + names[:start]
