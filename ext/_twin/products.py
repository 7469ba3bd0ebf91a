"""Energy times factor, in columns: mWh times mg/kWh is ng, an exact product without rounding."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from itertools import pairwise

from ext.columns import require_factors, require_typecode
from ext.limits import INT64_MAX, INT64_MIN, int64
from ext.overflow import ProductOverflow


def multiply(amounts: array[int], factor: int) -> array[int]:
    """`amounts` (array 'q') times `factor`.

    ProductOverflow, naming the row, when a product leaves int64; OverflowError when the factor does.
    """
    require_typecode(amounts, "q")
    int64(factor)
    return array("q", [_product(row, amount, factor) for row, amount in enumerate(amounts)])


def carbon(energy_mWh: array[int], t0_ms: array[int], starts_ms: array[int], values: array[int]) -> array[int]:
    """Each energy times the factor in force at its begin, in ng: the rows of a ledger.

    The factor `values[k]` (mg/kWh) is in force from `starts_ms[k]` until the next start, the last one for ever.
    Times may come in any order; ascending ones are the quickest. All columns are arrays 'q' (TypeError), in pairs
    of one length, the starts ascending. ValueError for columns that are not, and for a row whose time is before
    the first start; ProductOverflow, naming the row, when a product leaves int64.
    """
    require_factors(energy_mWh, t0_ms, starts_ms, values)
    return _carbon(energy_mWh, t0_ms, starts_ms, values)


def deltas(counts_mWh: array[int], t_ms: array[int], starts_ms: array[int], values: array[int]) -> array[int]:
    """The same for a cumulative series: row k is the rise from reading k to k + 1, begun at `t_ms[k]`.

    There is a row less than readings. The series is taken as it is: a fall gives a negative row. Raw counters go
    through CounterTable first. ProductOverflow also for a rise that leaves int64.
    """
    require_factors(counts_mWh, t_ms, starts_ms, values)
    return _carbon([after - before for before, after in pairwise(counts_mWh)], t_ms[:-1], starts_ms, values)


def _carbon(amounts: array[int] | list[int], times: array[int], starts: array[int], values: array[int]) -> array[int]:
    places = [bisect_right(starts, t) - 1 for t in times]
    if -1 in places:
        row = places.index(-1)
        raise ValueError(f"row {row}: no factor is in force at {times[row]} ms")
    return array("q", [_product(row, amounts[row], values[place]) for row, place in enumerate(places)])


def _product(row: int, amount: int, factor: int) -> int:
    product = amount * factor
    if not (INT64_MIN <= amount <= INT64_MAX and INT64_MIN <= product <= INT64_MAX):
        raise ProductOverflow(row, amount, factor)
    return product
