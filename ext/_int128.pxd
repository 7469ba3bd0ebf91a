# cython: cdivision=True
"""128-bit products, and the one checked way back to 64 bits."""

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t

cdef extern from *:
    """
    typedef __int128 huxi_i128;
    """
    # Cython has no 128-bit type and takes this one for a long long, while the C compiler knows better: no value
    # of it may become a Python object, and at least one factor of each product is cast to it first.
    ctypedef long long i128 "huxi_i128"

    # True when the result leaves 64 bits.
    bint product_leaves "__builtin_mul_overflow"(int64_t left, int64_t right, int64_t *product) noexcept nogil
    bint difference_leaves "__builtin_sub_overflow"(int64_t left, int64_t right, int64_t *difference) noexcept nogil


cdef inline bint narrow(i128 value, int64_t *target) noexcept nogil:
    """Put `value` into `target` when it fits 64 bits; say whether it did."""
    if value < <i128>INT64_MIN or value > <i128>INT64_MAX:
        return False
    target[0] = <int64_t>value
    return True


cdef inline i128 half_even(i128 numerator, i128 denominator) noexcept nogil:
    """Rounded quotient; 0 <= numerator, 0 < denominator <= 2^126."""
    cdef i128 quotient = numerator // denominator
    cdef i128 rest = numerator - quotient * denominator
    if 2 * rest + (quotient & 1) > denominator:
        quotient += 1
    return quotient


cdef inline i128 divided(i128 numerator, i128 denominator, int64_t *rest) noexcept nogil:
    """Quotient rounded down, and the rest; 0 <= numerator, 0 < denominator <= 2^63 - 1."""
    cdef i128 quotient
    if numerator <= <i128>INT64_MAX:  # a division of 64 bits takes a fraction of the time
        rest[0] = <int64_t>numerator % <int64_t>denominator
        return <i128>(<int64_t>numerator // <int64_t>denominator)
    quotient = numerator // denominator
    rest[0] = <int64_t>(numerator - quotient * denominator)
    return quotient


cdef inline i128 up(i128 numerator, i128 denominator) noexcept nogil:
    """Quotient rounded up; 0 <= numerator, 0 < denominator."""
    return (numerator + denominator - 1) // denominator
