"""What must hold after every command, whatever arrives."""

from itertools import pairwise
from random import Random

import pytest
from exchange.messages import (
    Command,
    CommandResult,
    EventType,
    Op,
    chain_hash,
    genesis_hash,
    pack_result,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.engine import ProductSpec
from tests.properties.engine_audit import Audit
from tests.properties.engine_flow import ODD_LOT_PRODUCT, PRODUCT, Flow
from tests.unit.engine.engines import ENGINES, EngineClass

PRODUCTS = [PRODUCT, ODD_LOT_PRODUCT]
SEEDS = st.integers(0, 2**32)


def _commands(seed: int, count: int) -> list[Command]:
    flow = Flow(Random(seed))
    return [flow.command() for _ in range(count)]


@pytest.mark.parametrize("engine_class", ENGINES)
@pytest.mark.parametrize("product", PRODUCTS, ids=lambda product: product.product_id)
@given(seed=SEEDS)
@settings(max_examples=12, deadline=None)
def test_what_must_hold_holds_after_every_command(seed: int, product: ProductSpec, engine_class: EngineClass) -> None:
    engine, audit = engine_class(product), Audit(product.funds_per_value)
    for command in _commands(seed, 300):
        audit.follow(command, engine.apply(command))


@pytest.mark.parametrize("engine_class", ENGINES)
@given(seed=SEEDS, cut=st.integers(0, 200))
@settings(max_examples=12, deadline=None)
def test_a_snapshot_and_the_tail_are_the_whole(seed: int, cut: int, engine_class: EngineClass) -> None:
    commands = _commands(seed, 200)
    whole, first = engine_class(PRODUCT), engine_class(PRODUCT)
    expected = [whole.apply_packed(command) for command in commands]
    head = [first.apply_packed(command) for command in commands[:cut]]
    second = engine_class.restore(first.snapshot())
    assert second.snapshot() == first.snapshot()
    tail = [second.apply_packed(command) for command in commands[cut:]]
    assert head + tail == expected
    assert second.snapshot() == whole.snapshot()
    assert (second.sequence, second.chain_hash) == (whole.sequence, whole.chain_hash)


@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_the_chain_is_over_the_results(seed: int) -> None:
    for engine_class in ENGINES:
        engine, expected = engine_class(PRODUCT), genesis_hash(PRODUCT.product_id)
        results: list[CommandResult] = []
        for command in _commands(seed, 60):
            result = engine.apply(command)
            if result is not None:
                expected = chain_hash(expected, pack_result(result))
                assert result.hash_after == expected == engine.chain_hash
                results.append(result)
        for before, after in pairwise(results):
            assert after.events[0].sequence == before.events[-1].sequence + 1


@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_every_order_placed_ends_or_lives_and_its_hold_is_freed_at_most_once(seed: int) -> None:
    engine = ENGINES[-1](PRODUCT)
    ended: set[int] = set()
    for command in _commands(seed, 300):
        result = engine.apply(command)
        for event in result.events if result else ():
            is_refused = event.type == EventType.REJECTED and event.op == Op.PLACE and event.reason != 1
            if event.type == EventType.DONE or is_refused:
                assert event.order_id <= 0 or event.order_id not in ended
                ended.add(event.order_id)
