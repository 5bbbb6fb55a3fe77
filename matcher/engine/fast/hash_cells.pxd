cimport cython
from matcher.engine.fast.layout cimport *
from matcher.engine.fast.machine cimport mix, prefetch

@cython.final
cdef class HashCells:
    cdef object _store
    cdef object _old_store
    cdef long long* words
    cdef long long* old
    cdef long long seed
    cdef long long shift
    cdef long long mask
    cdef long long _bits
    cdef long long _old_shift
    cdef long long _old_size
    cdef long long _swept
    cdef readonly long long count
    cdef int _allocate(self, long long bits) except -1
    cpdef long long hash(self, long long key) noexcept
    cdef int warm(self, long long hashed) noexcept
    cpdef long long first(self, long long hashed) noexcept
    cpdef long long after(self, long long cell, long long hashed) noexcept
    cdef long long _seek(self, long long cell, long long hashed) noexcept
    cpdef long long find(self, long long hashed, long long number) noexcept
    cpdef int add(self, long long hashed, long long number) except -1
    cpdef int change(self, long long cell, long long number) noexcept
    cpdef int remove(self, long long cell) noexcept
    cdef int _insert(self, long long word) noexcept
    cdef int _grow(self) except -1
    cdef int _bring(self, long long hashed) noexcept
    @cython.locals(cell=cython.longlong, end=cython.longlong)
    cdef int _move_some(self) except -1
