cimport cython
from matcher.engine.fast.layout cimport *
from matcher.engine.fast.order_pool cimport OrderPool

@cython.final
cdef class Expiries:
    cdef OrderPool pool
    cdef object _store
    cdef long long* heap
    cdef long long count
    cdef long long _capacity
    cdef int _attach(self) except -1
    cdef int add(self, long long time_ns, long long rank, long long handle) except -1
    cdef long long take(self, long long now_ns) noexcept
    cdef int _is_alive(self, long long rank, long long handle) noexcept
    cdef int _rise(self, long long place, long long time_ns, long long rank, long long handle) noexcept
    cdef int _sink(self, long long time_ns, long long rank, long long handle) noexcept
    @cython.locals(time_ns=cython.longlong, rank=cython.longlong, handle=cython.longlong)
    cdef int _forget_ended(self) except -1
