cimport cython
from matcher.engine.fast.layout cimport *
from matcher.engine.fast.order_pool cimport OrderPool

@cython.final
cdef class EventBuffer:
    cdef OrderPool pool
    cdef object _store
    cdef long long* words
    cdef readonly long long length
    cdef public long long sequence
    cdef long long _start
    cdef long long _first_sequence
    cdef long long _capacity
    cdef int _attach(self) except -1
    cdef int clear(self) noexcept
    cdef int begin(self) except -1
    cdef long long end(self, long long* commands, long long at, long long time_ns) noexcept
    cdef int _reserve(self) except -1
    cdef int _grow(self) except -1
    cdef long long _head(self, long long event_type, long long flags) noexcept
    @cython.locals(by_funds=cython.longlong)
    cdef int received(self, long long order) except -1
    cdef int rejected(self, long long op, long long order_id, long long account_id, long long reason) except -1
    cdef int activate(self, long long order) except -1
    cdef int triggered(self, long long order) except -1
    cdef int open(self, long long order) except -1
    cdef int match(self, long long maker, long long taker, long long trade_id, long long price, long long size) except -1
    cdef int reduced(self, long long order, long long old) except -1
    cdef int amended(self, long long order, long long old_size, long long old_price) except -1
    @cython.locals(by_funds=cython.longlong)
    cdef int _change(self, long long order, long long reason, long long old, long long old_price) except -1
    @cython.locals(by_funds=cython.longlong, done_reason=cython.longlong)
    cdef int done(self, long long order, long long cancel_reason) except -1
    cdef int phase(self, long long phase) except -1
    cdef int auction(self, long long price, long long size) except -1
