cimport cython
from matcher.engine.fast.layout cimport *
from matcher.engine.fast.command_ids cimport CommandIds
from matcher.engine.fast.matching cimport Matching

@cython.final
cdef class Core:
    cdef readonly Matching market
    cdef readonly CommandIds command_ids
    cdef bytes _command_store
    cdef object _end_store
    cdef long long* commands
    cdef long long* ends
    cdef long long _end_capacity
    cdef readonly long long results
    cdef readonly long long events
    cdef public long long phase
    cdef public long long rules_version
    cdef long long ticks_max
    cdef long long value_max
    cdef long long size_min
    cdef long long size_max
    cdef long long funds_min
    cdef long long funds_max
    cdef int _attach(self) except -1
    @cython.locals(at=cython.longlong, ahead=cython.longlong, end=cython.longlong)
    cpdef Py_ssize_t run_batch(self, bytes data, long long start, long long count, long long time_ns) except -1
    cdef int warm(self, long long at, long long end) noexcept
    cdef int _make_room(self, long long results) except -1
    cdef int execute(self, long long at, long long time_ns) except -1
    cdef int do_rarer(self, long long at, long long op) except -1
    cdef int reject(self, long long at, long long op, long long reason) except -1
    @cython.locals(trail=cython.longlong)
    cdef int place(self, long long at) except -1
    @cython.locals(flags=cython.longlong, is_capped=cython.bint)
    cdef Py_ssize_t new_order(self, long long at) except -1
    cdef int refusal_of_place(self, long long at) noexcept
    @cython.locals(partner=cython.longlong, other=cython.longlong)
    cdef int refusal_of_pair(self, long long at) noexcept
    @cython.locals(may_rest=cython.bint)
    cdef int has_right_ties(self, long long at) noexcept
    @cython.locals(trail=cython.longlong)
    cdef int refusal_of_values(self, long long at) noexcept
    @cython.locals(has_size=cython.bint, has_funds=cython.bint, has_price=cython.bint, may_rest=cython.bint)
    cdef int is_well_formed(self, long long at) noexcept
    cdef int refusal_of_price(self, long long side, long long price, long long post_only) noexcept
    cdef int is_size(self, long long size) noexcept
    cdef int cancel(self, long long at) except -1
    @cython.locals(order=cython.longlong)
    cdef int cancel_all(self, long long account_id) except -1
    cdef int cancel_if_unseen(self, long long at) except -1
    @cython.locals(loses_place=cython.bint)
    cdef int amend(self, long long at) except -1
    cdef int refusal_of_amend(self, long long at, long long order) noexcept
    cdef int enter_phase(self, long long at) except -1
    cdef int configure(self, long long at) except -1
    cdef int follow_rules(self, long long at) except -1
