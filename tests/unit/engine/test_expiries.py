"""The orders that end by themselves end in time, and the others leave no trace."""

from random import Random

from matcher.engine.fast.classes import Expiries


def test_orders_come_due_by_time_then_by_rank_whoever_left_before() -> None:
    random, heap, plain = Random(17), Expiries(), dict[int, tuple[int, int]]()
    now_ns = 0
    for rank in range(4000):
        handle = 16 * random.choice([number for number in range(1, 400) if number not in plain])
        time_ns = now_ns + random.randint(1, 50)
        heap.add(time_ns, rank, handle)
        plain[handle // 16] = (time_ns, rank)
        while plain and random.random() < 0.45:
            number = random.choice(list(plain))
            heap.remove(16 * number)
            del plain[number]
        now_ns += random.choice((0, 0, 0, 1, 7))
        while due := heap.due(now_ns):
            number = min(plain, key=plain.__getitem__)
            assert due == 16 * number
            assert plain.pop(number)[0] <= now_ns
            heap.remove(due)
        assert heap.count == len(plain)
        assert all(time_ns > now_ns for time_ns, _ in plain.values())
