"""Commands survive packing, and only well-formed records are read."""

import struct
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
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.messages.samples import COMMANDS, PARAMETERS, PRODUCT_ID

GOLDEN = Path(__file__).parents[2] / "golden" / "messages" / "v1" / "commands.bin"
RECORD = encode_commands(PRODUCT_ID, COMMANDS)


def test_every_command_survives_packing() -> None:
    record = decode_commands(RECORD)
    assert record.product_id == PRODUCT_ID
    assert record.commands == COMMANDS


def test_version_1_has_the_bytes_it_always_had() -> None:
    assert GOLDEN.read_bytes() == RECORD
    assert decode_commands(GOLDEN.read_bytes()).commands == COMMANDS


def test_a_record_of_no_commands_is_a_record() -> None:
    assert decode_commands(encode_commands(PRODUCT_ID, [])).commands == ()


def test_what_a_hostile_gateway_says_is_read_and_left_to_the_engine() -> None:
    command = Command(op=200, side=9, order_type=8, time_in_force=7, price=-(2**63), size=2**63 - 1, phase=255)
    assert decode_commands(encode_commands(PRODUCT_ID, [command])).commands == (command,)


def test_every_truncation_is_refused() -> None:
    for length in range(len(RECORD)):
        with pytest.raises(MalformedRecordError):
            decode_commands(RECORD[:length])


def test_bytes_behind_the_last_command_are_refused() -> None:
    with pytest.raises(MalformedRecordError):
        decode_commands(RECORD + b"\0")


def test_an_unknown_version_is_never_guessed() -> None:
    with pytest.raises(UnknownVersionError):
        decode_commands(RECORD[:4] + struct.pack("<H", 2) + RECORD[6:])


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


@given(st.integers(0, len(RECORD) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_read_or_refused(position: int, mask: int) -> None:
    damaged = bytearray(RECORD)
    damaged[position] ^= mask
    try:
        record = decode_commands(bytes(damaged))
    except RecordError:
        return
    assert encode_commands(record.product_id, record.commands) == bytes(damaged)
