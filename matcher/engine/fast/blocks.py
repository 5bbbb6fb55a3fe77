"""Memory for the flat buffers that grow large.

A million remembered ids are spread over tens of megabytes and touched at random: with pages of 4 KiB nearly every
touch misses the processor's page table cache too. Large blocks therefore ask the kernel for huge pages.
"""

import ctypes
import mmap
from array import array
from typing import Any

_HUGE_FROM_BYTES = 2 * 1024 * 1024


class Block:
    """Zeroed words: `words` for the interpreter, `address` for the compiled engine. It must outlive both."""

    def __init__(self, count: int) -> None:
        size = 8 * count
        self.words: Any
        if size < _HUGE_FROM_BYTES or not hasattr(mmap, "MADV_HUGEPAGE"):
            self.words = array("q", bytes(size))
            self.address: int = self.words.buffer_info()[0]
            return
        # Private: shared memory, which is the default, is given huge pages by another switch that is mostly off.
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        pages.madvise(mmap.MADV_HUGEPAGE)
        self.words = memoryview(pages).cast("q")
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
