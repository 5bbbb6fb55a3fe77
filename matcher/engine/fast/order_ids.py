# mypy: always-false=compiled
"""Which order ids have been seen (see matcher.engine.memory.OrderIds, which this does in flat buffers).

The live ones have a small table of their own, so a cancel or a fill never touches the memory of a million.
"""

import cython

if not cython.compiled:
    from matcher.engine.fast.hash_cells import HashCells
    from matcher.engine.fast.layout import (
        ABSENT,
        FINISHED,
        FLAGS,
        NUMBER_MASK,
        ORDER_ID,
        ORDER_WORDS,
    )
    from matcher.engine.fast.machine import prefetch
    from matcher.engine.fast.order_pool import OrderPool
    from matcher.engine.fast.recent_ids import RecentIds

from matcher.engine.memory import ORDER_IDS_MAX


class OrderIds:
    """`live` finds the orders that live; `recent` has all ids placed, `finished` of them not live any more."""

    def __init__(self, pool: OrderPool, remembered_max: int = ORDER_IDS_MAX) -> None:
        self.pool = pool
        self.live = HashCells()
        self.recent = RecentIds(1)
        self.finished = 0
        self.finished_max = remembered_max

    @property
    def first_rank(self) -> int:
        """The rank of the oldest id in the queue."""
        return self.recent.first_rank

    def find(self, order_id: int) -> int:
        """The handle of a live order; 0 where none lives under the id."""
        live = self.live
        hashed = live.hash(order_id)
        cell = live.first(hashed)
        while cell >= 0:
            handle = ORDER_WORDS * (live.words[cell] & NUMBER_MASK)
            if self.pool.words[handle + ORDER_ID] == order_id:
                return handle
            cell = live.after(cell, hashed)
        return 0

    def get(self, order_id: int) -> int:
        """The handle of a live order, FINISHED for a remembered id, ABSENT for one never seen."""
        handle = self.find(order_id)
        if handle:
            return handle
        return FINISHED if self.recent.find(order_id, 0) >= 0 else ABSENT

    def place(self, order_id: int, handle: int) -> int:
        """Give the id of a new order its rank; return that."""
        self.live.add(self.live.hash(order_id), handle // ORDER_WORDS)
        return self.recent.append(order_id, 0)

    def retire(self, order_id: int, handle: int, rank: int) -> int:
        """The order is live no longer."""
        live = self.live
        live.remove(live.find(live.hash(order_id), handle // ORDER_WORDS))
        if rank < self.recent.first_rank:
            return 0
        self.finished += 1
        return self._forget_oldest()

    def remember(self, order_id: int) -> int:
        """Count an id among those placed though no order lives under it."""
        self.recent.append(order_id, 0)
        self.finished += 1
        return self._forget_oldest()

    def _forget_oldest(self) -> int:
        recent = self.recent
        while self.finished > self.finished_max:
            if not self.find(recent.low_of(recent.first_rank)):
                self.finished -= 1
            recent.forget()
        return 0

    def warm_cell(self, order_id: int) -> int:
        """Have the id's cell among the live ones brought into the cache."""
        return self.live.warm(self.live.hash(order_id))

    def warm_order(self, order_id: int) -> int:
        """Have the order brought into the cache, of an id whose cell is there. A word that is no id does no harm."""
        live = self.live
        cell = live.first(live.hash(order_id))
        if cell >= 0:
            handle = ORDER_WORDS * (live.words[cell] & NUMBER_MASK)
            prefetch(self.pool.words, 8 * handle)
            prefetch(self.pool.words, 8 * (handle + FLAGS))
        return 0

    # Snapshots.

    def queue(self) -> bytes:
        """The queued ids by rank, packed."""
        return self.recent.queue()

    def load(self, packed: bytes, first_rank: int) -> None:
        """Fill an empty memory with queued ids, none of them live; the caller then revives those that are."""
        self.recent.load(packed, first_rank)
        self.finished = len(packed) // 8

    def revive(self, order_id: int, rank: int, handle: int) -> int:
        """Say that a loaded id is live."""
        if rank >= self.recent.first_rank:
            self.finished -= 1
        return self.live.add(self.live.hash(order_id), handle // ORDER_WORDS)
