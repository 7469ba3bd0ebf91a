"""IEEE 754 numbers to canonical integers, from their bits (carbon-method.md, section 3.3)."""

from libc.stdint cimport int64_t, uint64_t

from ext._int128 cimport half_even, i128, narrow, up


cdef inline bint is_finite(uint64_t bits, int width) noexcept nogil:
    if width == 32:
        return (bits >> 23 & 0xFF) != 0xFF
    return (bits >> 52 & 0x7FF) != 0x7FF


cdef inline bint canonical(
    uint64_t bits, int width, int64_t num, int64_t den, int64_t *value, int64_t *ulp
) noexcept nogil:
    """Put the finite number times num/den, and the size of its last place, into `value` and `ulp`.

    0 < |num|, den <= 10^12. False when the value leaves int64.
    """
    cdef int mantissa_bits = 23 if width == 32 else 52
    cdef int bias = 150 if width == 32 else 1075
    cdef int exponent = <int>(bits >> mantissa_bits & (0xFF if width == 32 else 0x7FF))
    cdef uint64_t mantissa = bits & ((<uint64_t>1 << mantissa_bits) - 1)
    cdef bint negative = ((bits >> (width - 1)) == 1) != (num < 0)
    cdef i128 limit = <i128>1 << 126
    cdef i128 unit = <i128>(-num if num < 0 else num)
    cdef i128 divisor = <i128>den
    cdef i128 product, rounded
    if exponent == 0:
        exponent = 1
    else:
        mantissa |= <uint64_t>1 << mantissa_bits
    product = <i128>mantissa * unit
    exponent -= bias
    if exponent >= 0:
        # What leaves 126 bits here leaves 64 bits after the division, which takes at most 40.
        if exponent > 126 or product > limit >> exponent:
            return False
        product = product << exponent
        unit = unit << exponent
    else:
        exponent = -exponent
        if exponent > 126 or divisor > limit >> exponent:  # then the quotient is far below one half
            value[0] = 0
            ulp[0] = 1
            return True
        divisor = divisor << exponent
    rounded = half_even(product, divisor)
    return narrow(-rounded if negative else rounded, value) and narrow(up(unit, divisor), ulp)
