"""Memory for the flat buffers.

A million remembered ids are spread over tens of megabytes and touched at random: with pages of 4 KiB nearly every
touch misses the processor's page table cache too. Large blocks therefore ask the kernel for huge pages, and they grow
by having their pages moved, not copied: no command waits for megabytes.
"""

import ctypes
import mmap
from array import array
from typing import Any

_MAPPED_FROM_BYTES = 2 * 1024 * 1024
_LINE_BYTES = 64
_CAN_MAP = hasattr(mmap, "MADV_HUGEPAGE")


class Block:
    """Zeroed words: `words` for the interpreter, `address` for the compiled engine, which starts a cache line.

    It must outlive both, and both are others after `grow`.
    """

    words: Any
    address: int

    def __init__(self, count: int) -> None:
        self._take(count)

    def _take(self, count: int) -> None:
        self.count = count
        self._pages: mmap.mmap | None = None
        if _CAN_MAP and 8 * count >= _MAPPED_FROM_BYTES:
            # Private: shared memory, which is the default, is given huge pages by another switch that is mostly off.
            self._pages = mmap.mmap(-1, 8 * count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            self._look(self._pages)
            return
        # Outside of the large blocks the array is the buffer, so that an address checker knows where it ends.
        spare = _LINE_BYTES // 8 - 1
        store = array("q", bytes(8 * (count + spare)))
        skipped = -store.buffer_info()[0] % _LINE_BYTES
        self.address = store.buffer_info()[0] + skipped
        self.words = memoryview(store)[skipped // 8 : skipped // 8 + count]

    def _look(self, pages: mmap.mmap) -> None:
        pages.madvise(mmap.MADV_HUGEPAGE)
        self.words = memoryview(pages).cast("q")
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(pages))

    def grow(self, count: int) -> None:
        """Make the block longer; what it holds stays at its start."""
        pages, old_words, old_count = self._pages, self.words, self.count
        if pages is None:
            self._take(count)
            self.words[:old_count] = old_words
            return
        old_words.release()
        del self.words
        pages.resize(8 * count)
        self.count = count
        self._look(pages)
