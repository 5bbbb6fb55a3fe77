# mypy: always-false=compiled
"""The orders that end by themselves: a binary heap by expiry time, then by the order received.

The heap knows where each of its orders stands, so one that ends early leaves at once and nothing is ever tidied up.
"""

import cython

if not cython.compiled:
    from array import array

    from matcher.engine.fast.layout import ORDER_WORDS

from matcher.engine.fast.blocks import Block

_LEAST = 64


class Expiries:
    """Entries of three words: time, rank, handle. `places` has the entry of each order by its number, handle / 16."""

    heap: "array[int]"
    places: "array[int]"

    def __init__(self) -> None:
        self.count = 0
        self._heap_store = Block(3 * _LEAST)
        self._place_store = Block(_LEAST)
        self._attach()

    def _attach(self) -> int:
        self._capacity = self._heap_store.count // 3
        self._place_count = self._place_store.count
        if cython.compiled:
            self.heap = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._heap_store.address))
            self.places = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._place_store.address))
        else:
            self.heap = self._heap_store.words
            self.places = self._place_store.words
        return 0

    def add(self, time_ns: int, rank: int, handle: int) -> int:
        """Take in an order."""
        if self.count == self._capacity:
            self._heap_store.grow(6 * self._capacity)
            self._attach()
        while handle // ORDER_WORDS >= self._place_count:
            self._place_store.grow(2 * self._place_count)
            self._attach()
        self.count += 1
        return self._rise(self.count - 1, time_ns, rank, handle)

    def due(self, now_ns: int) -> int:
        """The next order whose time has come; 0 where there is none. It stays until it is removed."""
        return self.heap[2] if self.count and self.heap[0] <= now_ns else 0

    def remove(self, handle: int) -> int:
        """Let an order go."""
        place = self.places[handle // ORDER_WORDS]
        self.count -= 1
        if place == self.count:
            return 0
        last = 3 * self.count
        time_ns, rank, moved = self.heap[last], self.heap[last + 1], self.heap[last + 2]
        if place and self._is_before(time_ns, rank, (place - 1) >> 1):
            return self._rise(place, time_ns, rank, moved)
        return self._sink(place, time_ns, rank, moved)

    def _is_before(self, time_ns: int, rank: int, place: int) -> int:
        """Whether this comes before the entry at `place`."""
        other = self.heap[3 * place]
        return 1 if time_ns < other or (time_ns == other and rank < self.heap[3 * place + 1]) else 0

    def _put(self, place: int, time_ns: int, rank: int, handle: int) -> int:
        self.heap[3 * place] = time_ns
        self.heap[3 * place + 1] = rank
        self.heap[3 * place + 2] = handle
        self.places[handle // ORDER_WORDS] = place
        return 0

    def _move(self, place: int, to: int) -> int:
        return self._put(to, self.heap[3 * place], self.heap[3 * place + 1], self.heap[3 * place + 2])

    def _rise(self, place: int, time_ns: int, rank: int, handle: int) -> int:
        """Put an entry at `place` or above."""
        while place and self._is_before(time_ns, rank, (place - 1) >> 1):
            self._move((place - 1) >> 1, place)
            place = (place - 1) >> 1
        return self._put(place, time_ns, rank, handle)

    def _sink(self, place: int, time_ns: int, rank: int, handle: int) -> int:
        """Put an entry at `place` or below."""
        child = 2 * place + 1
        while child < self.count:
            other = child + 1
            if other < self.count and self._is_before(self.heap[3 * other], self.heap[3 * other + 1], child):
                child = other
            if self._is_before(time_ns, rank, child):
                break
            self._move(child, place)
            place = child
            child = 2 * place + 1
        return self._put(place, time_ns, rank, handle)
