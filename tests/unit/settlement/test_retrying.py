"""The fail queue: what is tried again and when, what waits for two operators, and what a retry leaves."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from exchange.kernel.errors import OutcomeUnknownError
from exchange.settlement.delivery import KeptRecords, StreamRecord, deliver
from exchange.settlement.failures import (
    RETRY_SECONDS_FIRST,
    RETRY_SECONDS_MAX,
    FailureState,
    Stop,
    failed_again,
    hurried,
    new_failure,
)
from exchange.settlement.quarantine import Quarantine
from exchange.settlement.retrying import alarming, retry_due
from moto import mock_aws

from tests.fakes.failures import FakeFailures

SECOND_NS = 1_000_000_000
DEFECT, OUTAGE = Stop("InvariantError: broken", passing=False), Stop("UnavailableError: slow", passing=True)


@dataclass
class Exchange:
    """A product's settlement: a record is the number of its event, the cursor drops what it has."""

    quarantine: KeptRecords
    failures: FakeFailures = field(default_factory=FakeFailures)
    at_ns: int = 10**18
    cursor: int = 0
    away: bool = False
    broken_at: int = 0

    def now_ns(self) -> int:
        return self.at_ns

    def run(self, payload: dict[str, Any]) -> Any:
        if self.away:
            raise OutcomeUnknownError("the machine is away")
        for data in payload["records"]:
            number = int(base64.b64decode(data))
            if number > self.cursor + 1:
                return {"outcome": "poison", "reason": f"GapError: expected {self.cursor + 1}, found {number}"}
            if number == self.broken_at:
                return {"outcome": "poison", "reason": "InvariantError: broken"}
            self.cursor = max(self.cursor, number)
        return {"outcome": "settled", "trades": len(payload["records"])}

    def bring(self, *numbers: int) -> None:
        """What the stream brings, long after it came there."""
        records = [StreamRecord("A-B", str(n), base64.b64encode(str(n).encode()).decode(), 1) for n in numbers]
        deliver(records, machine=self, quarantine=self.quarantine, failures=self.failures, clock=self)

    def retry(self) -> Any:
        return retry_due(failures=self.failures, machine=self, quarantine=self.quarantine, clock=self)


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="quarantine")
        yield Exchange(Quarantine(client, "quarantine"))


def test_an_outage_is_tried_again_when_it_is_due_and_settles_in_order(exchange: Exchange) -> None:
    exchange.away = True
    exchange.bring(1)
    exchange.bring(2, 3)
    exchange.away = False
    assert [failure.open for failure in exchange.retry()] == [True]
    assert exchange.cursor == 0
    exchange.at_ns += RETRY_SECONDS_FIRST * SECOND_NS
    (done,) = exchange.retry()
    assert (done.state, done.records_settled, done.attempts) == (FailureState.SETTLED, 3, 2)
    assert (exchange.cursor, exchange.quarantine.is_paused("A-B"), exchange.retry()) == (3, False, [])
    exchange.bring(4)
    assert exchange.cursor == 4


def test_a_contradiction_is_not_tried_again_by_itself(exchange: Exchange) -> None:
    exchange.broken_at = 2
    exchange.bring(1, 2)
    exchange.broken_at = 0
    exchange.at_ns += 10**18
    (failure,) = exchange.retry()
    assert (failure.state, exchange.cursor) == (FailureState.STOPPED, 1)
    assert exchange.failures.put(hurried(failure, exchange.at_ns))
    (done,) = exchange.retry()
    assert (done.state, exchange.cursor) == (FailureState.SETTLED, 2)


def test_a_retry_of_what_has_settled_meanwhile_changes_nothing(exchange: Exchange) -> None:
    exchange.away = True
    exchange.bring(1, 2)
    exchange.away, exchange.cursor = False, 2
    exchange.at_ns += RETRY_SECONDS_FIRST * SECOND_NS
    (done,) = exchange.retry()
    assert (done.state, exchange.cursor, list(exchange.quarantine.kept("A-B"))) == (FailureState.SETTLED, 2, [])


def test_an_outage_behind_which_there_is_a_contradiction_becomes_one(exchange: Exchange) -> None:
    exchange.away = True
    exchange.bring(1)
    exchange.bring(2)
    exchange.away, exchange.broken_at = False, 2
    exchange.at_ns += RETRY_SECONDS_FIRST * SECOND_NS
    (failure,) = exchange.retry()
    assert (failure.state, failure.records_settled) == (FailureState.STOPPED, 1)
    assert failure.error == "InvariantError: broken"
    assert alarming([failure]) == [failure]


def test_the_word_of_an_operator_who_was_faster_stays(exchange: Exchange) -> None:
    exchange.away = True
    exchange.bring(1)
    exchange.at_ns += RETRY_SECONDS_FIRST * SECOND_NS
    exchange.failures.refuses = True
    (failure,) = exchange.retry()
    assert failure == exchange.failures.open("A-B")
    assert failure.attempts == 1


def test_waits_double_up_to_an_hour_and_begin_anew_where_something_was_settled() -> None:
    failure, waits = new_failure("A-B", "1", OUTAGE, 0), []
    for _ in range(9):
        waits.append(failure.retry_at_ns // SECOND_NS)
        failure = failed_again(failure, OUTAGE, records_settled=0, now_ns=0)
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, RETRY_SECONDS_MAX]
    assert failed_again(failure, OUTAGE, records_settled=1, now_ns=0).retry_at_ns == RETRY_SECONDS_FIRST * SECOND_NS
    assert failed_again(failure, DEFECT, records_settled=1, now_ns=0).retry_at_ns == 0


def test_a_first_retry_to_come_alarms_nobody() -> None:
    failure = new_failure("A-B", "1", OUTAGE, 0)
    assert alarming([failure]) == []
    assert alarming([failed_again(failure, OUTAGE, records_settled=0, now_ns=0)])
    assert alarming([new_failure("A-B", "1", DEFECT, 0)])
