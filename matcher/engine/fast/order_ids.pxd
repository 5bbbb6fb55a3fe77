cimport cython
from matcher.engine.fast.layout cimport *

from matcher.engine.fast.id_map cimport IdMap

@cython.final
cdef class OrderIds:
    cdef IdMap map
    cdef object _store
    cdef long long* ring
    cdef long long ring_mask
    cdef readonly long long first_rank
    cdef readonly long long next_rank
    cdef long long finished
    cdef long long finished_max
    cdef int _allocate(self, long long length) except -1
    cpdef long long get(self, long long order_id) noexcept
    cpdef Py_ssize_t place(self, long long order_id, long long handle) except -1
    cpdef int retire(self, long long order_id, long long rank) except -1
    cpdef int revive(self, long long order_id, long long rank, long long handle) except -1
    @cython.locals(seen=cython.longlong, rank=cython.longlong)
    cdef long long warm_oldest(self, long long count) noexcept
    cdef int _grow(self) except -1
