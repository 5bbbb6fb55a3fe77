# mypy: always-false=compiled
"""The live orders of each account, so that canceling all of one costs what that account has, whatever the book holds.

The chains stand apart from the orders, one word for each: a neighbour's link costs no trip to its order.
"""

import cython

if not cython.compiled:
    from array import array

    from matcher.engine.fast.hash_cells import HashCells
    from matcher.engine.fast.layout import ACCOUNT, CHAIN_SHIFT, NUMBER_MASK, ORDER_WORDS
    from matcher.engine.fast.order_pool import OrderPool

from matcher.engine.fast.blocks import Block

_LEAST = 256


class Accounts:
    """`slots` has two words an account that has orders: its id, and its youngest order.

    An order's link is `number of the next older << 32 | number of the next younger`; the number of handle h is h / 16.
    """

    links: "array[int]"
    slots: "array[int]"

    def __init__(self, pool: OrderPool) -> None:
        self.pool = pool
        self.cells = HashCells()
        self._slot_end = 1
        self._slot_free = 0
        self._link_store = Block(_LEAST)
        self._slot_store = Block(2 * _LEAST)
        self._attach()

    def _attach(self) -> int:
        self._link_count = self._link_store.count
        if cython.compiled:
            self.links = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._link_store.address))
            self.slots = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._slot_store.address))
        else:
            self.links = self._link_store.words
            self.slots = self._slot_store.words
        return 0

    def add(self, handle: int) -> int:
        """Take in a new order."""
        number = handle // ORDER_WORDS
        if number >= self._link_count:
            self._link_store.grow(2 * self._link_count)
            self._attach()
        account_id = self.pool.words[handle + ACCOUNT]
        slot = self._slot_of(account_id)
        if not slot:
            slot = self._open_slot(account_id)
        older = self.slots[2 * slot + 1]
        self.links[number] = older << CHAIN_SHIFT
        if older:
            self.links[older] |= number
        self.slots[2 * slot + 1] = number
        return 0

    def remove(self, handle: int) -> int:
        """Let an order go."""
        number = handle // ORDER_WORDS
        older, younger = self.links[number] >> CHAIN_SHIFT, self.links[number] & NUMBER_MASK
        if older:
            self.links[older] = ((self.links[older] >> CHAIN_SHIFT) << CHAIN_SHIFT) | younger
        if younger:
            self.links[younger] = (older << CHAIN_SHIFT) | (self.links[younger] & NUMBER_MASK)
            return 0
        slot = self._slot_of(self.pool.words[handle + ACCOUNT])
        self.slots[2 * slot + 1] = older
        if not older:
            self._close_slot(slot)
        return 0

    def youngest(self, account_id: int) -> int:
        """The order of the account that came last; 0 where it has none."""
        slot = self._slot_of(account_id)
        return self.slots[2 * slot + 1] * ORDER_WORDS if slot else 0

    def older(self, handle: int) -> int:
        """The order of the same account that came before; 0 where there is none."""
        return (self.links[handle // ORDER_WORDS] >> CHAIN_SHIFT) * ORDER_WORDS

    def _slot_of(self, account_id: int) -> int:
        cells = self.cells
        hashed = cells.hash(account_id)
        cell = cells.first(hashed)
        while cell >= 0:
            slot = cells.words[cell] & NUMBER_MASK
            if self.slots[2 * slot] == account_id:
                return slot
            cell = cells.after(cell, hashed)
        return 0

    def _open_slot(self, account_id: int) -> int:
        slot = self._slot_free
        if slot:
            self._slot_free = self.slots[2 * slot + 1]
        else:
            slot = self._slot_end
            if 2 * slot == self._slot_store.count:
                self._slot_store.grow(4 * slot)
                self._attach()
            self._slot_end = slot + 1
        self.slots[2 * slot] = account_id
        self.slots[2 * slot + 1] = 0
        self.cells.add(self.cells.hash(account_id), slot)
        return slot

    def _close_slot(self, slot: int) -> int:
        cells = self.cells
        cells.remove(cells.find(cells.hash(self.slots[2 * slot]), slot))
        self.slots[2 * slot + 1] = self._slot_free
        self._slot_free = slot
        return 0
