# cython: language_level=3, annotation_typing=False, infer_types=True
# mypy: always-false=compiled
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The live orders, each in its 16 words."""

from array import array

import cython

if not cython.compiled:
    from matcher.engine.fast.layout import NEXT, ORDER_ID, ORDER_WORDS

_ORDERS_LEAST = 256


class OrderPool:
    """One growing buffer; ended orders' places are chained by NEXT and used again."""

    words: "array[int]"

    def __init__(self) -> None:
        self.live = 0
        self.end = ORDER_WORDS
        self._free = 0
        self._store = array("q", bytes(8 * ORDER_WORDS * _ORDERS_LEAST))
        self._length = len(self._store)
        self._attach()

    def _attach(self) -> int:
        if cython.compiled:
            self.words = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._store.buffer_info()[0]))
        else:
            self.words = self._store
        return 0

    def allocate(self) -> int:
        """A handle whose words may hold anything. Pointers to the words are void after this."""
        self.live += 1
        handle = self._free
        if handle:
            self._free = self.words[handle + NEXT]
            return handle
        if self.end == self._length:
            self._store.extend(array("q", bytes(8 * self._length)))
            self._length = 2 * self._length
            self._attach()
        handle = self.end
        self.end = handle + ORDER_WORDS
        return handle

    def release(self, handle: int) -> int:
        """Give an order's place back. An id of 0 marks it as empty."""
        self.words[handle + ORDER_ID] = 0
        self.words[handle + NEXT] = self._free
        self._free = handle
        self.live -= 1
        return 0
