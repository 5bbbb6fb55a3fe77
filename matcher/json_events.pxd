cimport cython

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
    cdef dict _bodies
    cdef str _id(self, number)
