"""The engine's judgement of a record is that of whoever decodes it."""

from exchange.messages import RecordError, decode_commands, encode_commands
from exchange.messages.commands import COMMAND_HEADER, COMMAND_STRUCT, check_record
from hypothesis import given
from hypothesis import strategies as st

from matcher.engine.fast.classes import has_strange_bits
from tests.unit.messages.samples import COMMANDS, PRODUCT_ID

PLAIN = encode_commands(PRODUCT_ID, COMMANDS[:9])


def verdict(data: bytes, *, by_engine: bool) -> object:
    """Product and number of commands, or what is wrong."""
    try:
        if by_engine:
            return check_record(data, has_strange_bits)
        record = decode_commands(data)
    except RecordError as error:
        return type(error)
    return record.product_id, len(record.commands)


def test_a_plain_record_needs_no_closer_look() -> None:
    assert not has_strange_bits(PLAIN)


@given(st.integers(0, 8), st.integers(0, COMMAND_STRUCT.size - 1), st.integers(0, 255))
def test_whatever_byte_is_changed_the_verdict_is_that_of_decoding(index: int, offset: int, value: int) -> None:
    data = bytearray(PLAIN)
    data[COMMAND_HEADER.size + index * COMMAND_STRUCT.size + offset] = value
    assert verdict(bytes(data), by_engine=True) == verdict(bytes(data), by_engine=False)


def test_a_record_with_parameters_needs_one() -> None:
    data = encode_commands(PRODUCT_ID, COMMANDS)
    assert verdict(data, by_engine=True) == verdict(data, by_engine=False) == (PRODUCT_ID, len(COMMANDS))
