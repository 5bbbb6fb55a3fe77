cimport cython
from matcher.engine.fast.layout cimport *

@cython.locals(words=cython.p_longlong, at=cython.longlong, end=cython.longlong, head=cython.longlong, strange=cython.longlong)
cpdef int has_strange_bits(bytes data) except -1
