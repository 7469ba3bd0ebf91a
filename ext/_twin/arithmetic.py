"""Exact integer helpers: shares by cumulative floor, ratios, floats from their bits."""

from __future__ import annotations

from collections.abc import Sequence

from ext.limits import SCALE_LIMIT, TIME_LIMIT_MS, int64


def apportion(energy: int, t0_ms: int, t1_ms: int, cuts: Sequence[int]) -> list[int]:
    """Cut `energy` (mWh) over [t0_ms, t1_ms) at `cuts` by cumulative floor; the shares add up to it exactly.

    `cuts` are strictly inside and ascending; ValueError otherwise. A negative energy is cut like its amount,
    with the sign put back. Source: carbon-method.md, section 5.
    """
    int64(energy)
    if not 0 <= int64(t0_ms) < int64(t1_ms) < TIME_LIMIT_MS:
        raise ValueError(f"cannot apportion over [{t0_ms}, {t1_ms})")
    sign = -1 if energy < 0 else 1
    shares = []
    before_ms, before = t0_ms, 0
    for cut in cuts:
        if not before_ms < int64(cut) < t1_ms:
            raise ValueError(f"cut {cut} is not between {before_ms} and {t1_ms}")
        share = abs(energy) * (cut - t0_ms) // (t1_ms - t0_ms)
        shares.append(sign * (share - before))
        before_ms, before = cut, share
    shares.append(sign * (abs(energy) - before))
    return shares


def allocate(amount: int, weights: Sequence[int]) -> list[int]:
    """Share `amount` out over `weights` by cumulative floor; the shares add up to it exactly.

    A share depends on the weights before it, so the order has to be a settled one (device ids). Weights are >= 0 and
    at least one is above (ValueError); a negative amount is shared like its opposite. OverflowError when the amount
    or the sum of the weights leaves int64. Source: carbon-method.md, section 7.
    """
    int64(amount)
    total = 0
    for place, weight in enumerate(weights):
        if weight < 0:
            raise ValueError(f"weight {place} is negative: {weight}")
        total = int64(total + weight)
    if total == 0:
        raise ValueError("the weights add up to 0: there is nobody to share with")
    sign = -1 if amount < 0 else 1
    shares = []
    reached, before = 0, 0
    for weight in weights:
        reached += weight
        share = abs(amount) * reached // total
        shares.append(sign * (share - before))
        before = share
    return shares


def ratio(amount: int, num: int, den: int) -> int:
    """`amount * num / den`, rounded half to even; ValueError unless `den` > 0, OverflowError out of int64."""
    product = int64(amount) * int64(num)
    int64(den)
    if den <= 0:
        raise ValueError(f"denominator {den} is not positive")
    rounded = _half_even(abs(product), den)
    return int64(-rounded if product < 0 else rounded)


def float_canonical(bits: int, width: int, num: int, den: int) -> tuple[int, int]:
    """An IEEE 754 number of `width` 32 or 64, given by its bits, in canonical units: times num/den.

    Gives the value rounded half to even, and the size of its unit in the last place rounded up (at least 1).
    ValueError for NaN, infinities, other widths and fractions beyond the limits; OverflowError outside int64.
    Source: carbon-method.md, section 3.3.
    """
    if width not in (32, 64) or not 0 <= bits < 1 << width:
        raise ValueError(f"{bits:#x} are not the bits of a float of {width} bits")
    if not 0 < abs(num) <= SCALE_LIMIT or not 0 < den <= SCALE_LIMIT:
        raise ValueError(f"{num}/{den} is not a fraction within {SCALE_LIMIT}")
    mantissa_bits, exponent_mask = (23, 0xFF) if width == 32 else (52, 0x7FF)
    exponent = bits >> mantissa_bits & exponent_mask
    if exponent == exponent_mask:
        raise ValueError(f"{bits:#x} is not a finite float of {width} bits")
    mantissa = bits & (1 << mantissa_bits) - 1
    if exponent:
        mantissa |= 1 << mantissa_bits
    power = max(exponent, 1) - (exponent_mask >> 1) - mantissa_bits
    unit_num, unit_den = abs(num) << max(power, 0), den << max(-power, 0)
    value = _half_even(mantissa * unit_num, unit_den)
    negative = (bits >> width - 1 == 1) != (num < 0)
    return int64(-value if negative else value), -(-unit_num // unit_den)


def _half_even(numerator: int, denominator: int) -> int:
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest + (quotient & 1) > denominator)
