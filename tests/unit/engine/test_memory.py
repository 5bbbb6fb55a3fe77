"""What an engine remembers, and that it forgets exactly what lies beyond."""

from random import Random

import pytest
from exchange.messages import Command, EventType, Op, RejectReason, Side

from matcher.engine import memory
from matcher.engine.fast.command_ids import CommandIds as FastCommandIds
from matcher.engine.fast.id_map import IdMap
from matcher.engine.fast.order_ids import OrderIds as FastOrderIds
from tests.unit.engine.engines import ENGINES, EngineClass
from tests.unit.engine.tables import ACME


@pytest.mark.parametrize("engine_class", ENGINES)
def test_exactly_the_last_million_ids_that_are_not_live_are_remembered(engine_class: EngineClass) -> None:
    """An id placed first and rejected, a live one, and a million others between."""
    engine = engine_class(ACME)

    def place(order_id: int, size: int) -> int:
        result = engine.apply(
            Command(Op.PLACE, order_id=order_id, account_id=1, side=Side.BUY, order_type=1, price=10_000, size=size)
        )
        assert result is not None
        first = result.events[0]
        return first.reason if first.type == EventType.REJECTED else 0

    refused, live = 5, 6
    assert place(refused, -1) == RejectReason.INVALID_SIZE
    assert place(live, 1) == 0
    state = engine.snapshot()
    # As if all the others had been placed: the snapshot's queue is filled with ids of orders that were refused.
    payload = bytearray(state[48:])
    engine = engine_class.restore(_with_ids(payload, memory.ORDER_IDS_MAX - 1))
    assert place(refused, 1) == RejectReason.DUPLICATE_ORDER_ID
    assert place(7, -1) == RejectReason.INVALID_SIZE
    assert place(live, 1) == RejectReason.DUPLICATE_ORDER_ID
    assert place(1_000_000_000, 1) == RejectReason.DUPLICATE_ORDER_ID, "the oldest of the others"
    assert place(refused, 1) == 0, "one more was placed, so the oldest is forgotten"
    engine.apply(Command(Op.CANCEL, order_id=live))
    assert place(live, 1) == 0, "a million others were placed since: it is forgotten with its death"


def _with_ids(payload: bytearray, count: int) -> bytes:
    import hashlib
    import struct

    from exchange.messages.commands import PARAMETERS_STRUCT

    from matcher.engine.snapshot import COUNTERS

    fields = list(COUNTERS.unpack_from(payload))
    ids_at = COUNTERS.size + PARAMETERS_STRUCT.size
    ids_count = fields[-5]
    fields[-5] = ids_count + count
    added = struct.pack(f"<{count}q", *range(1_000_000_000, 1_000_000_000 + count))
    ids_end = ids_at + 8 * ids_count
    changed = COUNTERS.pack(*fields) + payload[COUNTERS.size : ids_end] + added + payload[ids_end:]
    return struct.pack("<4sHHQ32s", b"XSNP", 1, 0, len(changed), hashlib.sha256(changed).digest()) + changed


def test_both_memories_of_orders_forget_alike() -> None:
    random = Random(11)
    fast, live, queue, known = FastOrderIds(50), dict[int, int](), list[int](), set[int]()
    first_rank = 0
    for order_id in range(1, 3000):
        rank = fast.place(order_id, 16 * order_id)
        queue.append(order_id)
        live[order_id] = rank
        while live and random.random() < 0.52:
            ended = random.choice(sorted(live))
            rank = live.pop(ended)
            fast.retire(ended, rank)
            if rank >= first_rank:
                known.add(ended)
            while len(known) > 50:
                oldest = queue.pop(0)
                first_rank += 1
                known.discard(oldest)
        sample = random.randint(1, order_id)
        expected = 16 * sample if sample in live else 0 if sample in known else -1
        assert fast.get(sample) == expected
    assert fast.first_rank == first_rank


def test_the_map_of_ids_is_a_map() -> None:
    random, fast, plain = Random(5), IdMap(), dict[int, int]()
    for _ in range(20_000):
        key = random.choice((random.randint(1, 300), random.randint(1, 2**63 - 1)))
        if random.random() < 0.5:
            value = random.randint(0, 10**9)
            fast.put(key, value)
            plain[key] = value
        elif key in plain:
            fast.remove(key)
            del plain[key]
        assert fast.get(key) == plain.get(key, -1)
    assert fast.count == len(plain)
    assert all(fast.get(key) == value for key, value in plain.items())


def test_both_memories_of_commands_forget_alike() -> None:
    random = Random(7)
    fast = FastCommandIds(16)
    queue: list[tuple[int, int]] = []
    for _ in range(5000):
        low, high = random.randint(-3, 20), random.choice((0, 1, -(2**63)))
        is_new = (low, high) not in queue
        assert bool(fast.is_new(low, high)) == is_new
        if is_new:
            queue = [*queue, (low, high)][-16:]
    packed = b"".join(word.to_bytes(8, "little", signed=True) for pair in queue for word in pair)
    assert fast.queue() == packed
    again = FastCommandIds(16)
    again.load(packed)
    assert again.queue() == packed


@pytest.mark.parametrize("engine_class", ENGINES)
def test_a_command_that_comes_twice_is_carried_out_once(engine_class: EngineClass) -> None:
    engine = engine_class(ACME)
    command = Command(
        Op.PLACE, b"c" * 16, order_id=1, account_id=1, side=Side.BUY, order_type=1, price=10_000, size=5, time_ns=9
    )
    assert engine.apply(command) is not None
    state = engine.state_hash()
    assert engine.apply(command) is None
    assert engine.state_hash() == state
