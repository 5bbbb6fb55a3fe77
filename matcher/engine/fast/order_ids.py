# cython: language_level=3, annotation_typing=False, infer_types=True
# mypy: always-false=compiled
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Which order ids have been seen (see matcher.engine.memory.OrderIds, which this does in flat buffers).

One map answers both questions that a command asks: an id's value is the handle of its live order, or FINISHED for one
that is only remembered.
"""

from array import array

import cython

if not cython.compiled:
    from matcher.engine.fast.id_map import IdMap
    from matcher.engine.fast.layout import (
        FINISHED,
    )

from matcher.engine.fast.blocks import Block
from matcher.engine.memory import ORDER_IDS_MAX


class OrderIds:
    """The map, and a ring of the placed ids by rank."""

    ring: "array[int]"

    def __init__(self, remembered_max: int = ORDER_IDS_MAX) -> None:
        self.map = IdMap()
        self.first_rank = 0
        self.next_rank = 0
        self.finished = 0
        self.finished_max = remembered_max
        self._allocate(1024)

    def _allocate(self, length: int) -> int:
        self._store = Block(length)
        self.ring_mask = length - 1
        if cython.compiled:
            self.ring = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._store.address))
        else:
            self.ring = self._store.words
        return 0

    def get(self, order_id: int) -> int:
        """The handle of a live order, FINISHED for a remembered id, ABSENT for one never seen."""
        return self.map.get(order_id)

    def place(self, order_id: int, handle: int) -> int:
        """Give a new id its rank; return that."""
        if self.next_rank - self.first_rank > self.ring_mask:
            self._grow()
        rank = self.next_rank
        self.ring[rank & self.ring_mask] = order_id
        self.next_rank = rank + 1
        self.map.put(order_id, handle)
        return rank

    def retire(self, order_id: int, rank: int) -> int:
        """The order is live no longer."""
        if rank < self.first_rank:
            self.map.remove(order_id)
            return 0
        self.map.put(order_id, FINISHED)
        self.finished += 1
        while self.finished > self.finished_max:
            oldest = self.ring[self.first_rank & self.ring_mask]
            self.first_rank += 1
            if self.map.get(oldest) == FINISHED:
                self.map.remove(oldest)
                self.finished -= 1
        return 0

    def warm_oldest(self, count: int) -> int:
        """Bring into the cache what forgetting the oldest ids will touch; the number returned means nothing."""
        seen = 0
        for rank in range(self.first_rank, min(self.first_rank + count, self.next_rank)):
            seen ^= self.map.warm(self.ring[rank & self.ring_mask])
        return seen

    def queue(self) -> bytes:
        """The queued ids by rank, packed."""
        if self.next_rank == self.first_rank:
            return b""
        start, end = self.first_rank & self.ring_mask, self.next_rank & self.ring_mask
        if start < end:
            return bytes(self._store.words[start:end].tobytes())
        return bytes(self._store.words[start:].tobytes() + self._store.words[:end].tobytes())

    def load(self, packed: bytes, first_rank: int) -> None:
        """Fill an empty memory with queued ids, all FINISHED; the caller then sets the handles of the live ones."""
        ids = array("q", packed)
        self.first_rank = self.next_rank = first_rank
        for order_id in ids:
            self.place(order_id, FINISHED)
        self.finished = len(ids)

    def revive(self, order_id: int, rank: int, handle: int) -> int:
        """Say that a loaded id is live."""
        if rank >= self.first_rank:
            self.finished -= 1
        self.map.put(order_id, handle)
        return 0

    def _grow(self) -> int:
        old_store = self._store
        old_ring = self.ring
        old_mask = self.ring_mask
        self._allocate(2 * (old_mask + 1))
        for rank in range(self.first_rank, self.next_rank):
            self.ring[rank & self.ring_mask] = old_ring[rank & old_mask]
        del old_store
        return 0
