# mypy: always-false=compiled
"""The live orders, each in its 16 words."""

from array import array

import cython

from matcher.engine.fast.blocks import Block

if not cython.compiled:
    from matcher.engine.fast.layout import (
        NEXT,
        ORDER_ID,
        ORDER_WORDS,
    )

_ORDERS_LEAST = 256


class OrderPool:
    """One growing buffer; ended orders' places are chained by NEXT and used again."""

    words: "array[int]"

    def __init__(self) -> None:
        self.live = 0
        self.end = ORDER_WORDS
        self._free = 0
        self._length = ORDER_WORDS * _ORDERS_LEAST
        self._store = Block(self._length)
        self._attach()

    def _attach(self) -> int:
        if cython.compiled:
            self.words = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._store.address))
        else:
            self.words = self._store.words
        return 0

    def allocate(self, order_id: int) -> int:
        """A handle whose other words may hold anything. Pointers to the words are void after this."""
        self.live += 1
        handle = self._free
        if handle:
            self._free = self.words[handle + NEXT]
        else:
            if self.end == self._length:
                self._length = 2 * self._length
                self._store.grow(self._length)
                self._attach()
            handle = self.end
            self.end = handle + ORDER_WORDS
        self.words[handle + ORDER_ID] = order_id
        return handle

    def release(self, handle: int) -> int:
        """Give an order's place back. An id of 0 marks it as empty."""
        self.words[handle + ORDER_ID] = 0
        self.words[handle + NEXT] = self._free
        self._free = handle
        self.live -= 1
        return 0
