"""Two engines, one behaviour: the fast one says what the reference says, byte for byte."""

from random import Random

import pytest
from exchange.messages import Command, Op, ProductParameters, encode_commands
from exchange.messages.commands import PARAMETERS_STRUCT
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.engine import ProductSpec
from matcher.engine.reference import Engine as ReferenceEngine
from tests.properties.engine_flow import ODD_LOT_PRODUCT, PRODUCT, Flow

pytest.importorskip("cython", reason="neither a compiled engine nor Cython's stand-in for it is here")

from matcher.engine.fast.engine import Engine as FastEngine

DEEP = ProductSpec.from_parameters(
    "DEEP-USD", ProductParameters("DEEP", "USD", "0.1", "0.01", "0.1", "1000", "1", "10.00", "")
)
BANDS = ["", "0", "0.05", "0.123456789012345678", "1", "2.5"]


@pytest.mark.parametrize("product", [PRODUCT, ODD_LOT_PRODUCT], ids=lambda product: product.product_id)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=12, deadline=None)
def test_they_say_the_same_and_are_in_the_same_state(seed: int, product: ProductSpec) -> None:
    reference, fast, flow = ReferenceEngine(product), FastEngine(product), Flow(Random(seed))
    for _ in range(250):
        command = flow.command()
        assert fast.apply_packed(command) == reference.apply_packed(command)
    assert fast.snapshot() == reference.snapshot()
    assert fast.chain_hash == reference.chain_hash


@given(seed=st.integers(0, 2**32))
@settings(max_examples=3, deadline=None)
def test_they_agree_on_a_book_of_hundreds_of_prices(seed: int) -> None:
    reference, fast, flow = ReferenceEngine(DEEP), FastEngine(DEEP), Flow(Random(seed), is_deep=True)
    for _ in range(2000):
        command = flow.command()
        assert fast.apply_packed(command) == reference.apply_packed(command)
    assert fast.snapshot() == reference.snapshot()
    assert FastEngine.restore(reference.snapshot()).snapshot() == reference.snapshot()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=8, deadline=None)
def test_each_continues_from_the_other_s_snapshot(seed: int) -> None:
    reference, flow = ReferenceEngine(PRODUCT), Flow(Random(seed))
    for _ in range(150):
        reference.apply_packed(flow.command())
    fast = FastEngine.restore(reference.snapshot())
    back = ReferenceEngine.restore(fast.snapshot())
    for _ in range(150):
        command = flow.command()
        assert fast.apply_packed(command) == reference.apply_packed(command) == back.apply_packed(command)
    assert fast.snapshot() == reference.snapshot() == back.snapshot()


@given(seed=st.integers(0, 2**32), arrival_ns=st.none() | st.integers(0, 100))
@settings(max_examples=8, deadline=None)
def test_a_batch_is_its_commands(seed: int, arrival_ns: int | None) -> None:
    reference, fast, flow = ReferenceEngine(PRODUCT), FastEngine(PRODUCT), Flow(Random(seed))
    for size in (0, 1, 60, 200):
        commands = [flow.command() for _ in range(size)]
        batch = fast.apply_record(encode_commands(PRODUCT.product_id, commands), arrival_ns=arrival_ns)
        assert batch == reference.apply_record(encode_commands(PRODUCT.product_id, commands), arrival_ns=arrival_ns)
        assert batch.commands == size
    assert fast.snapshot() == reference.snapshot()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=8, deadline=None)
def test_repeated_command_ids_are_dropped_alike(seed: int) -> None:
    random = Random(seed)
    reference, fast, flow = ReferenceEngine(PRODUCT), FastEngine(PRODUCT), Flow(random)
    for _ in range(150):
        command = flow.command()
        named = Command(
            **{field: getattr(command, field) for field in Command.__slots__ if field != "command_id"},
            command_id=random.randint(1, 60).to_bytes(16, "big"),
        )
        assert fast.apply_packed(named) == reference.apply_packed(named)
    assert fast.snapshot() == reference.snapshot()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=6, deadline=None)
def test_they_take_the_same_configurations(seed: int) -> None:
    random = Random(seed)
    reference, fast = (engine(ProductSpec.unlisted("ACME-USD")) for engine in (ReferenceEngine, FastEngine))
    flow = Flow(random)
    for _ in range(120):
        command = flow.command()
        if random.random() < 0.1:
            parameters = ProductParameters(
                "ACME",
                "USD",
                random.choice(("0.1", "0.1", "0.3", "0", "nonsense")),
                "0.01",
                random.choice(("0.1", "0.25", "2")),
                random.choice(("1000", "1", "999999999999999999")),
                random.choice(("0", "1", "300", "999999999999999999")),
                random.choice(("", "10", "10.005", "0")),
                random.choice(BANDS),
            )
            command = Command(Op.CONFIGURE, parameters=parameters if random.random() < 0.95 else None)
        assert fast.apply_packed(command) == reference.apply_packed(command)
    assert fast.snapshot() == reference.snapshot()


@given(noise=st.binary(min_size=112, max_size=112), seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_a_command_of_noise_is_answered_alike(noise: bytes, seed: int) -> None:
    """Whatever a record holds, both answer it with the same event, and neither falls."""
    reference, fast, flow = ReferenceEngine(PRODUCT), FastEngine(PRODUCT), Flow(Random(seed))
    command = bytearray(noise)
    command[0] = command[0] if command[0] not in (Op.CONFIGURE, Op.RULES_VERSION) else 1
    command[6] &= 1
    command[26:32] = bytes(6)
    header = encode_commands(PRODUCT.product_id, [Command(Op.TICK)])[:32]
    for _ in range(30):
        packed = encode_commands(PRODUCT.product_id, [flow.command()])
        fast.apply_record(packed)
        reference.apply_record(packed)
    record = header + bytes(command)
    assert fast.apply_record(record) == reference.apply_record(record)
    assert fast.snapshot() == reference.snapshot()
    assert PARAMETERS_STRUCT.size % 8 == 0
