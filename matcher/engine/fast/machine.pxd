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
    """
    void prefetch(const void* buffer, long long bytes) noexcept nogil
    long long mix(long long key, long long seed) noexcept nogil
