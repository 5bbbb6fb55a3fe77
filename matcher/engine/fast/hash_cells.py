# mypy: always-false=compiled
"""A hash table that knows no keys: it finds numbers by the hash of what they stand for, eight to a cache line.

Whoever owns the table says what a number stands for (an order, a price level, an account) and compares there. So a
cell is one word, and what is asked for again and again stays in the cache.

Growing has no pause. The new table stands beside the old one; every addition moves a few cells, and what is asked for
is moved before it is looked for, so all but the moving sees one table.

The hash is seeded by chance, for the ids and prices are chosen by customers, and who knows the hash can have them all
meet in one cell. Chance decides where a number stands, never what is found: nothing here is ever read in table order.
"""

import secrets

import cython

from matcher.engine.fast.blocks import Block

if not cython.compiled:
    from array import array

    from matcher.engine.fast.layout import CELL_HASH_BITS, CELL_HASH_SHIFT, CELLS_LEAST_BITS, CELLS_MOVED
    from matcher.engine.fast.machine import mix, prefetch


class HashCells:
    """Open addressing, linear probing; at most five eighths of the cells are taken.

    A cell is `hash << 32 | number`, 0 where empty. A number has 31 bits and is not 0.
    """

    words: "array[int]"
    old: "array[int]"

    def __init__(self) -> None:
        self.seed = secrets.randbits(62) | 1
        self.count = 0
        self._old_store: Block | None = None
        self._old_size = 0
        self._allocate(CELLS_LEAST_BITS)

    def _allocate(self, bits: int) -> int:
        self._store = Block(1 << bits)
        self._bits = bits
        self.shift = CELL_HASH_BITS - bits
        self.mask = (1 << bits) - 1
        if cython.compiled:
            self.words = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._store.address))
        else:
            self.words = self._store.words
        return 0

    def hash(self, key: int) -> int:
        """The hash of a key."""
        return mix(key, self.seed)

    def warm(self, hashed: int) -> int:
        """Have the cell where a hash is at home brought into the cache."""
        prefetch(self.words, 8 * (hashed >> self.shift))
        return 0

    def first(self, hashed: int) -> int:
        """The first cell with this hash; -1 where there is none."""
        if self._old_size:
            self._bring(hashed)
        return self._seek(hashed >> self.shift, hashed)

    def after(self, cell: int, hashed: int) -> int:
        """The next cell with the hash of this one; -1 where there is none."""
        return self._seek((cell + 1) & self.mask, hashed)

    def _seek(self, cell: int, hashed: int) -> int:
        words, mask = self.words, self.mask
        while True:
            word = words[cell]
            if word >> CELL_HASH_SHIFT == hashed:
                # An empty cell looks like hash 0.
                return cell if word else -1
            if not word:
                return -1
            cell = (cell + 1) & mask

    def find(self, hashed: int, number: int) -> int:
        """The cell of this very number; -1 where there is none."""
        if self._old_size:
            self._bring(hashed)
        words, mask = self.words, self.mask
        wanted = (hashed << CELL_HASH_SHIFT) | number
        cell = hashed >> self.shift
        while words[cell] != wanted:
            if not words[cell]:
                return -1
            cell = (cell + 1) & mask
        return cell

    def add(self, hashed: int, number: int) -> int:
        """Take in a number that is not there."""
        if self._old_size:
            self._move_some()
        elif 8 * self.count > 5 * self.mask:
            self._grow()
        self.count += 1
        self._insert((hashed << CELL_HASH_SHIFT) | number)
        return 0

    def change(self, cell: int, number: int) -> int:
        """Let another number stand for the same key."""
        self.words[cell] = ((self.words[cell] >> CELL_HASH_SHIFT) << CELL_HASH_SHIFT) | number
        return 0

    def remove(self, cell: int) -> int:
        """Empty a cell and close the gap it leaves."""
        words, mask, shift = self.words, self.mask, self.shift + CELL_HASH_SHIFT
        gap = cell
        while True:
            cell = (cell + 1) & mask
            moved = words[cell]
            if not moved:
                break
            # It may move into the gap unless it stands between its home and where it is, cyclically.
            if ((cell - (moved >> shift)) & mask) >= ((cell - gap) & mask):
                words[gap] = moved
                gap = cell
        words[gap] = 0
        self.count -= 1
        return 0

    def _insert(self, word: int) -> int:
        words, mask = self.words, self.mask
        cell = word >> (self.shift + CELL_HASH_SHIFT)
        while words[cell]:
            cell = (cell + 1) & mask
        words[cell] = word
        return 0

    # Growing.

    def _grow(self) -> int:
        self._old_store = self._store
        self.old = self.words
        self._old_shift = self.shift
        self._old_size = self.mask + 1
        self._swept = 0
        self._allocate(self._bits + 1)
        return 0

    def _bring(self, hashed: int) -> int:
        """Move the run of old cells among which this hash would stand. A whole run leaves, so no other is broken."""
        old, mask = self.old, self._old_size - 1
        cell = hashed >> self._old_shift
        if not old[cell]:
            return 0
        while old[(cell - 1) & mask]:
            cell = (cell - 1) & mask
        while old[cell]:
            self._insert(old[cell])
            old[cell] = 0
            cell = (cell + 1) & mask
        return 0

    def _move_some(self) -> int:
        end = min(self._swept + CELLS_MOVED, self._old_size)
        for cell in range(self._swept, end):
            if self.old[cell]:
                self._bring(cell << self._old_shift)
        self._swept = end
        if end == self._old_size:
            self._old_size = 0
            self._old_store = None
        return 0
