# cython: language_level=3, annotation_typing=False, infer_types=True
# mypy: always-false=compiled
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The orders that end by themselves: a binary heap by expiry time, then by the order received.

An order that ends early stays in the heap till its time, or till such entries outnumber the rest.
"""

from array import array

import cython

if not cython.compiled:
    from matcher.engine.fast.layout import (
        EXPIRIES_KEPT,
        ORDER_ID,
        RANK,
    )
    from matcher.engine.fast.order_pool import OrderPool


class Expiries:
    """Entries of three words: time, rank, handle."""

    heap: "array[int]"

    def __init__(self, pool: OrderPool) -> None:
        self.pool = pool
        self.count = 0
        self._store = array("q", bytes(24 * 64))
        self._capacity = 64
        self._attach()

    def _attach(self) -> int:
        if cython.compiled:
            self.heap = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._store.buffer_info()[0]))
        else:
            self.heap = self._store
        return 0

    def add(self, time_ns: int, rank: int, handle: int) -> int:
        """Take in an order."""
        if self.count >= EXPIRIES_KEPT and self.count > 2 * self.pool.live:
            self._forget_ended()
        if self.count == self._capacity:
            self._store.extend(array("q", bytes(24 * self._capacity)))
            self._capacity = 2 * self._capacity
            self._attach()
        self.count += 1
        self._rise(self.count - 1, time_ns, rank, handle)
        return 0

    def take(self, now_ns: int) -> int:
        """Take out the next order whose time has come; 0 where there is none."""
        while self.count and self.heap[0] <= now_ns:
            rank, handle = self.heap[1], self.heap[2]
            self.count -= 1
            if self.count:
                last = 3 * self.count
                self._sink(self.heap[last], self.heap[last + 1], self.heap[last + 2])
            if self._is_alive(rank, handle):
                return handle
        return 0

    def _is_alive(self, rank: int, handle: int) -> int:
        words = self.pool.words
        return words[handle + ORDER_ID] != 0 and words[handle + RANK] == rank

    def _rise(self, place: int, time_ns: int, rank: int, handle: int) -> int:
        heap = self.heap
        while place:
            parent = (place - 1) >> 1
            above = heap[3 * parent]
            if above < time_ns or (above == time_ns and heap[3 * parent + 1] < rank):
                break
            heap[3 * place] = above
            heap[3 * place + 1] = heap[3 * parent + 1]
            heap[3 * place + 2] = heap[3 * parent + 2]
            place = parent
        heap[3 * place] = time_ns
        heap[3 * place + 1] = rank
        heap[3 * place + 2] = handle
        return 0

    def _sink(self, time_ns: int, rank: int, handle: int) -> int:
        """Put an entry where the first was taken out."""
        heap = self.heap
        place = 0
        child = 1
        while child < self.count:
            other = child + 1
            if other < self.count and (
                heap[3 * other] < heap[3 * child]
                or (heap[3 * other] == heap[3 * child] and heap[3 * other + 1] < heap[3 * child + 1])
            ):
                child = other
            if time_ns < heap[3 * child] or (time_ns == heap[3 * child] and rank < heap[3 * child + 1]):
                break
            heap[3 * place] = heap[3 * child]
            heap[3 * place + 1] = heap[3 * child + 1]
            heap[3 * place + 2] = heap[3 * child + 2]
            place = child
            child = 2 * place + 1
        heap[3 * place] = time_ns
        heap[3 * place + 1] = rank
        heap[3 * place + 2] = handle
        return 0

    def _forget_ended(self) -> int:
        kept = self._store[: 3 * self.count]
        old_count = self.count
        self.count = 0
        for entry in range(old_count):
            time_ns, rank, handle = kept[3 * entry], kept[3 * entry + 1], kept[3 * entry + 2]
            if self._is_alive(rank, handle):
                self.count += 1
                self._rise(self.count - 1, time_ns, rank, handle)
        return 0
