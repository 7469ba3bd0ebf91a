# Columns in and out of a batch. Contracts: ext/columns.py.

cdef int64_t TIME_LIMIT = TIME_LIMIT_MS


cdef bint sound_batch(
    array.array registers, array.array first, array.array second, array.array t_ms, Py_ssize_t known
) noexcept:
    """The quick form of `require_batch`, which is asked for the error when this says no."""
    cdef Py_ssize_t i, count = len(registers)
    if registers.ob_descr.typecode != c"i" or first.ob_descr.typecode != c"q":
        return False
    if second.ob_descr.typecode != c"q" or t_ms.ob_descr.typecode != c"q":
        return False
    if len(first) != count or len(second) != count or len(t_ms) != count:
        return False
    for i in range(count):
        if not 0 <= registers.data.as_ints[i] < known or not 0 <= t_ms.data.as_longlongs[i] < TIME_LIMIT:
            return False
    return True


cdef int64_t *grown(array.array column, Py_ssize_t count) except? NULL:
    """The cells of an empty 'q' column after making it `count` long."""
    array.resize(column, count)
    return <int64_t *>column.data.as_longlongs
