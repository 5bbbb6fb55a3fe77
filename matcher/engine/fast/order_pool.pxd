cimport cython
from matcher.engine.fast.layout cimport *

@cython.final
cdef class OrderPool:
    cdef object _store
    cdef long long _length
    cdef long long _free
    cdef long long* words
    cdef long long end
    cdef readonly long long live
    cdef int _attach(self) except -1
    cpdef Py_ssize_t allocate(self, long long order_id) except -1
    cpdef int release(self, long long handle) noexcept
