cimport cython
from matcher.engine.fast.layout cimport *

@cython.final
cdef class IdMap:
    cdef object _store
    cdef long long* cells
    cdef long long mask
    cdef readonly long long count
    cdef int _allocate(self, long long cells) except -1
    cdef long long probe(self, long long key) noexcept
    cdef long long warm(self, long long key) noexcept
    cpdef long long get(self, long long key) noexcept
    cpdef int put(self, long long key, long long value) except -1
    cpdef int remove(self, long long key) except -1
    cdef int _grow(self) except -1
