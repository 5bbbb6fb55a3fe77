# mypy: always-false=compiled
"""The ids of the recent past: who has been seen, by rank, at one cache line of eight megabytes for a million of them.

Each id taken in has a rank, the number of ids before it. The ids stand by rank on pages that are used again; a table of
32-bit cells finds the rank of an id. Memory is what it costs to remember a million, so the table is made for that:

- A line of the table is one cache line: 15 cells and a mark. A cell is a few bits of the id's hash above the low bits
  of its rank; the page that the rank names holds the id itself, and there it is compared.
- Nothing is ever taken out. A cell whose rank is no longer among the remembered is free, so forgetting an id is
  adding 1 to `first_rank`.
- Where a line is full an id goes on to the next, and the line's mark says up to which rank this happened: once that
  rank is forgotten nobody looks further.

Low bits of a rank that was forgotten long ago may look like those of one that is remembered. That costs a comparison
or a cell for a while, never an answer. Growing has no pause: the ranks are entered in the new table few by few.
"""

import secrets
from array import array

import cython

from matcher.engine.fast.blocks import Block

if not cython.compiled:
    from matcher.engine.fast.layout import (
        IDS_PAGE_BITS,
        IDS_PAGE_MASK,
        LINE_BITS_LEAST,
        LINE_CELLS,
        LINE_IDS_MAX,
        RANKS_ENTERED,
    )
    from matcher.engine.fast.machine import has_tag, mix, prefetch


class RecentIds:
    """The ids with ranks from `first_rank` to before `next_rank`, each of one word or of two (`width`)."""

    ring: "array[int]"
    pages: "array[int]"
    cells: "array[int]"
    old: "array[int]"

    def __init__(self, width: int) -> None:
        self.width = width
        self.seed = secrets.randbits(62) | 1
        self.first_rank = 0
        self.next_rank = 0
        self._free: list[int] = []
        self._page_count = 0
        self._store = Block(width << IDS_PAGE_BITS)
        # Where the page of a rank is, by the high bits of the rank.
        self._page_store = Block(16)
        self._page_mask = 15
        self._entered = 0
        self._old_end = 0
        self._old_bits = 0
        self._old_store: Block | None = None
        self._allocate(LINE_BITS_LEAST)
        self._attach()

    def _allocate(self, bits: int) -> int:
        self._bits = bits
        self._cell_store = Block((LINE_CELLS // 2) << bits)
        if cython.compiled:
            self.cells = cython.cast(cython.p_uint, cython.cast(cython.size_t, self._cell_store.address))
        else:
            self.cells = self._cell_store.words.cast("B").cast("I")
        return 0

    def _attach(self) -> int:
        if cython.compiled:
            self.ring = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._store.address))
            self.pages = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._page_store.address))
        else:
            self.ring = self._store.words
            self.pages = self._page_store.words
        return 0

    def hash(self, low: int, high: int) -> int:
        """The hash of an id; an id of one word is `low`."""
        return mix(low ^ (mix(high, self.seed) << 31) if high else low, self.seed)

    def place_of(self, rank: int) -> int:
        """Which of the ids on all the pages has this rank."""
        return self.pages[(rank >> IDS_PAGE_BITS) & self._page_mask] + (rank & IDS_PAGE_MASK)

    def low_of(self, rank: int) -> int:
        """The first word of the id with this rank."""
        return self.ring[self.width * self.place_of(rank)]

    # Looking for an id.

    def find(self, low: int, high: int) -> int:
        """The rank of a remembered id; -1 where it is not remembered."""
        hashed = self.hash(low, high)
        rank = self._find_in(self.cells, self._bits, hashed, low, high)
        if rank < 0 and self._old_bits:
            rank = self._find_in(self.old, self._old_bits, hashed, low, high)
        return rank

    def _find_in(self, cells: "array[int]", bits: int, hashed: int, low: int, high: int) -> int:
        rank_bits = bits + 6
        tag = self._tag(hashed, rank_bits)
        line = hashed >> (31 - bits)
        while True:
            start = LINE_CELLS * line
            if has_tag(cells, start, rank_bits, tag):
                rank = self._compare(cells, start, rank_bits, low, high)
                if rank >= 0:
                    return rank
            if not self._is_remembered(cells[start], rank_bits):
                return -1
            line = (line + 1) & ((1 << bits) - 1)

    def _compare(self, cells: "array[int]", start: int, rank_bits: int, low: int, high: int) -> int:
        """Look at the ids themselves, where the cells of a line say that it might be one of them."""
        tag = self._tag(self.hash(low, high), rank_bits)
        for cell in range(start + 1, start + LINE_CELLS):
            word = cells[cell]
            if word >> rank_bits == tag and self._is_remembered(word, rank_bits):
                rank = self.next_rank - 1 - ((self.next_rank - 1 - word) & ((1 << rank_bits) - 1))
                place = self.width * self.place_of(rank)
                if self.ring[place] == low and (self.width == 1 or self.ring[place + 1] == high):
                    return rank
        return -1

    def _tag(self, hashed: int, rank_bits: int) -> int:
        # Never 0, so that no cell in use is 0.
        return (hashed & ((1 << (32 - rank_bits)) - 1)) | 1

    def _is_remembered(self, word: int, rank_bits: int) -> int:
        """Whether the rank in a cell, or in a line's mark, is one of those remembered."""
        age = (self.next_rank - 1 - word) & ((1 << rank_bits) - 1)
        return 1 if word and age < self.next_rank - self.first_rank else 0

    def warm(self, low: int, high: int) -> int:
        """Have brought into the cache what looking for an id will touch."""
        prefetch(self.cells, 64 * (self.hash(low, high) >> (31 - self._bits)))
        return 0

    # Taking one in.

    def append(self, low: int, high: int) -> int:
        """Take in an id that is not remembered; return its rank."""
        rank = self.next_rank
        if not rank & IDS_PAGE_MASK:
            self._open_page(rank)
        place = self.width * self.place_of(rank)
        self.ring[place] = low
        if self.width == 2:
            self.ring[place + 1] = high
        if self._old_bits:
            self._enter_some()
        elif rank - self.first_rank >= LINE_IDS_MAX << self._bits:
            self._grow()
        self._enter(self.hash(low, high), rank)
        self.next_rank = rank + 1
        return rank

    def forget(self) -> int:
        """Remember the oldest id no longer."""
        rank = self.first_rank
        self.first_rank = rank + 1
        if not (rank + 1) & IDS_PAGE_MASK:
            self._free.append(self.pages[(rank >> IDS_PAGE_BITS) & self._page_mask])
        return 0

    def _enter(self, hashed: int, rank: int) -> int:
        cells, bits = self.cells, self._bits
        rank_bits = bits + 6
        low_rank = rank & ((1 << rank_bits) - 1)
        line = hashed >> (31 - bits)
        while True:
            start = LINE_CELLS * line
            # Any cell will do but the mark. Begun where the hash says, the search is soon over.
            for turn in range(hashed, hashed + LINE_CELLS):
                cell = start + (turn & (LINE_CELLS - 1))
                if cell != start and not self._is_remembered(cells[cell], rank_bits):
                    cells[cell] = (self._tag(hashed, rank_bits) << rank_bits) | low_rank
                    return 0
            mark = cells[start]
            # While the table is filled anew, older ranks come after younger ones.
            if (
                not self._is_remembered(mark, rank_bits)
                or ((rank - mark) & ((1 << rank_bits) - 1)) >> (rank_bits - 1) == 0
            ):
                cells[start] = (1 << rank_bits) | low_rank
            line = (line + 1) & ((1 << bits) - 1)

    def _grow(self) -> int:
        self._old_store, self._old_bits, self.old = self._cell_store, self._bits, self.cells
        self._entered, self._old_end = self.first_rank, self.next_rank
        return self._allocate(self._bits + 1)

    def _enter_some(self) -> int:
        """Enter some of the ranks that only the old table knows in the new one; the last of them ends the old one."""
        rank = max(self._entered, self.first_rank)
        end = min(rank + RANKS_ENTERED, self._old_end)
        while rank < end:
            place = self.width * self.place_of(rank)
            self._enter(self.hash(self.ring[place], self.ring[place + 1] if self.width == 2 else 0), rank)
            rank += 1
        self._entered = rank
        if rank >= self._old_end:
            self._old_bits = 0
            self._old_store = None
        return 0

    # Pages.

    def _open_page(self, rank: int) -> int:
        first, last = self.first_rank >> IDS_PAGE_BITS, rank >> IDS_PAGE_BITS
        if last - first > self._page_mask:
            self._spread_pages(first, last)
        if self._free:
            page = self._free.pop()
        else:
            page = self._page_count << IDS_PAGE_BITS
            self._page_count += 1
            if self.width * page == self._store.count:
                self._store.grow(2 * self._store.count)
                self._attach()
        self.pages[last & self._page_mask] = page
        return 0

    def _spread_pages(self, first: int, last: int) -> int:
        """Twice the room for pages: where the ones from `first` to before `last` are."""
        old = [self.pages[page & self._page_mask] for page in range(first, last)]
        self._page_mask = 2 * self._page_mask + 1
        self._page_store = Block(self._page_mask + 1)
        self._attach()
        for page, place in enumerate(old, first):
            self.pages[page & self._page_mask] = place
        return 0

    # Snapshots.

    def queue(self) -> bytes:
        """The remembered ids by rank, packed."""
        parts = []
        rank = self.first_rank
        while rank < self.next_rank:
            end = min(self.next_rank, (rank | IDS_PAGE_MASK) + 1)
            place = self.width * self.place_of(rank)
            parts.append(self._store.words[place : place + self.width * (end - rank)].tobytes())
            rank = end
        return b"".join(parts)

    def load(self, packed: bytes, first_rank: int) -> None:
        """Fill an empty memory."""
        words = array("q", packed)
        self.first_rank = self.next_rank = first_rank
        if first_rank & IDS_PAGE_MASK:
            self._open_page(first_rank)
        for index in range(0, len(words), self.width):
            self.append(words[index], words[index + 1] if self.width == 2 else 0)
