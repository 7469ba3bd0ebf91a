"""What the core asks of the columns of a batch, before any reading of it is taken."""

from __future__ import annotations

from array import array
from itertools import pairwise

from ext.limits import TIME_LIMIT_MS


def require_typecode(column: array[int] | array[float], typecode: str) -> None:
    """TypeError unless the column is an array of that type."""
    found = getattr(column, "typecode", type(column).__name__)
    if found != typecode:
        raise TypeError(f"a column of type {typecode!r} is wanted, not {found!r}")


def require_factors(amounts: array[int], times: array[int], starts: array[int], values: array[int]) -> None:
    """Check amounts with their times, and factors with their ascending starts; TypeError or ValueError."""
    for column in (amounts, times, starts, values):
        require_typecode(column, "q")
    for one, other in ((amounts, times), (starts, values)):
        if len(one) != len(other):
            raise ValueError(f"the columns differ in length: {len(one)} and {len(other)}")
    for place, (before, after) in enumerate(pairwise(starts), start=1):
        if before >= after:
            raise ValueError(f"factor {place} starts at {after} ms, not after the one before it")


def require_batch(registers: array[int], columns: tuple[array[int], ...], t_ms: array[int], count: int) -> None:
    """Check a batch for a table of `count` registers.

    TypeError unless `registers` is of type 'i' and the columns of 'q'; ValueError unless they have one length
    and times within the limits; IndexError for an unknown register.
    """
    require_typecode(registers, "i")
    for column in columns:
        require_typecode(column, "q")
        if len(column) != len(registers):
            raise ValueError(f"the columns differ in length: {len(column)} and {len(registers)}")
    for register in registers:
        if not 0 <= register < count:
            raise IndexError(f"no register {register} in a table of {count}")
    for t in t_ms:
        if not 0 <= t < TIME_LIMIT_MS:
            raise ValueError(f"time {t} ms is outside 0..{TIME_LIMIT_MS - 1}")
