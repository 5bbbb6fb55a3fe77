"""From the stream to the settlement machine: order, poison, pause and release."""

import base64
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from exchange.kernel.errors import OutcomeUnknownError, UnavailableError
from exchange.messages import MalformedRecordError
from exchange.messages.event_records import EVENTS_MAGIC
from exchange.settlement.delivery import (
    INPUT_CHARACTERS_MAX,
    STREAM_TRIES_NS,
    Delivered,
    KeptRecords,
    Released,
    StreamRecord,
    deliver,
    packed,
    release,
    unpacked,
)
from exchange.settlement.failures import FailureState, Stop
from exchange.settlement.quarantine import Quarantine
from moto import mock_aws

from tests.fakes.failures import FakeFailures

NOW_NS = 10**18


def record(product_id: str, number: int, text: str = "") -> StreamRecord:
    """A record whose bytes say what it is."""
    data = base64.b64encode((text or f"{product_id} {number}").encode()).decode()
    return StreamRecord(product_id, str(number), data)


@dataclass
class World:
    """The quarantine, the fail queue and a clock, as the stream's function has them."""

    quarantine: KeptRecords
    failures: FakeFailures = field(default_factory=FakeFailures)
    at_ns: int = NOW_NS

    def now_ns(self) -> int:
        return self.at_ns

    def deliver(self, records: list[StreamRecord], machine: "Machine") -> Delivered:
        return deliver(records, machine=machine, quarantine=self.quarantine, failures=self.failures, clock=self)


@dataclass
class Machine:
    """Settles everything but the poison, and remembers in which order."""

    poison: set[str] = field(default_factory=set)
    away: bool = False
    reason: str = "InvariantError: broken"
    settled: list[str] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)

    def run(self, payload: dict[str, Any]) -> Any:
        """One execution: all of its records, or none."""
        if self.away:
            raise OutcomeUnknownError("the machine is away")
        texts = [_text(data) for data in payload["records"]]
        self.inputs.append(sum(len(data) for data in payload["records"]))
        if self.poison & set(texts):
            return {"outcome": "poison", "reason": self.reason}
        self.settled += texts
        return {"outcome": "settled", "trades": len(texts)}


def _text(data: str) -> str:
    """A record's text; these have no magic, so what was not packed is told by its being text."""
    raw = base64.b64decode(data)
    return (raw if raw[:1].isascii() and raw[:1] != b"x" else zlib.decompress(raw)).decode()


@pytest.fixture
def world() -> Iterator[World]:
    """The real quarantine over an S3 in memory, and what is beside it."""
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="quarantine")
        yield World(Quarantine(client, "quarantine"))


def test_records_are_settled_in_order_product_by_product(world: World) -> None:
    machine = Machine()
    delivered = world.deliver([record("A-B", 1), record("C-D", 2), record("A-B", 3)], machine)
    assert machine.settled == ["A-B 1", "A-B 3", "C-D 2"]
    assert (delivered.trades, delivered.paused) == ({"A-B": 2, "C-D": 1}, {})


def test_an_execution_takes_whole_records_that_fit(world: World) -> None:
    machine = Machine()
    rng = random.Random(1)
    # What has no pattern can't be deflated.
    large = [rng.randbytes(INPUT_CHARACTERS_MAX // 4).hex() for _ in range(3)]
    world.deliver([record("A-B", number, text) for number, text in enumerate(large)], machine)
    assert machine.settled == large
    assert len(machine.inputs) == 2
    assert max(machine.inputs) <= INPUT_CHARACTERS_MAX


def test_what_repeats_itself_travels_deflated_and_arrives_as_it_was(world: World) -> None:
    machine = Machine()
    text = "received open match done " * 10_000
    world.deliver([record("A-B", 1, text)], machine)
    assert machine.settled == [text]
    assert machine.inputs[0] < len(text) // 50


@pytest.mark.parametrize("size", [10, 10_000])
def test_a_record_is_unpacked_to_its_bytes(size: int) -> None:
    data = EVENTS_MAGIC + bytes(size)
    assert unpacked(packed(base64.b64encode(data).decode())) == data


def test_what_is_neither_a_record_nor_a_packed_one_is_malformed() -> None:
    with pytest.raises(MalformedRecordError):
        unpacked(base64.b64encode(b"something else").decode())


def test_a_poison_record_pauses_its_product_and_no_other(world: World) -> None:
    machine = Machine(poison={"A-B 1"})
    batch = [record("A-B", 1), record("A-B", 2), record("C-D", 3)]
    delivered = world.deliver(batch, machine)
    assert delivered.paused == {"A-B": "InvariantError: broken"}
    assert machine.settled == ["C-D 3"]
    world.deliver([record("A-B", 4), record("C-D", 5)], machine)
    assert machine.settled == ["C-D 3", "C-D 5"]
    assert [kept.sequence_number for kept in world.quarantine.kept("A-B")] == ["1", "2", "4"]


def test_a_batch_that_comes_again_is_kept_once(world: World) -> None:
    machine = Machine(poison={"A-B 1"})
    for _ in range(2):
        world.deliver([record("A-B", 1), record("A-B", 2)], machine)
    assert len(list(world.quarantine.kept("A-B"))) == 2


def test_release_settles_what_was_kept_and_then_lets_go(world: World) -> None:
    machine = Machine(poison={"A-B 9"})
    world.deliver([record("A-B", 9), record("A-B", 10)], machine)
    assert release("A-B", machine=machine, quarantine=world.quarantine) == Released(
        0, Stop("InvariantError: broken", passing=False)
    )
    assert world.quarantine.is_paused("A-B")
    machine.poison.clear()
    assert release("A-B", machine=machine, quarantine=world.quarantine) == Released(2, None)
    assert machine.settled == ["A-B 9", "A-B 10"]
    assert not world.quarantine.is_paused("A-B")


def test_an_outage_keeps_nothing_and_raises(world: World) -> None:
    with pytest.raises(OutcomeUnknownError):
        world.deliver([record("A-B", 1)], Machine(away=True))
    assert list(world.quarantine.kept("A-B")) == []
    assert not world.quarantine.is_paused("A-B")


def test_what_an_outage_hinders_for_a_minute_waits_in_the_queue_and_holds_up_no_other_product(world: World) -> None:
    old, young = NOW_NS - STREAM_TRIES_NS, NOW_NS - STREAM_TRIES_NS + 1
    with pytest.raises(OutcomeUnknownError):
        world.deliver([StreamRecord("A-B", "1", record("A-B", 1).data, young)], Machine(away=True))
    assert world.failures.rows == {}
    delivered = world.deliver([StreamRecord("A-B", "1", record("A-B", 1).data, old)], Machine(away=True))
    assert delivered.paused == {"A-B": "the machine is away"}
    failure = world.failures.open("A-B")
    assert failure is not None
    assert (failure.state, failure.position, failure.attempts) == (FailureState.RETRYING, "1", 1)
    assert failure.retry_at_ns > NOW_NS
    machine = Machine()
    world.deliver([record("A-B", 2), record("C-D", 3)], machine)
    assert machine.settled == ["C-D 3"]


def test_a_contradiction_waits_for_somebody(world: World) -> None:
    world.deliver([record("A-B", 7)], Machine(poison={"A-B 7"}))
    failure = world.failures.open("A-B")
    assert failure is not None
    assert (failure.state, failure.position, failure.error) == (FailureState.STOPPED, "7", "InvariantError: broken")
    assert not failure.due(10**30)


def test_missing_events_that_were_kept_come_by_themselves(world: World) -> None:
    world.quarantine.keep(record("A-B", 1))  # The last that the stream kept, just when its product was let go.
    world.deliver([record("A-B", 2)], Machine(poison={"A-B 2"}, reason="GapError: A-B: expected 1, found 2"))
    failure = world.failures.open("A-B")
    assert failure is not None
    assert failure.state is FailureState.RETRYING


def test_what_fails_behind_a_failure_is_no_second_one(world: World) -> None:
    world.deliver([record("A-B", 1)], Machine(poison={"A-B 1"}))
    world.quarantine.release("A-B")  # As a function that remembers the product running takes it.
    world.deliver([record("A-B", 2)], Machine(poison={"A-B 2"}, reason="GapError: A-B: expected 1, found 2"))
    assert len(world.failures.rows) == 1
    assert [kept.sequence_number for kept in world.quarantine.kept("A-B")] == ["1", "2"]


def test_what_can_not_be_noted_is_not_set_aside(world: World) -> None:
    world.failures.refuses = True
    with pytest.raises(UnavailableError):
        world.deliver([record("A-B", 1)], Machine(poison={"A-B 1"}))
    assert list(world.quarantine.kept("A-B")) == []
    assert not world.quarantine.is_paused("A-B")


def test_what_is_kept_is_always_behind_a_failure(world: World) -> None:
    world.quarantine.pause("A-B", "before there were rows for it")
    world.deliver([record("A-B", 1)], Machine())
    failure = world.failures.open("A-B")
    assert failure is not None
    assert failure.state is FailureState.RETRYING
