"""Memory for the flat buffers.

Large blocks grow by having their pages moved, not copied, and new ones come from the kernel as they are touched, 4 KiB
at a time: no command waits for megabytes. (Huge pages gave a twentieth more commands a second, and single calls of
several milliseconds wherever the kernel had two megabytes to clear.)
"""

import ctypes
import mmap
import sys
from array import array
from typing import Any

# What malloc's heap had of freed blocks, it kept: 15 bytes an order in a book of 100,000.
_MAPPED_FROM_BYTES = 128 * 1024
_LINE_BYTES = 64
_CAN_MOVE_PAGES = sys.platform == "linux"


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
        if _CAN_MOVE_PAGES and 8 * count >= _MAPPED_FROM_BYTES:
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
