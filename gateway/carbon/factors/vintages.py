"""Vintages: the factors of one lens over the time that a block covers, as they were known at its booking."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import suppress

from gateway.carbon.errors import FactorError
from gateway.carbon.factors.factor import Factor
from gateway.carbon.factors.factor_set import FactorSet
from gateway.carbon.intervals import Intervals


class Vintages:
    """One look-up a data year, however many rows there are."""

    def __init__(self, factors: FactorSet, region: str, lens: str, intervals: Intervals, as_of_ms: int) -> None:
        """For the rows of `intervals`, which must not be empty. Raises FactorError for an unknown region."""
        begins = [*intervals.t0_ms, *(t0_ms for _, t0_ms, _ in intervals.gaps)]
        ends = [*intervals.t1_ms, *(t1_ms for _, _, t1_ms in intervals.gaps)]
        self._starts: Sequence[int] = factors.boundaries(region, min(begins), max(ends))
        self._found: dict[int, Factor] = {}
        self._place = (factors, region, lens, as_of_ms)

    def year_at(self, t_ms: int) -> int:
        """Which of the block's data years a time is in, counted from the first: one year, one factor."""
        return bisect_right(self._starts, t_ms)

    def at(self, t_ms: int) -> Factor:
        """The factor at a time of the block. Raises FactorError when there is none, or one below zero."""
        year = self.year_at(t_ms)
        if year not in self._found:
            factors, region, lens, as_of_ms = self._place
            factor = factors.lookup(region, lens, t_ms, as_of_ms)
            if factor.value_mg_per_kWh < 0:
                raise FactorError(f"factor {factor.ref} is below zero; correct its record")
            self._found[year] = factor
        return self._found[year]

    def columns(self, times_ms: Iterable[int]) -> tuple[array[int], array[int]]:
        """Starts and values of the block's years, for the core; a year without any of these times has the value 0.

        Raises FactorError for a value beyond 64 bits.
        """
        starts_ms = array("q", [0, *self._starts])
        values = array("q", [0]) * len(starts_ms)
        for t_ms in {self.year_at(t_ms): t_ms for t_ms in times_ms}.values():
            factor = self.at(t_ms)
            try:
                values[self.year_at(t_ms)] = factor.value_mg_per_kWh
            except OverflowError as error:
                raise FactorError(f"factor {factor.ref} leaves 64 bits; correct its record") from error
        return starts_ms, values

    def between(self, t0_ms: int, t1_ms: int) -> list[Factor]:
        """The factors in force in [t0_ms, t1_ms); years before the region's data begin say nothing."""
        found: list[Factor] = []
        for t_ms in (t0_ms, *(start_ms for start_ms in self._starts if t0_ms < start_ms < t1_ms)):
            with suppress(FactorError):
                found.append(self.at(t_ms))
        return found
