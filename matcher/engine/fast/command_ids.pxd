cimport cython
from matcher.engine.fast.recent_ids cimport RecentIds

@cython.final
cdef class CommandIds:
    cdef RecentIds recent
    cdef long long remembered_max
    cpdef int is_new(self, long long low, long long high) except -1
