"""Aside: energy so large that its carbon cannot be written is not booked, and does not stop the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from gateway.carbon.booking.entries import Scope
from gateway.carbon.booking.rules import Line, Method
from gateway.carbon.factors.factor_set import FactorSet
from gateway.carbon.factors.vintages import Vintages
from gateway.carbon.intervals import Bounds, Intervals, RegisterName
from gateway.store.flag import Flag
from gateway.store.row_class import RowClass, RowKind
from sync.wire import EXACT_LIMIT

_CARBON_LIMIT_NG: Final = 1 << 63


class Aside(NamedTuple):
    """Energy that was not booked."""

    name: RegisterName
    t0_ms: int
    t1_ms: int
    energy_mWh: int
    why: str = "too much to be booked; it stands in the bounds of a suspect row"


def set_aside(
    intervals: Intervals, lines: Sequence[Sequence[Line]], *, scope: Scope, factors: FactorSet, booked_ms: int
) -> tuple[Intervals, list[Aside]]:
    """The intervals with every row made suspect whose energy or carbon leaves its range under any lens, and those rows.

    A reversal stays: what it takes back was booked, so it fits. Raises CarbonError when there is no factor.
    """
    if not len(intervals):
        return intervals, []
    vintages = {lens: Vintages(factors, region, lens, intervals, booked_ms) for lens, region in scope.lenses.items()}
    of_register = [
        [vintages[lens] for lens in {line.lens for line in each if line.method != Method.NONE}] for each in lines
    ]
    rows = [
        row
        for row, (r, t0_ms, energy_mWh, kind) in enumerate(
            zip(intervals.r, intervals.t0_ms, intervals.energy_mWh, intervals.kind, strict=True)
        )
        if energy_mWh is not None
        and kind != RowKind.REVERSAL
        and _leaves(abs(energy_mWh), [each.at(t0_ms).value_mg_per_kWh for each in of_register[r]])
    ]
    return _without(intervals, rows) if rows else (intervals, [])


def _leaves(energy_mWh: int, values: Sequence[int]) -> bool:
    return energy_mWh >= EXACT_LIMIT or any(energy_mWh * value >= _CARBON_LIMIT_NG for value in values)


def _without(intervals: Intervals, rows: Sequence[int]) -> tuple[Intervals, list[Aside]]:
    energies, classes, flags = [*intervals.energy_mWh], [*intervals.row_class], [*intervals.flags]
    bounds, aside = [*intervals.bounds], []
    for row in rows:
        energy_mWh = energies[row] or 0
        found = Aside(intervals.registers[intervals.r[row]], intervals.t0_ms[row], intervals.t1_ms[row], energy_mWh)
        aside.append(found)
        bounds.append((row, Bounds(found.t0_ms, found.t1_ms, 0, energy_mWh)))
        energies[row], classes[row], flags[row] = 0, int(RowClass.SUSPECT), int(flags[row] | Flag.OVERFLOW)
    changed = replace(
        intervals, energy_mWh=energies, row_class=classes, flags=flags, bounds=sorted(bounds, key=lambda each: each[0])
    )
    return changed, aside
