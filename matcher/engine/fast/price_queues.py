# mypy: always-false=compiled
"""Queues of orders at prices, in order of the prices: a side of the book, or the stops that wait on one side.

A level (one price and its queue) is found by a hash map. The prices stand sorted by *key*, which grows with priority,
so the best is always last. Keys are kept in chunks of at most CHUNK_KEYS in one order: a new price moves at most one
chunk's keys, and now and then, when a chunk is split, the list of chunks. The best costs nothing to find or take away.
"""

import cython

from matcher.engine.fast.blocks import Block

if not cython.compiled:
    from array import array

    from matcher.engine.fast.hash_cells import HashCells
    from matcher.engine.fast.layout import (
        CHUNK_KEYS,
        LEVEL,
        LEVEL_HEAD,
        LEVEL_PRICE,
        LEVEL_TAIL,
        LEVEL_WORDS,
        NEXT,
        NUMBER_MASK,
        PREVIOUS,
    )
    from matcher.engine.fast.order_pool import OrderPool


class PriceQueues:
    """`sign` is 1 where the highest price comes first, -1 where the lowest does."""

    levels: "array[int]"
    keys: "array[int]"
    order: "array[int]"
    counts: "array[int]"

    def __init__(self, pool: OrderPool, sign: int) -> None:
        self.pool = pool
        self.sign = sign
        self.cells = HashCells()
        self.best_price = 0
        self.best_level = 0
        self._level_store = Block(LEVEL_WORDS * 64)
        self._level_end = LEVEL_WORDS
        self._level_free = 0
        self._chunk_capacity = 4
        self._key_store = Block(CHUNK_KEYS * 4)
        self._order_store = Block(4)
        self._count_store = Block(4)
        # `order` lists the chunks in use by their keys, and behind them those that are free.
        self.chunks = 0
        for chunk in range(4):
            self._order_store.words[chunk] = chunk
        self._attach()

    def _attach(self) -> int:
        if cython.compiled:
            self.levels = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._level_store.address))
            self.keys = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._key_store.address))
            self.order = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._order_store.address))
            self.counts = cython.cast(cython.p_longlong, cython.cast(cython.size_t, self._count_store.address))
        else:
            self.levels = self._level_store.words
            self.keys = self._key_store.words
            self.order = self._order_store.words
            self.counts = self._count_store.words
        return 0

    # Orders.

    def first(self) -> int:
        """The order that comes first of all; 0 where there is none."""
        return self.levels[self.best_level + LEVEL_HEAD] if self.best_level else 0

    def append(self, handle: int, price: int) -> int:
        """Put an order at the back of its price's queue."""
        level = self._level_of(price)
        if not level:
            level = self._open_level(price)
        words = self.pool.words
        tail = self.levels[level + LEVEL_TAIL]
        words[handle + LEVEL] = level
        words[handle + PREVIOUS] = tail
        words[handle + NEXT] = 0
        if tail:
            words[tail + NEXT] = handle
        else:
            self.levels[level + LEVEL_HEAD] = handle
        self.levels[level + LEVEL_TAIL] = handle
        return 0

    def remove(self, handle: int) -> int:
        """Take an order out, and its price where it was the last there."""
        words = self.pool.words
        level = words[handle + LEVEL]
        before = words[handle + PREVIOUS]
        behind = words[handle + NEXT]
        if before:
            words[before + NEXT] = behind
        else:
            self.levels[level + LEVEL_HEAD] = behind
        if behind:
            words[behind + PREVIOUS] = before
        else:
            self.levels[level + LEVEL_TAIL] = before
            if not before:
                self._close_level(level)
        return 0

    def requeue(self, handle: int) -> int:
        """Send an order to the back of its price's queue."""
        words = self.pool.words
        behind = words[handle + NEXT]
        if not behind:
            return 0
        level = words[handle + LEVEL]
        before = words[handle + PREVIOUS]
        tail = self.levels[level + LEVEL_TAIL]
        if before:
            words[before + NEXT] = behind
        else:
            self.levels[level + LEVEL_HEAD] = behind
        words[behind + PREVIOUS] = before
        words[tail + NEXT] = handle
        words[handle + PREVIOUS] = tail
        words[handle + NEXT] = 0
        self.levels[level + LEVEL_TAIL] = handle
        return 0

    # Levels, best first: `level = top()`, then `level = below(level)` until it is 0.

    def top(self) -> int:
        """The best level; 0 where there is none."""
        return self.best_level

    def below(self, level: int) -> int:
        """The next level by priority; 0 behind the last."""
        key = self.sign * self.levels[level + LEVEL_PRICE]
        position = self._chunk_of(key)
        chunk = self.order[position]
        index = self._index_in(chunk, key)
        if index == 0:
            if position == 0:
                return 0
            chunk = self.order[position - 1]
            index = self.counts[chunk]
        return self._level_of(self.sign * self.keys[chunk * CHUNK_KEYS + index - 1])

    # Prices.

    def _level_of(self, price: int) -> int:
        """The level at a price; 0 where nothing stands."""
        cells = self.cells
        hashed = cells.hash(price)
        cell = cells.first(hashed)
        while cell >= 0:
            level = LEVEL_WORDS * (cells.words[cell] & NUMBER_MASK)
            if self.levels[level + LEVEL_PRICE] == price:
                return level
            cell = cells.after(cell, hashed)
        return 0

    def _open_level(self, price: int) -> int:
        level = self._level_free
        if level:
            self._level_free = self.levels[level + LEVEL_HEAD]
        else:
            if self._level_end == self._level_store.count:
                self._level_store.grow(2 * self._level_end)
                self._attach()
            level = self._level_end
            self._level_end = level + LEVEL_WORDS
        self.levels[level + LEVEL_PRICE] = price
        self.levels[level + LEVEL_HEAD] = 0
        self.levels[level + LEVEL_TAIL] = 0
        self.cells.add(self.cells.hash(price), level // LEVEL_WORDS)
        self._insert_key(self.sign * price)
        if not self.best_level or self.sign * price > self.sign * self.best_price:
            self.best_price = price
            self.best_level = level
        return level

    def _close_level(self, level: int) -> int:
        price = self.levels[level + LEVEL_PRICE]
        self.cells.remove(self.cells.find(self.cells.hash(price), level // LEVEL_WORDS))
        self._remove_key(self.sign * price)
        self.levels[level + LEVEL_HEAD] = self._level_free
        self._level_free = level
        if level == self.best_level:
            if self.chunks:
                chunk = self.order[self.chunks - 1]
                self.best_price = self.sign * self.keys[chunk * CHUNK_KEYS + self.counts[chunk] - 1]
                self.best_level = self._level_of(self.best_price)
            else:
                self.best_price = 0
                self.best_level = 0
        return 0

    # Keys.

    def _chunk_of(self, key: int) -> int:
        """The position of the chunk where the key stands or belongs."""
        high = self.chunks - 1
        if self.keys[self.order[high] * CHUNK_KEYS] <= key:
            return high
        low = 0
        while low < high:
            middle = (low + high + 1) >> 1
            if self.keys[self.order[middle] * CHUNK_KEYS] <= key:
                low = middle
            else:
                high = middle - 1
        return low

    def _index_in(self, chunk: int, key: int) -> int:
        """Where in its chunk the key stands."""
        start = chunk * CHUNK_KEYS
        low = 0
        high = self.counts[chunk] - 1
        while low < high:
            middle = (low + high) >> 1
            if self.keys[start + middle] < key:
                low = middle + 1
            else:
                high = middle
        return low

    def _insert_key(self, key: int) -> int:
        if not self.chunks:
            chunk = self.order[0]
            self.chunks = 1
            self.counts[chunk] = 1
            self.keys[chunk * CHUNK_KEYS] = key
            return 0
        position = self._chunk_of(key)
        chunk = self.order[position]
        if self.counts[chunk] == CHUNK_KEYS:
            self._split_chunk(position)
            position = self._chunk_of(key)
            chunk = self.order[position]
        start = chunk * CHUNK_KEYS
        index = start + self.counts[chunk]
        keys = self.keys
        while index > start and keys[index - 1] > key:
            keys[index] = keys[index - 1]
            index -= 1
        keys[index] = key
        self.counts[chunk] += 1
        return 0

    def _remove_key(self, key: int) -> int:
        position = self._chunk_of(key)
        chunk = self.order[position]
        start = chunk * CHUNK_KEYS
        index = start + self.counts[chunk] - 1
        keys = self.keys
        carried = keys[index]
        while carried != key:
            index -= 1
            moved = keys[index]
            keys[index] = carried
            carried = moved
        self.counts[chunk] -= 1
        if not self.counts[chunk]:
            self._drop_chunk(position)
        elif position and 4 * self.counts[chunk] < CHUNK_KEYS:
            self._join_chunk(position)
        return 0

    def _join_chunk(self, position: int) -> int:
        """Give a chunk's few keys to the one before it, where they leave room for others: no chunk is kept for one."""
        chunk, before = self.order[position], self.order[position - 1]
        count, taken = self.counts[chunk], self.counts[before]
        if 4 * (count + taken) > 3 * CHUNK_KEYS:
            return 0
        for index in range(count):
            self.keys[before * CHUNK_KEYS + taken + index] = self.keys[chunk * CHUNK_KEYS + index]
        self.counts[before] = taken + count
        return self._drop_chunk(position)

    def _drop_chunk(self, position: int) -> int:
        chunk = self.order[position]
        self.chunks -= 1
        for place in range(position, self.chunks):
            self.order[place] = self.order[place + 1]
        self.order[self.chunks] = chunk
        return 0

    def _split_chunk(self, position: int) -> int:
        """Give the upper half of a full chunk's keys to a chunk of its own."""
        if self.chunks == self._chunk_capacity:
            self._grow_chunks()
        chunk = self.order[position]
        added = self.order[self.chunks]
        half = CHUNK_KEYS // 2
        for index in range(half):
            self.keys[added * CHUNK_KEYS + index] = self.keys[chunk * CHUNK_KEYS + half + index]
        self.counts[chunk] = half
        self.counts[added] = half
        place = self.chunks
        while place > position + 1:
            self.order[place] = self.order[place - 1]
            place -= 1
        self.order[position + 1] = added
        self.chunks += 1
        return 0

    def _grow_chunks(self) -> int:
        old = self._chunk_capacity
        self._key_store.grow(2 * CHUNK_KEYS * old)
        self._count_store.grow(2 * old)
        self._order_store.grow(2 * old)
        self._chunk_capacity = 2 * old
        self._attach()
        for chunk in range(old, 2 * old):
            self.order[chunk] = chunk
        return 0
