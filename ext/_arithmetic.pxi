# Exact integer helpers. Contracts: ext/_twin/arithmetic.py.


def apportion(energy, t0_ms, t1_ms, cuts):
    cdef int64_t total = energy
    cdef int64_t t0 = t0_ms, t1 = t1_ms, before_t = t0, before = 0, cut_t, share
    cdef int sign = -1 if total < 0 else 1
    cdef i128 amount = -<i128>total if total < 0 else <i128>total
    cdef list shares = []
    if not 0 <= t0 < t1 < TIME_LIMIT:
        raise ValueError(f"cannot apportion over [{t0}, {t1})")
    for cut in cuts:
        cut_t = cut
        if not before_t < cut_t < t1:
            raise ValueError(f"cut {cut_t} is not between {before_t} and {t1}")
        # Below the amount, hence at most 2^63 - 1 even for the most negative energy.
        share = <int64_t>(amount * (cut_t - t0) // (t1 - t0))
        shares.append(sign * (share - before))
        before_t = cut_t
        before = share
    shares.append(total - sign * before)
    return shares


def allocate(amount, weights):
    cdef int64_t given = amount, weight, total = 0, reached = 0
    cdef int sign = -1 if given < 0 else 1
    cdef i128 size = -<i128>given if given < 0 else <i128>given
    cdef i128 share, before = 0
    cdef list shares = []
    for place, each in enumerate(weights):
        if each < 0:
            raise ValueError(f"weight {place} is negative: {each}")
        weight = each
        if not narrow(<i128>total + weight, &total):
            raise OverflowError("the sum of the weights does not fit 64 bits")
    if total == 0:
        raise ValueError("the weights add up to 0: there is nobody to share with")
    for each in weights:
        weight = each
        reached += weight
        share = size * reached // total
        shares.append(<int64_t>(sign * (share - before)))
        before = share
    return shares


def ratio(amount, num, den):
    cdef int64_t left = amount, right = num, divisor = den, result = 0
    cdef i128 product = <i128>left * <i128>right
    cdef bint negative = product < 0
    if divisor <= 0:
        raise ValueError(f"denominator {divisor} is not positive")
    product = half_even(-product if negative else product, <i128>divisor)
    if not narrow(-product if negative else product, &result):
        raise OverflowError(f"{left} * {right} / {divisor} does not fit 64 bits")
    return result


def float_canonical(bits, width, num, den):
    cdef int64_t value = 0, ulp = 0
    if width not in (32, 64) or not 0 <= bits < 1 << width:
        raise ValueError(f"{bits:#x} are not the bits of a float of {width} bits")
    if not 0 < abs(num) <= SCALE_LIMIT or not 0 < den <= SCALE_LIMIT:
        raise ValueError(f"{num}/{den} is not a fraction within {SCALE_LIMIT}")
    if not is_finite(bits, width):
        raise ValueError(f"{bits:#x} is not a finite float of {width} bits")
    if not canonical(bits, width, num, den, &value, &ulp):
        raise OverflowError(f"{bits:#x} times {num}/{den} does not fit 64 bits")
    return value, ulp
