"""What could not be settled, a row a failure: why, since when, how often tried, and when next.

A product is settled in order, so at most one failure of it is open; what the stream brings meanwhile waits behind it.
What may pass (an outage, a time-out, conflicts) is tried again by itself, later each time and without end. What
contradicts the records (a balance that would break, a gap, two matchers that differ) waits for two operators: trying
again by itself would only hide it. Nobody can skip a record: the product goes on once all of it is settled.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

RETRY_SETTLEMENT = "settlement.retry"
RETRY_SECONDS_FIRST = 60
RETRY_SECONDS_MAX = 3_600
ERROR_CHARACTERS_MAX = 500
_SECOND_NS = 1_000_000_000
_DOUBLINGS_MAX = 10


class FailureState(StrEnum):
    """What becomes of a failure by itself."""

    RETRYING = "retrying"
    STOPPED = "stopped"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Stop:
    """Why settlement did not go on, and whether that may pass."""

    error: str
    passing: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure. `position` is where its first record stands in the executions stream; `records_settled` counts what
    its retries settled; `attempts` counts tries, each of which the state machine made several times.
    """

    product_id: str
    position: str
    state: FailureState
    error: str
    attempts: int
    first_failed_at_ns: int
    last_failed_at_ns: int
    retry_at_ns: int = 0
    settled_at_ns: int = 0
    records_settled: int = 0
    version: int = 1

    @property
    def open(self) -> bool:
        """Whether its product is not settled."""
        return self.state is not FailureState.SETTLED

    def due(self, now_ns: int) -> bool:
        """Whether it is to be tried again now."""
        return self.state is FailureState.RETRYING and self.retry_at_ns <= now_ns


def new_failure(product_id: str, position: str, stop: Stop, now_ns: int) -> Failure:
    """A failure that was just met."""
    began = Failure(product_id, position, FailureState.RETRYING, "", 0, now_ns, now_ns, version=0)
    return failed_again(began, stop, records_settled=0, now_ns=now_ns)


def failed_again(failure: Failure, stop: Stop, *, records_settled: int, now_ns: int) -> Failure:
    """The failure after one more try that stopped, having settled some records; the waits double."""
    tries = 0 if records_settled else failure.attempts  # Who gets on need not wait longer.
    seconds = min(RETRY_SECONDS_FIRST * 2 ** min(tries, _DOUBLINGS_MAX), RETRY_SECONDS_MAX)
    return replace(
        failure,
        state=FailureState.RETRYING if stop.passing else FailureState.STOPPED,
        error=stop.error[:ERROR_CHARACTERS_MAX],
        attempts=failure.attempts + 1,
        last_failed_at_ns=now_ns,
        retry_at_ns=now_ns + seconds * _SECOND_NS if stop.passing else 0,
        settled_at_ns=0,
        records_settled=failure.records_settled + records_settled,
        version=failure.version + 1,
    )


def settled(failure: Failure, *, records_settled: int, now_ns: int) -> Failure:
    """The failure after a try that left nothing."""
    return replace(
        failure,
        state=FailureState.SETTLED,
        attempts=failure.attempts + 1,
        retry_at_ns=0,
        settled_at_ns=now_ns,
        records_settled=failure.records_settled + records_settled,
        version=failure.version + 1,
    )


def hurried(failure: Failure, now_ns: int) -> Failure:
    """The failure as it is to be tried again at once."""
    return replace(
        failure, state=FailureState.RETRYING, retry_at_ns=now_ns, settled_at_ns=0, version=failure.version + 1
    )
