cimport cython
from matcher.engine.fast.layout cimport *
from matcher.engine.fast.matching cimport Matching
from matcher.engine.fast.price_queues cimport PriceQueues

@cython.final
cdef class OrderPages:
    cdef Matching market
    cdef object store
    cdef long long* words
    cdef int _take(self, object store) except -1
    @cython.locals(order=cython.longlong, at=cython.longlong, bids=cython.longlong, asks=cython.longlong)
    cpdef tuple pack(self)
    @cython.locals(bids_end=cython.longlong, asks_end=cython.longlong, end=cython.longlong, index=cython.longlong)
    cpdef int unpack(self, bytes packed, list counts, list ties) except -1
    cpdef list ties(self)
    @cython.locals(order_id=cython.longlong, partner_id=cython.longlong)
    cdef int tie(self, list ties) except -1
    @cython.locals(order=cython.longlong)
    cdef list _trailing(self)
    cdef list _waiting(self, PriceQueues queues)
    cdef Py_ssize_t _pack_queues(self, PriceQueues queues, long long index) except -1
    @cython.locals(at=cython.longlong, by_funds=cython.longlong, marks=cython.longlong)
    cdef int _pack_order(self, long long order, long long index) noexcept
    @cython.locals(at=cython.longlong, flags=cython.longlong)
    cdef Py_ssize_t _unpack_order(self, long long index) except -1
