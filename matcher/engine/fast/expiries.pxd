cimport cython
from matcher.engine.fast.layout cimport *

@cython.final
cdef class Expiries:
    cdef object _heap_store
    cdef object _place_store
    cdef long long* heap
    cdef long long* places
    cdef readonly long long count
    cdef long long _capacity
    cdef long long _place_count
    cdef int _attach(self) except -1
    cpdef int add(self, long long time_ns, long long rank, long long handle) except -1
    cpdef long long due(self, long long now_ns) noexcept
    cpdef int remove(self, long long handle) noexcept
    cdef int _is_before(self, long long time_ns, long long rank, long long place) noexcept
    cdef int _put(self, long long place, long long time_ns, long long rank, long long handle) noexcept
    cdef int _move(self, long long place, long long to) noexcept
    cdef int _rise(self, long long place, long long time_ns, long long rank, long long handle) noexcept
    cdef int _sink(self, long long place, long long time_ns, long long rank, long long handle) noexcept
