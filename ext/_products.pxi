# Energy times factor, in columns. Contracts: ext/_twin/products.py.

cdef struct Factors:
    Py_ssize_t count
    const int64_t *starts
    const int64_t *values


def multiply(array.array amounts not None, factor):
    cdef int64_t by = factor
    cdef Py_ssize_t row, count = len(amounts)
    cdef array.array products
    cdef const int64_t *source
    cdef int64_t *target
    cdef bint leaves
    require_typecode(amounts, "q")
    products = array.clone(amounts, count, False)
    source = <int64_t *>amounts.data.as_longlongs
    target = <int64_t *>products.data.as_longlongs
    expect_use(target, count * sizeof(int64_t))
    if count < LONG_BATCH:
        leaves = multiply_all(source, by, count, target)
    else:
        views = pinned((amounts,))
        with nogil:
            leaves = multiply_all(source, by, count, target)
    if leaves:
        for row in range(count):
            if product_leaves(source[row], by, &target[row]):
                raise ProductOverflow(row, source[row], by)
    return products


def carbon(
    array.array energy_mWh not None,
    array.array t0_ms not None,
    array.array starts_ms not None,
    array.array values not None,
):
    return carbon_of(energy_mWh, False, t0_ms, starts_ms, values)


def deltas(
    array.array counts_mWh not None,
    array.array t_ms not None,
    array.array starts_ms not None,
    array.array values not None,
):
    return carbon_of(counts_mWh, True, t_ms, starts_ms, values)


cdef carbon_of(array.array amounts, bint differences, array.array times, array.array starts, array.array values):
    """The carbon of amounts, or of the differences between them."""
    cdef Py_ssize_t count, done
    cdef Factors factors
    cdef array.array products
    cdef const int64_t *source
    cdef const int64_t *when
    cdef int64_t *target
    cdef bint leaves = False
    if not sound_factors(amounts, times, starts, values):
        require_factors(amounts, times, starts, values)
    count = max(len(amounts) - differences, 0)
    factors = Factors(
        count=len(starts),
        starts=<int64_t *>starts.data.as_longlongs,
        values=<int64_t *>values.data.as_longlongs,
    )
    products = array.clone(amounts, count, False)
    source = <int64_t *>amounts.data.as_longlongs
    when = <int64_t *>times.data.as_longlongs
    target = <int64_t *>products.data.as_longlongs
    expect_use(target, count * sizeof(int64_t))
    if count < LONG_BATCH:
        done = carbon_all(source, differences, when, count, &factors, target, &leaves)
    else:
        views = pinned((amounts, times, starts, values))
        with nogil:
            done = carbon_all(source, differences, when, count, &factors, target, &leaves)
    if done < count:
        raise ValueError(f"row {done}: no factor is in force at {when[done]} ms")
    if leaves:
        raise_overflow(amounts, differences, times, starts, values)
    return products


cdef raise_overflow(array.array amounts, bint differences, array.array times, array.array starts, array.array values):
    """Look for the amount or product that left 64 bits."""
    for row in range(len(amounts) - differences):
        amount = amounts[row + 1] - amounts[row] if differences else amounts[row]
        value = values[bisect_right(starts, times[row]) - 1]
        if not (INT64_MIN <= amount <= INT64_MAX and INT64_MIN <= amount * value <= INT64_MAX):
            raise ProductOverflow(row, amount, value)


cdef bint multiply_all(const int64_t *source, int64_t by, Py_ssize_t count, int64_t *target) noexcept nogil:
    """Fill `target`; True when a product left 64 bits."""
    cdef Py_ssize_t i
    cdef bint leaves = False
    for i in range(count):
        leaves |= product_leaves(source[i], by, &target[i])
    return leaves


cdef Py_ssize_t carbon_all(
    const int64_t *amounts,
    bint differences,
    const int64_t *times,
    Py_ssize_t count,
    const Factors *factors,
    int64_t *target,
    bint *leaves,
) noexcept nogil:
    """Fill `target`; gives the first row without a factor, else `count`. `leaves`: a product left 64 bits."""
    cdef Py_ssize_t i, at = -1
    cdef int64_t first = 1, last = 0, value = 0, amount
    cdef bint left = False
    for i in range(count):
        if not first <= times[i] <= last:
            at = in_force(factors, at, times[i])
            if at < 0:
                return i
            value = factors.values[at]
            first = factors.starts[at]
            last = factors.starts[at + 1] - 1 if at + 1 < factors.count else INT64_MAX
        amount = amounts[i]
        if differences:
            left |= difference_leaves(amounts[i + 1], amount, &amount)
        left |= product_leaves(amount, value, &target[i])
    leaves[0] = left
    return count


cdef Py_ssize_t in_force(const Factors *factors, Py_ssize_t near, int64_t t) noexcept nogil:
    """Place of the factor in force at `t`, -1 when there is none; quick when it is the one after `near`."""
    cdef Py_ssize_t low = 0, high = factors.count, middle
    if near + 1 < high and factors.starts[near + 1] <= t:
        low = near + 2
        if low == high or t < factors.starts[low]:
            return near + 1
    while low < high:
        middle = (low + high) // 2
        if factors.starts[middle] <= t:
            low = middle + 1
        else:
            high = middle
    return low - 1


cdef bint sound_factors(array.array amounts, array.array times, array.array starts, array.array values) noexcept:
    """The quick form of `require_factors`, which is asked for the error when this says no."""
    cdef Py_ssize_t i
    for column in (amounts, times, starts, values):
        if (<array.array>column).ob_descr.typecode != c"q":
            return False
    if len(amounts) != len(times) or len(starts) != len(values):
        return False
    for i in range(1, len(starts)):
        if starts.data.as_longlongs[i - 1] >= starts.data.as_longlongs[i]:
            return False
    return True
