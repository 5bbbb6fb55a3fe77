# What only C can say. machine.py says the same for the interpreter.
cdef extern from *:
    """
    static inline void prefetch(const void *buffer, long long bytes) {
    #if defined(__GNUC__)
        __builtin_prefetch((const char *) buffer + bytes, 1);
    #endif
    }

    static inline long long mix(long long key, long long seed) {
        unsigned long long folded = (unsigned long long) key ^ ((unsigned long long) key >> 32);
        return (long long) ((folded * (unsigned long long) seed) >> 33);
    }

    /* Sixteen comparisons in four steps: left to itself the compiler makes a hundred and ten instructions of them. */
    static inline int has_tag(const unsigned int *table, long long start, unsigned int shift, unsigned int tag) {
        const unsigned int *line = table + start;
    #if defined(__GNUC__)
        typedef unsigned int four __attribute__((vector_size(16), may_alias));
        typedef long long two __attribute__((vector_size(16)));
        const four *cells = (const four *) line;
        two hits = (two) ((cells[0] >> shift) == tag) | (two) ((cells[1] >> shift) == tag)
            | (two) ((cells[2] >> shift) == tag) | (two) ((cells[3] >> shift) == tag);
        return (hits[0] | hits[1]) != 0;
    #else
        int cell;
        for (cell = 0; cell < 16; cell++)
            if (line[cell] >> shift == tag) return 1;
        return 0;
    #endif
    }
    """
    void prefetch(const void* buffer, long long bytes) noexcept nogil
    long long mix(long long key, long long seed) noexcept nogil
    bint has_tag(const unsigned int* table, long long start, unsigned int shift, unsigned int tag) noexcept nogil
