"""Markets move to the children of their shard with everything they know."""

from dataclasses import replace

import pytest
from exchange.messages import encode_commands

from matcher.resume import ParentUnreadableError
from matcher.shards import HASH_KEY_MAX, Shard, readable_shards
from tests.fakes.kinesis import FakeShard
from tests.unit.matcher.worlds import SHARD, MatcherWorld, flow, run

MIDDLE = HASH_KEY_MAX // 2
LEFT = Shard("left", parents=(SHARD,), last_hash=MIDDLE)
RIGHT = Shard("right", parents=(SHARD,), first_hash=MIDDLE + 1)
MERGED = Shard("merged", parents=("left", "right"))
PRODUCTS = ("ACME-USD", "BETA-USD")


def move(world: MatcherWorld, shard: Shard) -> MatcherWorld:
    """The same world, at another shard of the stream."""
    return replace(world, shard=shard, stream=FakeShard())


def end_parent(world: MatcherWorld) -> None:
    """Read the shard to its end."""
    world.stream.is_closed = True
    loop = world.reign()
    run(loop)
    assert loop.step().is_end
    loop.finish(is_end=True)


def put(world: MatcherWorld, product_id: str, first: int, *, number: int) -> None:
    data = encode_commands(product_id, flow(first, 6, first=first))
    world.stream.put(product_id, data, number=number)


def test_a_key_belongs_to_exactly_one_child() -> None:
    for product_id in (*PRODUCTS, "BTC-USD", "ETH-BTC", "EUR-USD"):
        assert LEFT.holds(product_id) != RIGHT.holds(product_id)
        assert MERGED.holds(product_id)


def test_after_a_split_and_a_merge_the_products_go_on_where_they_were() -> None:
    world = MatcherWorld()
    for product_id in PRODUCTS:
        world.put(product_id, flow(1, 8))
    end_parent(world)
    children = [move(world, LEFT), move(world, RIGHT)]
    for child in children:
        for index, product_id in enumerate(PRODUCTS):
            if child.shard.holds(product_id):
                put(child, product_id, 100, number=10_000 + index)
        end_parent(child)
    merged = move(world, MERGED)
    for index, product_id in enumerate(PRODUCTS):
        put(merged, product_id, 200, number=20_000 + index)
    run(merged.reign())

    together = MatcherWorld()
    for product_id in PRODUCTS:
        together.put(product_id, flow(1, 8))
        together.put(product_id, flow(100, 6, first=100), per_record=6)
        together.put(product_id, flow(200, 6, first=200), per_record=6)
    run(together.reign())
    for product_id in PRODUCTS:
        found = world.consumer().events[product_id]
        expected = together.consumer().events[product_id]
        assert [(e.sequence, e.type, e.order_id, e.size) for e in found] == [
            (e.sequence, e.type, e.order_id, e.size) for e in expected
        ]


def test_a_child_s_first_reign_killed_is_the_next_one_s_first_reign() -> None:
    world = MatcherWorld()
    world.put("ACME-USD", flow(1, 8))
    end_parent(world)
    child = move(world, replace(LEFT, last_hash=HASH_KEY_MAX))
    put(child, "ACME-USD", 100, number=10_000)
    run(child.reign("a"))
    before = world.consumer().events
    run(child.reign("b"))
    assert world.consumer().events == before
    assert child.leases.records["left"].pointer is not None


def test_a_child_that_heard_nothing_passes_on_what_it_inherited() -> None:
    world = MatcherWorld()
    world.put("ACME-USD", flow(1, 8))
    end_parent(world)
    sequences = {}
    for shard in (replace(LEFT, last_hash=HASH_KEY_MAX), Shard("grandchild", parents=("left",))):
        heir = move(world, shard)
        heir.stream.is_closed = True
        loop = heir.reign()
        sequences[shard.shard_id] = loop.sequences
        loop.finish(is_end=True)
    assert sequences["left"] == sequences["grandchild"] != {}


def test_a_parent_whose_last_state_cannot_be_read_is_read_to_its_end_again() -> None:
    world = MatcherWorld()
    world.put("ACME-USD", flow(1, 20))
    end_parent(world)
    pointer = world.leases.records[SHARD].pointer
    assert pointer is not None
    world.snapshots.objects[pointer.snapshots[0]] = b"broken"
    child = move(world, LEFT)
    with pytest.raises(ParentUnreadableError):
        child.reign()
    shards = [Shard(SHARD), LEFT]
    assert [shard.shard_id for shard in readable_shards(shards, world.leases.records)] == [SHARD]
    before = world.consumer().events
    end_parent(world)
    assert world.consumer().events == before
    assert [shard.shard_id for shard in readable_shards(shards, world.leases.records)] == ["left"]
    assert child.reign().sequences.keys() == ({"ACME-USD"} if LEFT.holds("ACME-USD") else set())


def test_a_pause_moves_with_its_product() -> None:
    world = MatcherWorld()
    world.put("ACME-USD", flow(1, 2))
    poison = world.stream.put("ACME-USD", b"poison")
    end_parent(world)
    child = move(world, replace(LEFT, last_hash=HASH_KEY_MAX))
    assert child.reign().paused == {"ACME-USD": poison.sequence_number}
