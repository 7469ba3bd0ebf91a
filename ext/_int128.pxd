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


cdef inline i128 up(i128 numerator, i128 denominator) noexcept nogil:
    """Quotient rounded up; 0 <= numerator, 0 < denominator."""
    return (numerator + denominator - 1) // denominator
