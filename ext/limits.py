"""Limits that keep every product of the core inside 128 bits; both twins refuse what is beyond them."""

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1

TIME_LIMIT_MS = 2**53  # times are 0 <= t_ms < this
SCALE_LIMIT = 10**12  # numerator and denominator of a scale
MODULUS_LIMIT = 2**64
COUNTER_POWER_LIMIT_W = 10**9
REFRESH_LIMIT_S = 10**6
POWER_LIMIT_MW = 10**12  # milliwatts either way: 1 GW
GAP_LIMIT_MS = 2**32


def int64(value: int) -> int:
    """`value` itself; OverflowError when it does not fit 64 bits."""
    if not INT64_MIN <= value <= INT64_MAX:
        raise OverflowError(f"{value} does not fit 64 bits")
    return value
