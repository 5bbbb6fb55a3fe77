cimport cython
from matcher.engine.fast.hash_cells cimport HashCells
from matcher.engine.fast.layout cimport *
from matcher.engine.fast.machine cimport prefetch
from matcher.engine.fast.order_pool cimport OrderPool
from matcher.engine.fast.recent_ids cimport RecentIds

@cython.final
cdef class OrderIds:
    cdef OrderPool pool
    cdef HashCells live
    cdef RecentIds recent
    cdef long long finished
    cdef long long finished_max
    cpdef long long find(self, long long order_id) noexcept
    cpdef long long get(self, long long order_id) noexcept
    cpdef Py_ssize_t place(self, long long order_id, long long handle) except -1
    cpdef int retire(self, long long order_id, long long handle, long long rank) except -1
    cpdef int remember(self, long long order_id) except -1
    cdef int _forget_oldest(self) except -1
    cdef int warm_cell(self, long long order_id) noexcept
    cdef int warm_order(self, long long order_id) noexcept
    cpdef int revive(self, long long order_id, long long rank, long long handle) except -1
