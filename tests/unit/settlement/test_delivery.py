"""From the stream to the settlement machine: order, poison, pause and release."""

import base64
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from exchange.kernel.errors import OutcomeUnknownError
from exchange.messages import MalformedRecordError
from exchange.messages.event_records import EVENTS_MAGIC
from exchange.settlement.delivery import (
    INPUT_CHARACTERS_MAX,
    KeptRecords,
    StreamRecord,
    deliver,
    packed,
    release,
    unpacked,
)
from exchange.settlement.quarantine import Quarantine
from moto import mock_aws


def record(product_id: str, number: int, text: str = "") -> StreamRecord:
    """A record whose bytes say what it is."""
    data = base64.b64encode((text or f"{product_id} {number}").encode()).decode()
    return StreamRecord(product_id, str(number), data)


@dataclass
class Machine:
    """Settles everything but the poison, and remembers in which order."""

    poison: set[str] = field(default_factory=set)
    away: bool = False
    settled: list[str] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)

    def run(self, payload: dict[str, Any]) -> Any:
        """One execution: all of its records, or none."""
        if self.away:
            raise OutcomeUnknownError("the machine is away")
        texts = [_text(data) for data in payload["records"]]
        self.inputs.append(sum(len(data) for data in payload["records"]))
        if self.poison & set(texts):
            return {"outcome": "poison", "reason": "InvariantError: broken"}
        self.settled += texts
        return {"outcome": "settled", "trades": len(texts)}


def _text(data: str) -> str:
    """A record's text; these have no magic, so what was not packed is told by its being text."""
    raw = base64.b64decode(data)
    return (raw if raw[:1].isascii() and raw[:1] != b"x" else zlib.decompress(raw)).decode()


@pytest.fixture
def quarantine() -> Iterator[KeptRecords]:
    """The real quarantine over an S3 in memory."""
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="quarantine")
        yield Quarantine(client, "quarantine")


def test_records_are_settled_in_order_product_by_product(quarantine: KeptRecords) -> None:
    machine = Machine()
    delivered = deliver([record("A-B", 1), record("C-D", 2), record("A-B", 3)], machine=machine, quarantine=quarantine)
    assert machine.settled == ["A-B 1", "A-B 3", "C-D 2"]
    assert (delivered.trades, delivered.paused) == ({"A-B": 2, "C-D": 1}, {})


def test_an_execution_takes_whole_records_that_fit(quarantine: KeptRecords) -> None:
    machine = Machine()
    rng = random.Random(1)
    # What has no pattern can't be deflated.
    large = [rng.randbytes(INPUT_CHARACTERS_MAX // 4).hex() for _ in range(3)]
    deliver([record("A-B", number, text) for number, text in enumerate(large)], machine=machine, quarantine=quarantine)
    assert machine.settled == large
    assert len(machine.inputs) == 2
    assert max(machine.inputs) <= INPUT_CHARACTERS_MAX


def test_what_repeats_itself_travels_deflated_and_arrives_as_it_was(quarantine: KeptRecords) -> None:
    machine = Machine()
    text = "received open match done " * 10_000
    deliver([record("A-B", 1, text)], machine=machine, quarantine=quarantine)
    assert machine.settled == [text]
    assert machine.inputs[0] < len(text) // 50


@pytest.mark.parametrize("size", [10, 10_000])
def test_a_record_is_unpacked_to_its_bytes(size: int) -> None:
    data = EVENTS_MAGIC + bytes(size)
    assert unpacked(packed(base64.b64encode(data).decode())) == data


def test_what_is_neither_a_record_nor_a_packed_one_is_malformed() -> None:
    with pytest.raises(MalformedRecordError):
        unpacked(base64.b64encode(b"something else").decode())


def test_a_poison_record_pauses_its_product_and_no_other(quarantine: KeptRecords) -> None:
    machine = Machine(poison={"A-B 1"})
    batch = [record("A-B", 1), record("A-B", 2), record("C-D", 3)]
    delivered = deliver(batch, machine=machine, quarantine=quarantine)
    assert delivered.paused == {"A-B": "InvariantError: broken"}
    assert machine.settled == ["C-D 3"]
    deliver([record("A-B", 4), record("C-D", 5)], machine=machine, quarantine=quarantine)
    assert machine.settled == ["C-D 3", "C-D 5"]
    assert [kept.sequence_number for kept in quarantine.kept("A-B")] == ["1", "2", "4"]


def test_a_batch_that_comes_again_is_kept_once(quarantine: KeptRecords) -> None:
    machine = Machine(poison={"A-B 1"})
    for _ in range(2):
        deliver([record("A-B", 1), record("A-B", 2)], machine=machine, quarantine=quarantine)
    assert len(list(quarantine.kept("A-B"))) == 2


def test_release_settles_what_was_kept_and_then_lets_go(quarantine: KeptRecords) -> None:
    machine = Machine(poison={"A-B 9"})
    deliver([record("A-B", 9), record("A-B", 10)], machine=machine, quarantine=quarantine)
    assert release("A-B", machine=machine, quarantine=quarantine) == (0, "InvariantError: broken")
    assert quarantine.is_paused("A-B")
    machine.poison.clear()
    assert release("A-B", machine=machine, quarantine=quarantine) == (2, "")
    assert machine.settled == ["A-B 9", "A-B 10"]
    assert not quarantine.is_paused("A-B")


def test_an_outage_keeps_nothing_and_raises(quarantine: KeptRecords) -> None:
    with pytest.raises(OutcomeUnknownError):
        deliver([record("A-B", 1)], machine=Machine(away=True), quarantine=quarantine)
    assert list(quarantine.kept("A-B")) == []
    assert not quarantine.is_paused("A-B")
