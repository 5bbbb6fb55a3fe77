"""A snapshot is whole or refused, and both engines write the same one."""

import hashlib
import struct
from dataclasses import replace
from random import Random

import pytest

from matcher.engine import SnapshotError, UnknownRulesError, snapshot
from tests.properties.engine_flow import PRODUCT, Flow
from tests.unit.engine.engines import ENGINES, EngineClass


def _snapshot(engine_class: EngineClass) -> bytes:
    engine, flow = engine_class(PRODUCT), Flow(Random(3))
    for _ in range(120):
        engine.apply_packed(flow.command())
    return engine.snapshot()


@pytest.mark.parametrize("engine_class", ENGINES)
def test_every_flipped_byte_and_every_truncation_is_refused(engine_class: EngineClass) -> None:
    whole = _snapshot(engine_class)
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        for data in (bytes(damaged), whole[:position]):
            with pytest.raises(SnapshotError):
                engine_class.restore(data)
    with pytest.raises(SnapshotError):
        engine_class.restore(whole + b"\0")


@pytest.mark.parametrize("engine_class", ENGINES)
def test_a_payload_that_hashes_right_and_makes_no_sense_is_refused(engine_class: EngineClass) -> None:
    whole = _snapshot(engine_class)
    payload = whole[48:]
    for broken in (b"", payload[:100], payload + b"x", b"\xff" * len(payload)):
        header = struct.pack("<4sHHQ32s", b"XSNP", 1, 0, len(broken), hashlib.sha256(broken).digest())
        with pytest.raises(SnapshotError):
            engine_class.restore(header + broken)


def test_every_engine_writes_the_same_snapshot() -> None:
    assert len({_snapshot(engine_class) for engine_class in ENGINES}) == 1


@pytest.mark.parametrize("engine_class", ENGINES)
def test_an_unknown_version_is_never_guessed(engine_class: EngineClass) -> None:
    whole = _snapshot(engine_class)
    with pytest.raises(SnapshotError, match="version 3"):
        engine_class.restore(whole[:4] + struct.pack("<H", 3) + whole[6:])


@pytest.mark.parametrize("engine_class", ENGINES)
def test_rules_that_are_not_known_here_are_never_guessed(engine_class: EngineClass) -> None:
    """The log's switch lies before the snapshot, so nobody meets it again: the snapshot has to say it."""
    saved = snapshot.read_payload(snapshot.checked_payload(_snapshot(engine_class)))
    later = snapshot.seal(snapshot.write_payload(replace(saved, rules_version=2)))
    with pytest.raises(UnknownRulesError, match="rules version 2, here is 1"):
        engine_class.restore(later)
