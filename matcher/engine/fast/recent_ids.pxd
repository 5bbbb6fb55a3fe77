cimport cython
from matcher.engine.fast.layout cimport *
from matcher.engine.fast.machine cimport has_tag, mix, prefetch

@cython.final
cdef class RecentIds:
    cdef list _free
    cdef object _store
    cdef object _page_store
    cdef object _cell_store
    cdef object _old_store
    cdef long long* ring
    cdef long long* pages
    cdef unsigned int* cells
    cdef unsigned int* old
    cdef long long width
    cdef long long seed
    cdef readonly long long first_rank
    cdef readonly long long next_rank
    cdef long long _page_mask
    cdef long long _page_count
    cdef long long _bits
    cdef long long _old_bits
    cdef long long _old_end
    cdef long long _entered
    cdef int _allocate(self, long long bits) except -1
    cdef int _attach(self) except -1
    cdef long long hash(self, long long low, long long high) noexcept
    cdef long long place_of(self, long long rank) noexcept
    cdef long long low_of(self, long long rank) noexcept
    cpdef long long find(self, long long low, long long high) noexcept
    @cython.locals(tag=cython.uint, rank_bits=cython.uint)
    cdef long long _find_in(self, unsigned int* cells, long long bits, long long hashed, long long low, long long high) noexcept
    @cython.locals(cell=cython.longlong, word=cython.longlong)
    cdef long long _compare(self, unsigned int* cells, long long start, long long rank_bits, long long low, long long high) noexcept
    cdef long long _tag(self, long long hashed, long long rank_bits) noexcept
    cdef int _is_remembered(self, long long word, long long rank_bits) noexcept
    cdef int warm(self, long long low, long long high) noexcept
    cpdef Py_ssize_t append(self, long long low, long long high) except -1
    cpdef int forget(self) except -1
    @cython.locals(cell=cython.longlong, turn=cython.longlong, mark=cython.longlong)
    cdef int _enter(self, long long hashed, long long rank) noexcept
    cdef int _grow(self) except -1
    @cython.locals(rank=cython.longlong, end=cython.longlong)
    cdef int _enter_some(self) except -1
    @cython.locals(page=cython.longlong)
    cdef int _open_page(self, long long rank) except -1
    @cython.locals(page=cython.longlong, place=cython.longlong)
    cdef int _spread_pages(self, long long first, long long last) except -1
