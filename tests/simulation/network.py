"""What lies between a process and a service: time, and what can happen to a call in it."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from greenlet import getcurrent

from tests.fakes.cloud.carrier import Effect, refusal
from tests.simulation.faults import Fault, Faults
from tests.simulation.scheduler import SECOND_NS, Killed, Scheduler, Strand

TRIES_MAX: Final = 3  # what botocore makes of one call
_THROTTLES: Final[Mapping[str, str]] = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "kinesis": "ProvisionedThroughputExceededException",
    "s3": "SlowDown",
    "states": "ThrottlingException",
    "sqs": "RequestThrottled",
}


@dataclass(slots=True)
class _Answer:
    """What a service said, or is about to say."""

    value: Any = None
    error: ClientError | None = None


class Network:
    """Carries every call of every process; the oracle's own, from outside of any process, at once."""

    def __init__(self, scheduler: Scheduler, faults: Faults, seed: int) -> None:
        self._scheduler = scheduler
        self._faults = faults
        self._rng = random.Random(f"{seed}/network")
        self.away: dict[str, int] = {}
        self.busy: dict[tuple[str, str], tuple[int, float]] = {}  # until when, and the share that is turned away

    def now_seconds(self) -> float:
        """The services' time."""
        return self._scheduler.now_ns / SECOND_NS

    def carry(self, service: str, operation: str, effect: Effect, *, lock: Effect | None = None) -> Any:
        """Let `effect` happen in the service, a moment from now, whatever becomes of the caller meanwhile."""
        strand = getcurrent()
        if not isinstance(strand, Strand):
            if lock is not None:
                lock()
            return effect()
        if not strand.process.alive:
            raise Killed
        faults = self._faults
        if self._crashes(strand, Fault.CRASH_BEFORE):
            self._scheduler.die()
        stubborn = faults.hits(Fault.ANSWER_LOST_FOR_GOOD)
        for tries in range(TRIES_MAX):
            error = self._try(service, operation, effect, lock, strand, is_answer_lost=stubborn)
            if isinstance(error, _Answer):
                if error.error is not None:
                    raise _tried(error.error, tries)
                return error.value
            if tries == TRIES_MAX - 1:
                self._scheduler.note("failed", strand.process.name, service, operation)
                raise _tried(error, tries)
            self._scheduler.sleep(self._rng.uniform(0.02, 0.2))
            if strand.process.is_function and faults.hits(Fault.FROZEN):
                strand.process.pause(660.0)
        return None

    def _is_busy(self, service: str, operation: str) -> bool:
        until, share = self.busy.get((service, operation), (0, 0.0))
        return until > self._scheduler.now_ns and self._rng.random() < share

    def _crashes(self, strand: Strand, fault: Fault) -> bool:
        process = strand.process
        if not process.mortal or self._rng.random() * process.calls_per_crash >= 1.0:
            return False
        return self._faults.hits(fault)

    def _try(
        self, service: str, operation: str, effect: Effect, lock: Effect | None, strand: Strand, *, is_answer_lost: bool
    ) -> _Answer | Exception:
        scheduler, faults, rng = self._scheduler, self._faults, self._rng
        travel = rng.uniform(0.001, 0.01)
        if self.away.get(service, 0) > scheduler.now_ns or faults.hits(Fault.REQUEST_LOST):
            scheduler.sleep(travel if rng.random() < 0.8 else 2.0)
            return _lost(ConnectTimeoutError(endpoint_url=service))
        if self._is_busy(service, operation) or faults.hits(Fault.THROTTLED):
            scheduler.sleep(2 * travel)
            return _lost(refusal(_THROTTLES[service], operation))
        answer = _Answer()
        hold = rng.uniform(0.002, 0.02) if lock is not None else 0.0
        self._send(effect, lock, answer, travel, hold)
        if self._crashes(strand, Fault.CRASH_AFTER):
            scheduler.die()
        scheduler.sleep(2 * travel + hold)
        scheduler.note(strand.process.name, service, operation, answer.error is None)
        if is_answer_lost or faults.hits(Fault.ANSWER_LOST):
            scheduler.sleep(0.0 if rng.random() < 0.8 else 8.0)
            return _lost(ReadTimeoutError(endpoint_url=service))
        return answer

    def _send(self, effect: Effect, lock: Effect | None, answer: _Answer, travel: float, hold: float) -> None:
        def land() -> None:
            try:
                answer.value = effect()
            except ClientError as error:
                answer.error = error

        def arrive() -> None:
            if lock is None:
                land()
            else:
                lock()
                self._scheduler.at(hold, land)

        self._scheduler.at(travel, arrive)


def _tried(error: Exception, before: int) -> Exception:
    """An error with what botocore says of the tries before it."""
    if isinstance(error, ClientError):
        error.response.setdefault("ResponseMetadata", {})["RetryAttempts"] = before
    return error


def _lost(error: Exception) -> Exception:
    return error
