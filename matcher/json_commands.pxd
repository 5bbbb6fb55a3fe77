cimport cython

cdef inline dict _parse(bytes line)
cdef inline _decimal(dict fields, str field, _UnitsReader reader)
cdef inline str _id(dict fields, str field)
cdef inline _word(dict fields, str field, dict words, absent)
cdef inline _flag(dict fields, str field)
cdef inline _time(dict fields, str field)

@cython.final
cdef class _UnitsReader:
    cdef dict known
    cdef object _factor
    cdef object _step
    cdef read(self, str text)

@cython.final
cdef class CommandReader:
    cdef public dict names
    cdef _UnitsReader _ticks
    cdef _UnitsReader _lots
    cdef _UnitsReader _funds
    cdef dict _accounts
    cdef bytes _place(self, dict fields, object time_ns)
    cdef bytes _amend(self, dict fields, object time_ns)
    cdef _order(self, dict fields)
    cdef _account(self, dict fields)
