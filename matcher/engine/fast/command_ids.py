# cython: language_level=3, annotation_typing=False, infer_types=True
# mypy: always-false=compiled
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The last command ids (see matcher.engine.memory.CommandIds) in pairs of words: a ring, and a table into it."""

from array import array

import cython

from matcher.engine.memory import COMMAND_IDS_MAX


class CommandIds:
    """`table` holds 1 + a place in the ring, or 0. It is four times as long as the ring, so probes are short."""

    ring: "array[int]"
    table: "array[int]"

    def __init__(self, remembered_max: int = COMMAND_IDS_MAX) -> None:
        self.length = remembered_max
        self.mask = 4 * remembered_max - 1
        self.taken = 0
        self.next = 0
        self._ring_store = array("q", bytes(16 * remembered_max))
        self._table_store = array("q", bytes(8 * 4 * remembered_max))
        if cython.compiled:
            self.ring = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._ring_store.buffer_info()[0]))
            self.table = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._table_store.buffer_info()[0]))
        else:
            self.ring = self._ring_store
            self.table = self._table_store

    def _home(self, low: int, high: int) -> int:
        key = low ^ (high >> 1)
        mixed = ((key ^ (key >> 31)) & 2147483647) * 73244475
        return (mixed ^ (mixed >> 27)) & self.mask

    def is_new(self, low: int, high: int) -> int:
        """Remember the id; say whether it had not been seen."""
        cell = self._home(low, high)
        while self.table[cell]:
            place = self.table[cell] - 1
            if self.ring[2 * place] == low and self.ring[2 * place + 1] == high:
                return 0
            cell = (cell + 1) & self.mask
        if self.taken == self.length:
            self._forget(self.next)
            cell = self._home(low, high)
            while self.table[cell]:
                cell = (cell + 1) & self.mask
        else:
            self.taken += 1
        self.ring[2 * self.next] = low
        self.ring[2 * self.next + 1] = high
        self.table[cell] = self.next + 1
        self.next = self.next + 1 if self.next + 1 < self.length else 0
        return 1

    def _forget(self, place: int) -> int:
        """Take the id at `place` of the ring out of the table and close the gap it leaves."""
        gap = self._home(self.ring[2 * place], self.ring[2 * place + 1])
        while self.table[gap] != place + 1:
            gap = (gap + 1) & self.mask
        cell = gap
        while True:
            cell = (cell + 1) & self.mask
            if not self.table[cell]:
                break
            other = self.table[cell] - 1
            home = self._home(self.ring[2 * other], self.ring[2 * other + 1])
            if ((cell - home) & self.mask) >= ((cell - gap) & self.mask):
                self.table[gap] = self.table[cell]
                gap = cell
        self.table[gap] = 0
        return 0

    def queue(self) -> bytes:
        """The remembered ids, oldest first, packed."""
        packed = self._ring_store.tobytes()
        if self.taken < self.length:
            return packed[: 16 * self.taken]
        return packed[16 * self.next :] + packed[: 16 * self.next]

    def load(self, packed: bytes) -> None:
        """Fill an empty memory, oldest first."""
        words = array("q", packed)
        for index in range(0, len(words), 2):
            self.is_new(words[index], words[index + 1])
