cimport cython
from matcher.engine.fast.layout cimport *

from matcher.engine.fast.hash_cells cimport HashCells
from matcher.engine.fast.order_pool cimport OrderPool

@cython.final
cdef class PriceQueues:
    cdef OrderPool pool
    cdef HashCells cells
    cdef long long sign
    cdef long long best_price
    cdef long long best_level
    cdef long long chunks
    cdef long long _level_end
    cdef long long _level_free
    cdef long long _chunk_capacity
    cdef object _level_store
    cdef object _key_store
    cdef object _order_store
    cdef object _count_store
    cdef long long* levels
    cdef long long* keys
    cdef long long* order
    cdef long long* counts
    cdef int _attach(self) except -1
    cdef long long first(self) noexcept
    cdef int append(self, long long handle, long long price) except -1
    cdef int remove(self, long long handle) except -1
    cdef int requeue(self, long long handle) noexcept
    cdef long long top(self) noexcept
    cdef long long below(self, long long level) noexcept
    cdef long long _level_of(self, long long price) noexcept
    cdef Py_ssize_t _open_level(self, long long price) except -1
    cdef int _close_level(self, long long level) except -1
    cdef long long _chunk_of(self, long long key) noexcept
    cdef long long _index_in(self, long long chunk, long long key) noexcept
    cdef int _insert_key(self, long long key) except -1
    cdef int _remove_key(self, long long key) except -1
    @cython.locals(index=cython.longlong, count=cython.longlong)
    cdef int _join_chunk(self, long long position) except -1
    @cython.locals(place=cython.longlong)
    cdef int _drop_chunk(self, long long position) except -1
    cdef int _split_chunk(self, long long position) except -1
    cdef int _grow_chunks(self) except -1
