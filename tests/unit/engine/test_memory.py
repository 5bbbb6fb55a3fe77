"""What an engine remembers, and that it forgets exactly what lies beyond."""

from random import Random

import pytest
from exchange.messages import Command, EventType, Op, RejectReason, Side

from matcher.engine import memory
from matcher.engine.fast.classes import CommandIds as FastCommandIds
from matcher.engine.fast.classes import HashCells, OrderPool, RecentIds
from matcher.engine.fast.classes import OrderIds as FastOrderIds
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
    pool = OrderPool()
    fast, live, queue, known = FastOrderIds(pool, 50), dict[int, tuple[int, int]](), list[int](), set[int]()
    first_rank = 0
    for order_id in range(1, 6000):
        handle = pool.allocate(order_id)
        live[order_id] = (handle, fast.place(order_id, handle))
        queue.append(order_id)
        while live and random.random() < 0.52:
            ended = random.choice(sorted(live))
            handle, rank = live.pop(ended)
            fast.retire(ended, handle, rank)
            pool.release(handle)
            if rank >= first_rank:
                known.add(ended)
            while len(known) > 50:
                oldest = queue.pop(0)
                first_rank += 1
                known.discard(oldest)
        sample = random.randint(1, order_id)
        expected = live[sample][0] if sample in live else 0 if sample in known else -1
        assert fast.get(sample) == expected
    assert fast.first_rank == first_rank
    assert fast.queue() == b"".join(order_id.to_bytes(8, "little") for order_id in queue)


def test_the_cells_find_every_number_by_its_hash_while_they_grow() -> None:
    random, cells, plain = Random(5), HashCells(), dict[int, int]()
    for number in range(1, 20_000):
        if random.random() < 0.6:
            key = random.choice((number, number << 40, -number, random.getrandbits(63)))
            plain[number] = key
            cells.add(cells.hash(key), number)
        elif plain:
            ended = random.choice(list(plain)[:50])
            cells.remove(cells.find(cells.hash(plain.pop(ended)), ended))
        if number % 100 == 0:
            assert all(cells.find(cells.hash(key), kept) >= 0 for kept, key in plain.items())
    assert cells.count == len(plain)
    assert cells.find(cells.hash(7), 20_001) == -1


@pytest.mark.parametrize("width", [1, 2])
def test_the_recent_ids_are_exactly_those_not_forgotten(width: int) -> None:
    """The window grows through several tables, shrinks, and moves on over used lines and pages."""
    random, recent, first = Random(3), RecentIds(width), 0
    ids: list[tuple[int, int]] = []
    for target, steps in ((30, 200), (9000, 9000), (9000, 9000), (500, 9000), (20_000, 25_000)):
        for _ in range(steps):
            new = (random.getrandbits(63), random.getrandbits(62) - 2**61 if width == 2 else 0)
            assert recent.append(*new) == len(ids)
            ids.append(new)
            while len(ids) - first > target:
                recent.forget()
                first += 1
        for rank in random.sample(range(len(ids)), 200):
            assert recent.find(*ids[rank]) == (rank if rank >= first else -1)
            assert recent.find(ids[rank][0] + 1, ids[rank][1]) == -1
    kept = [word for pair in ids[first:] for word in pair[:width]]
    assert recent.queue() == b"".join(word.to_bytes(8, "little", signed=True) for word in kept)
    again = RecentIds(width)
    again.load(recent.queue(), first)
    assert again.queue() == recent.queue()
    assert again.find(*ids[first]) == first


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
