cimport cython

cdef long _OPEN
cdef long _DONE
cdef long _RECEIVED
cdef long _MATCH
cdef long _REJECTED
cdef long _CHANGE

@cython.final
cdef class _Texts:
    cdef object _scale
    cdef object _step
    cdef dict _known
    cdef str of(self, object count)

@cython.final
cdef class EventPrinter:
    cdef public dict names
    cdef dict _cause_names
    cdef object _id_text
    cdef str _product_id
    cdef _Texts _price
    cdef _Texts _size
    cdef _Texts _funds
    cdef str _id(self, number)
    cdef str _body(self, long kind, tuple fields)
    cdef str _received(self, tuple fields)
    cdef str _rejected(self, tuple fields)
    cdef str _activate(self, tuple fields)
    cdef str _open(self, tuple fields)
    cdef str _match(self, tuple fields)
    cdef str _change(self, tuple fields)
    cdef str _done(self, tuple fields)
