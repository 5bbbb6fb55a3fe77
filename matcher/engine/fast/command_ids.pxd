cimport cython

@cython.final
cdef class CommandIds:
    cdef object _ring_store
    cdef object _table_store
    cdef long long* ring
    cdef long long* table
    cdef long long length
    cdef long long mask
    cdef long long taken
    cdef long long next
    cdef long long _home(self, long long low, long long high) noexcept
    cpdef int is_new(self, long long low, long long high) noexcept
    cdef int _forget(self, long long place) noexcept
