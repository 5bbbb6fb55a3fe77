cimport cython
from matcher.engine.fast.layout cimport *
from matcher.engine.fast.accounts cimport Accounts
from matcher.engine.fast.event_buffer cimport EventBuffer
from matcher.engine.fast.expiries cimport Expiries
from matcher.engine.fast.order_ids cimport OrderIds
from matcher.engine.fast.order_pool cimport OrderPool
from matcher.engine.fast.price_queues cimport PriceQueues

@cython.final
cdef class Matching:
    cdef readonly OrderPool pool
    cdef readonly OrderIds ids
    cdef PriceQueues bids
    cdef PriceQueues asks
    cdef PriceQueues losses
    cdef PriceQueues entries
    cdef Expiries expiries
    cdef Accounts accounts
    cdef readonly EventBuffer out
    cdef list fired
    cdef readonly object ties
    cdef long long trailing
    cdef long long quiet_low
    cdef long long quiet_high
    cdef public object product
    cdef public long long now_ns
    cdef public long long last_price
    cdef public long long trade_id
    cdef public long long activations
    cdef long long traded_low
    cdef long long traded_high
    cdef long long unit
    cdef object band
    cdef bint has_band
    cdef bint is_band_small
    cdef long long band_part
    cdef long long band_whole
    cdef long long edges_price
    cdef long long lower
    cdef long long upper
    cdef int set_edges(self) except -1
    cdef int _set_wide_edges(self) except -1
    cdef int display(self, long long order) noexcept
    cdef int rest(self, long long order) except -1
    @cython.locals(stop_price=cython.longlong, is_loss=cython.bint)
    cdef int wait(self, long long order, long long trail) except -1
    @cython.locals(is_loss=cython.bint)
    cdef int wait_trailing(self, long long order, long long trail) except -1
    cdef int withdraw(self, long long order) except -1
    cdef int withdraw_stop(self, long long order) except -1
    cdef int pair(self, long long order, long long partner) except -1
    cdef int part(self, long long order) except -1
    @cython.locals(partner=cython.longlong)
    cdef int cancel_partner(self, long long order) except -1
    cdef int finish(self, long long order, long long cancel_reason) except -1
    cdef int cancel(self, long long order, long long cancel_reason) except -1
    cdef int reduce(self, long long order, long long amount) except -1
    cdef int run(self, long long order) except -1
    @cython.locals(price=cython.longlong, lots=cython.longlong, size=cython.longlong, maker=cython.longlong)
    cdef int match(self, long long order, long long edge) except -1
    cdef int trade(self, long long maker, long long taker, long long price, long long size) except -1
    cdef int fill_resting(self, PriceQueues queues, long long order, long long size) except -1
    cdef int prevent(self, long long order, long long maker, long long lots) except -1
    cdef int decrement(self, long long order, long long maker, long long lots) except -1
    @cython.locals(wanted=cython.longlong, left=cython.longlong, volume=cython.longlong, has_traded=cython.int)
    cdef int can_fill(self, long long order, long long edge) noexcept
    @cython.locals(volume=cython.longlong, shown=cython.longlong)
    cdef long long reachable(self, long long order, long long maker, long long wanted) noexcept
    @cython.locals(order=cython.longlong)
    cdef int fire_stops(self) except -1
    cdef int follow(self, long long price) except -1
    cdef int bound_trailing(self) except -1
    @cython.locals(order=cython.longlong)
    cdef list take_trailing(self)
    @cython.locals(order=cython.longlong, done=cython.longlong)
    cdef int run_stops(self) except -1
    @cython.locals(volume=cython.longlong, price=cython.longlong)
    cdef int uncross(self) except -1
    @cython.locals(volume=cython.longlong)
    cdef dict volumes(self, PriceQueues queues)
