# cython: language_level=3, annotation_typing=False, infer_types=True
# mypy: always-false=compiled
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A hash map from positive integers to integers, in one flat buffer: open addressing, linear probing."""

from array import array

import cython

from matcher.engine.fast.blocks import Block

if not cython.compiled:
    from matcher.engine.fast.layout import (
        ABSENT,
    )

_CELLS_LEAST = 64


class IdMap:
    """Cells of two words: a key (0: empty) and its value. At most half of the cells are taken."""

    cells: "array[int]"

    def __init__(self) -> None:
        self.count = 0
        self._allocate(_CELLS_LEAST)

    def _allocate(self, cells: int) -> int:
        self._store = Block(2 * cells)
        self.mask = cells - 1
        if cython.compiled:
            self.cells = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._store.address))
        else:
            self.cells = self._store.words
        return 0

    def probe(self, key: int) -> int:
        """The cell that holds the key, or the empty one where it would go."""
        # Every product stays below 2^58, so that the interpreted engine and the compiled one agree.
        mixed = ((key ^ (key >> 31)) & 2147483647) * 73244475
        cell = (mixed ^ (mixed >> 27)) & self.mask
        while True:
            found = self.cells[2 * cell]
            if found in (key, 0):
                return cell
            cell = (cell + 1) & self.mask

    def warm(self, key: int) -> int:
        """Bring the key's home cell into the cache; the number returned means nothing."""
        mixed = ((key ^ (key >> 31)) & 2147483647) * 73244475
        return self.cells[2 * ((mixed ^ (mixed >> 27)) & self.mask)]

    def get(self, key: int) -> int:
        """The key's value, or ABSENT."""
        cell = self.probe(key)
        return self.cells[2 * cell + 1] if self.cells[2 * cell] else ABSENT

    def put(self, key: int, value: int) -> int:
        """Set the key's value."""
        cell = self.probe(key)
        if not self.cells[2 * cell]:
            if 2 * self.count > self.mask:
                self._grow()
                cell = self.probe(key)
            self.cells[2 * cell] = key
            self.count += 1
        self.cells[2 * cell + 1] = value
        return 0

    def remove(self, key: int) -> int:
        """Forget the key, which must be there, and close the gap it leaves."""
        gap = self.probe(key)
        cell = gap
        while True:
            cell = (cell + 1) & self.mask
            moved = self.cells[2 * cell]
            if not moved:
                break
            mixed = ((moved ^ (moved >> 31)) & 2147483647) * 73244475
            home = (mixed ^ (mixed >> 27)) & self.mask
            # It may move into the gap unless it stands between its home and where it is, cyclically.
            if ((cell - home) & self.mask) >= ((cell - gap) & self.mask):
                self.cells[2 * gap] = moved
                self.cells[2 * gap + 1] = self.cells[2 * cell + 1]
                gap = cell
        self.cells[2 * gap] = 0
        self.count -= 1
        return 0

    def _grow(self) -> int:
        old_store = self._store
        old_cells = self.cells
        taken = self.mask + 1
        self._allocate(2 * taken)
        for cell in range(taken):
            key = old_cells[2 * cell]
            if key:
                place = self.probe(key)
                self.cells[2 * place] = key
                self.cells[2 * place + 1] = old_cells[2 * cell + 1]
        del old_store
        return 0
