"""Commands survive packing, and only well-formed records are read."""

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from exchange.messages import (
    COMMANDS_PER_RECORD_MAX,
    Command,
    MalformedRecordError,
    Op,
    RecordError,
    UnknownVersionError,
    decode_commands,
    encode_commands,
)
from exchange.messages.commands import check_record
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.messages.samples import COMMANDS, EXTENDED_COMMANDS, PARAMETERS, PRODUCT_ID

GOLDEN = Path(__file__).parents[2] / "golden" / "messages"
RECORD = encode_commands(PRODUCT_ID, COMMANDS)
EXTENDED_RECORD = encode_commands(PRODUCT_ID, EXTENDED_COMMANDS)
RECORDS = [RECORD, EXTENDED_RECORD]


def test_every_command_survives_packing() -> None:
    record = decode_commands(RECORD)
    assert record.product_id == PRODUCT_ID
    assert record.commands == COMMANDS
    assert decode_commands(EXTENDED_RECORD).commands == EXTENDED_COMMANDS


@pytest.mark.parametrize(("version", "commands"), [("v1", COMMANDS), ("v2", EXTENDED_COMMANDS)])
def test_each_version_has_the_bytes_it_always_had(version: str, commands: tuple[Command, ...]) -> None:
    golden = (GOLDEN / version / "commands.bin").read_bytes()
    assert golden == encode_commands(PRODUCT_ID, commands)
    assert decode_commands(golden).commands == commands


def test_only_a_record_that_extends_a_command_is_of_version_2() -> None:
    assert (RECORD[4], EXTENDED_RECORD[4]) == (1, 2)
    for other in (RECORD[:4] + b"\2" + RECORD[5:], EXTENDED_RECORD[:4] + b"\1" + EXTENDED_RECORD[5:]):
        with pytest.raises(MalformedRecordError):
            decode_commands(other)


def test_an_extension_that_says_nothing_is_refused() -> None:
    with pytest.raises(MalformedRecordError):
        decode_commands(encode_commands(PRODUCT_ID, EXTENDED_COMMANDS[-1:])[:-16] + bytes(16))


@pytest.mark.parametrize("record", RECORDS)
def test_the_quick_look_judges_as_reading_does(record: bytes) -> None:
    read = decode_commands(record)
    assert check_record(record) == (read.product_id, len(read.commands))
    for position in range(len(record)):
        damaged = record[:position] + bytes([record[position] ^ 2]) + record[position + 1 :]
        assert _verdict(check_record, damaged) == _verdict(decode_commands, damaged)


def _verdict(read: Callable[[bytes], object], data: bytes) -> type[RecordError] | None:
    try:
        read(data)
    except RecordError as error:
        return type(error)
    return None


def test_a_record_of_no_commands_is_a_record() -> None:
    assert decode_commands(encode_commands(PRODUCT_ID, [])).commands == ()


def test_what_a_hostile_gateway_says_is_read_and_left_to_the_engine() -> None:
    command = Command(op=200, side=9, order_type=8, time_in_force=7, price=-(2**63), size=2**63 - 1, phase=255)
    assert decode_commands(encode_commands(PRODUCT_ID, [command])).commands == (command,)


@pytest.mark.parametrize("record", RECORDS)
def test_every_truncation_is_refused(record: bytes) -> None:
    for length in range(len(record)):
        with pytest.raises(MalformedRecordError):
            decode_commands(record[:length])


@pytest.mark.parametrize("record", RECORDS)
def test_bytes_behind_the_last_command_are_refused(record: bytes) -> None:
    with pytest.raises(MalformedRecordError):
        decode_commands(record + b"\0")


def test_an_unknown_version_is_never_guessed() -> None:
    with pytest.raises(UnknownVersionError):
        decode_commands(RECORD[:4] + struct.pack("<H", 3) + RECORD[6:])


@pytest.mark.parametrize("product_id", ["", "X" * 25, "ÄCME-USD", "A\nB", "A\0B"])
def test_only_printable_ascii_names_a_product(product_id: str) -> None:
    with pytest.raises(MalformedRecordError):
        encode_commands(product_id, COMMANDS)


@pytest.mark.parametrize(
    "command",
    [
        Command(op=256),
        Command(op=Op.CANCEL, order_id=2**63),
        Command(op=Op.CANCEL, command_id=b"short"),
        Command(op=Op.CONFIGURE),
        Command(op=Op.CONFIGURE, parameters=PARAMETERS, trail_amount=1),
        Command(op=Op.PLACE, oco_order_id=2**63),
        Command(op=Op.CONFIGURE, parameters=replace(PARAMETERS, base_increment="0" * 41)),
    ],
)
def test_what_does_not_fit_is_refused_before_it_travels(command: Command) -> None:
    with pytest.raises(MalformedRecordError):
        encode_commands(PRODUCT_ID, [command])


def test_a_record_is_never_longer_than_its_count_can_say() -> None:
    with pytest.raises(MalformedRecordError):
        encode_commands(PRODUCT_ID, [COMMANDS[3]] * (COMMANDS_PER_RECORD_MAX + 1))


@given(st.binary(max_size=400))
def test_noise_is_refused_and_nothing_else_happens(noise: bytes) -> None:
    with pytest.raises(RecordError):
        decode_commands(noise)


@given(st.sampled_from(RECORDS), st.integers(0, min(map(len, RECORDS)) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_read_or_refused(record: bytes, position: int, mask: int) -> None:
    damaged = bytearray(record)
    damaged[position] ^= mask
    try:
        read = decode_commands(bytes(damaged))
    except RecordError:
        return
    assert encode_commands(read.product_id, read.commands) == bytes(damaged)
