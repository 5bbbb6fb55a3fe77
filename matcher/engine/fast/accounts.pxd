cimport cython
from matcher.engine.fast.hash_cells cimport HashCells
from matcher.engine.fast.layout cimport *
from matcher.engine.fast.order_pool cimport OrderPool

@cython.final
cdef class Accounts:
    cdef OrderPool pool
    cdef HashCells cells
    cdef object _link_store
    cdef object _slot_store
    cdef long long* links
    cdef long long* slots
    cdef long long _link_count
    cdef long long _slot_end
    cdef long long _slot_free
    cdef int _attach(self) except -1
    cdef int add(self, long long handle) except -1
    cdef int remove(self, long long handle) except -1
    cdef long long youngest(self, long long account_id) noexcept
    cdef long long older(self, long long handle) noexcept
    cdef long long _slot_of(self, long long account_id) noexcept
    cdef Py_ssize_t _open_slot(self, long long account_id) except -1
    cdef int _close_slot(self, long long slot) except -1
