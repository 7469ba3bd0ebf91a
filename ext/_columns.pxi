# Columns in and out of a batch. Contracts: ext/columns.py.

cdef int64_t TIME_LIMIT = TIME_LIMIT_MS

# Rows from which a batch releases the lock of the interpreter. Below it, getting the lock back costs more than the
# work: another thread that computes keeps it for milliseconds.
cdef Py_ssize_t LONG_BATCH = 10_000


cdef bint sound_batch(
    array.array registers, array.array first, array.array second, array.array t_ms, Py_ssize_t known
) noexcept:
    """The quick form of `require_batch`, which is asked for the error when this says no."""
    cdef Py_ssize_t i, count = len(registers)
    cdef int32_t last = <int32_t>(known - 1), outside = 0
    cdef uint64_t times = 0
    if registers.ob_descr.typecode != c"i" or first.ob_descr.typecode != c"q":
        return False
    if second.ob_descr.typecode != c"q" or t_ms.ob_descr.typecode != c"q":
        return False
    if len(first) != count or len(second) != count or len(t_ms) != count:
        return False
    for i in range(count):  # without a branch; the limit of time is a power of two
        outside |= registers.data.as_ints[i] | (last - registers.data.as_ints[i])
        times |= <uint64_t>t_ms.data.as_longlongs[i]
    return outside >= 0 and times < <uint64_t>TIME_LIMIT


cdef int64_t *grown(array.array column, Py_ssize_t count) except? NULL:
    """The cells of a 'q' column after making it `count` long; what it held is of no value."""
    array.resize_smart(column, count)
    expect_use(column.data.as_longlongs, count * sizeof(int64_t))
    return <int64_t *>column.data.as_longlongs


cdef int shorten(events, Py_ssize_t count) except -1:
    """Cut all columns of `events` to `count` rows."""
    cdef array.array column
    for name in type(events).__slots__:
        column = getattr(events, name)
        array.resize_smart(column, count)
    return 0


cdef bint is_ours(events) except -1:
    """True when the caller alone knows of the events, and of each column of theirs."""
    cdef array.array column
    if Py_REFCNT(events) > 1:  # the caller's reference: an argument is borrowed
        return False
    for name in type(events).__slots__:
        column = getattr(events, name)
        if Py_REFCNT(column) > 2 or column.ob_descr.typecode != c"q":  # the events' reference, and this one
            return False
    return True


cdef list pinned(columns):
    """Views of the columns: as long as they are kept, no other thread can resize what it shares with us."""
    return [memoryview(column) for column in columns]
