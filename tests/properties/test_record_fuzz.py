"""Hostile bytes: refused, or answered with events, alike by every engine; never an exception of another kind."""

import pytest
from exchange.messages import Command, MalformedRecordError, Op, ProductParameters, encode_commands
from exchange.messages.commands import COMMAND_HEADER
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.engine_flow import PRODUCT
from tests.properties.record_fuzz import seeds, try_bytes
from tests.unit.engine.engines import ENGINES, EngineClass

PARAMETERS = ProductParameters("ACME", "USD", "0.1", "0.01", "0.1", "1000", "1", "10.00", "0.30")
RECORDS = [
    *seeds(),
    encode_commands(
        PRODUCT.product_id,
        [
            Command(Op.CONFIGURE, parameters=PARAMETERS),
            Command(Op.RULES_VERSION, rules_version=1),
            Command(Op.PLACE, order_id=900, account_id=1, oco_order_id=5, trail_amount=-1),
        ],
    ),
]
# Numbers at the ends of what fits, and next to the engine's own limits.
EDGES = st.sampled_from(
    [0, 1, -1, 2**63 - 1, -(2**63), 10**12, 10**12 + 1, 10**18, 10**18 + 1, 2**62, 2**32, -(2**32), 3_037_000_500]
)


@st.composite
def damaged_records(draw: st.DrawFn) -> bytes:
    """A record with some bytes and some words replaced, and perhaps a piece cut out or put in."""
    record = bytearray(draw(st.sampled_from(RECORDS)))
    start = COMMAND_HEADER.size if draw(st.booleans()) else 0
    for position, byte in draw(
        st.lists(st.tuples(st.integers(start, len(record) - 1), st.integers(0, 255)), max_size=6)
    ):
        record[position] = byte
    for word, value in draw(st.lists(st.tuples(st.integers(8, len(record) // 8 - 1), EDGES), max_size=6)):
        record[8 * word : 8 * word + 8] = value.to_bytes(8, "little", signed=True)
    if draw(st.integers(0, 3)) == 0:
        cut = draw(st.integers(0, len(record)))
        record[cut : cut + draw(st.integers(0, 130))] = draw(st.binary(max_size=130))
    return bytes(record)


@given(record=damaged_records())
@settings(max_examples=150, deadline=None)
def test_a_damaged_record_is_judged_alike_by_every_engine(record: bytes) -> None:
    try_bytes(record)
    try_bytes(record[COMMAND_HEADER.size :])


@given(noise=st.binary(max_size=600))
@settings(max_examples=60, deadline=None)
def test_noise_is_judged_alike_by_every_engine(noise: bytes) -> None:
    try_bytes(noise)


@pytest.mark.parametrize("engine_class", ENGINES)
def test_a_foreign_product_s_record_is_refused_whole(engine_class: EngineClass) -> None:
    engine = engine_class(PRODUCT)
    before = engine.snapshot()
    for record in RECORDS:
        with pytest.raises(MalformedRecordError):
            engine.apply_record(record[:8] + b"OTHER-USD".ljust(24, b"\0") + record[32:])
    assert engine.snapshot() == before
