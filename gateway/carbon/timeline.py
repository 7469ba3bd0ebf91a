"""Timeline: the rows of one register that are still open, and how a span of energy is laid over them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from ext import apportion
from gateway.carbon.intervals import Bounds
from gateway.store.row_class import RowClass

Boundaries = Callable[[int, int], Sequence[int]]
"""Gives the times strictly inside [t0_ms, t1_ms) at which factors change, ascending."""


class Span(NamedTuple):
    """What one reading says about the time since an earlier one."""

    t0_ms: int
    t1_ms: int
    energy_mWh: int  # of the register's flow; negative only when an earlier booking is taken back
    back_mWh: int = 0  # the other way (power registers)
    raw_begin: int | None = None
    raw_end: int | None = None
    row_class: RowClass = RowClass.MEASURED
    flags: int = 0
    epoch: int = 0
    bounds: Bounds | None = None


@dataclass(slots=True)
class Row:
    """A row that is open, or was just closed."""

    t0_ms: int
    t1_ms: int
    """Its end so far."""
    limit_ms: int
    """Next cut: it never grows beyond."""
    energy_mWh: int
    back_mWh: int
    raw_begin: int | None
    raw_end: int | None
    row_class: RowClass
    flags: int
    epoch: int
    bounds: list[Bounds] = field(default_factory=list)

    def is_of(self, span: Span) -> bool:
        """Same class and epoch: only then may they share a row."""
        return self.row_class == span.row_class and self.epoch == span.epoch

    def add(self, span: Span, energy_mWh: int, back_mWh: int) -> None:
        """Takes a share of the span in, without growing."""
        self.energy_mWh += energy_mWh
        self.back_mWh += back_mWh
        self.flags |= span.flags

    def grow(self, span: Span, t1_ms: int) -> None:
        """Reaches until `t1_ms`, inside or at the end of the span."""
        self.t1_ms = t1_ms
        self.raw_end = span.raw_end if t1_ms == span.t1_ms else span.raw_begin


class Timeline:
    """Rows in time order, without holes or overlaps, going on where the last close ended."""

    def __init__(self, interval_ms: int, boundaries: Boundaries) -> None:
        self._interval_ms = interval_ms
        self._boundaries = boundaries
        self._rows: list[Row] = []
        self._closed_until_ms = 0

    @property
    def end_ms(self) -> int:
        """Until when there are rows, closed ones included; 0 before the first."""
        return self._rows[-1].t1_ms if self._rows else self._closed_until_ms

    def book(self, span: Span) -> None:
        """Lays a span over the rows: its energy by cumulative floor over the cuts, exactly.

        Where a span reaches back into closed rows, or rows of another class or epoch, its energy is laid over
        the rest of its time: none is lost, and what is closed does not change. Time of which no span speaks
        is missing.
        """
        if 0 < self.end_ms < span.t0_ms:
            self._spread(_silence(self.end_ms, span))
        last = self._rows[-1] if self._rows else None
        if last and last.t1_ms == span.t0_ms and span.t1_ms <= last.limit_ms and last.is_of(span):
            last.add(span, span.energy_mWh, span.back_mWh)
            last.grow(span, span.t1_ms)
        else:
            self._spread(span)
        if span.bounds is not None:
            self._rows[-1].bounds.append(span.bounds)

    def take(self, until_ms: int) -> list[Row]:
        """Closes and returns the rows that end at or before `until_ms`."""
        count = bisect_right(self._rows, until_ms, key=_end)
        taken, self._rows = self._rows[:count], self._rows[count:]
        if taken:
            self._closed_until_ms = taken[-1].t1_ms
        return taken

    def to_state(self) -> list[Any]:
        """All of it, as JSON values."""
        rows = [
            [
                *(row.t0_ms, row.t1_ms, row.energy_mWh, row.back_mWh, row.raw_begin, row.raw_end),
                *(int(row.row_class), row.flags, row.epoch, [[*bounds] for bounds in row.bounds]),
            ]
            for row in self._rows
        ]
        return [self._closed_until_ms, rows]

    def load(self, state: list[Any]) -> None:
        """Takes over what `to_state` gave. Raises TypeError or ValueError for anything else."""
        self._closed_until_ms, rows = state
        self._rows = [
            Row(
                t0,
                t1,
                self._next_cut(t0),
                energy,
                back,
                begin,
                end,
                RowClass(number),
                flags,
                epoch,
                _bounds(bounds),
            )
            for t0, t1, energy, back, begin, end, number, flags, epoch, bounds in rows
        ]

    def _spread(self, span: Span) -> None:
        start_ms = max(span.t0_ms, self._free_from(span))
        cuts = self._cuts(start_ms, span.t1_ms)
        energies = apportion(span.energy_mWh, start_ms, span.t1_ms, cuts)
        backs = apportion(span.back_mWh, start_ms, span.t1_ms, cuts)
        at = bisect_right(self._rows, start_ms, key=_end)
        for (t0_ms, t1_ms), energy_mWh, back_mWh in zip(
            pairwise([start_ms, *cuts, span.t1_ms]), energies, backs, strict=True
        ):
            if at == len(self._rows):
                self._reach(span, t0_ms, t1_ms)
                at = len(self._rows) - 1
            self._rows[at].add(span, energy_mWh, back_mWh)
            if self._rows[at].t1_ms == t1_ms:
                at += 1

    def _reach(self, span: Span, t0_ms: int, t1_ms: int) -> None:
        """Grows the last row until `t1_ms`, or begins the next."""
        last = self._rows[-1] if self._rows else None
        if last and last.t1_ms == t0_ms and t1_ms <= last.limit_ms and last.is_of(span):
            last.grow(span, t1_ms)
            return
        limit_ms = self._next_cut(t0_ms)
        row = Row(t0_ms, t1_ms, limit_ms, 0, 0, span.raw_begin, None, span.row_class, 0, span.epoch)
        row.grow(span, t1_ms)
        self._rows.append(row)

    def _free_from(self, span: Span) -> int:
        """From when on the span may be laid: after what is closed and after rows that it must not share."""
        strangers = (row.t1_ms for row in reversed(self._rows) if not row.is_of(span))
        return max(self._closed_until_ms, next(strangers, 0))

    def _cuts(self, t0_ms: int, t1_ms: int) -> list[int]:
        grid = range(t0_ms + self._interval_ms - t0_ms % self._interval_ms, t1_ms, self._interval_ms)
        borders = (row.t1_ms for row in self._rows if t0_ms < row.t1_ms < t1_ms)
        return sorted({*grid, *self._boundaries(t0_ms, t1_ms), *borders})

    def _next_cut(self, t_ms: int) -> int:
        line_ms = t_ms + self._interval_ms - t_ms % self._interval_ms
        return next(iter(self._boundaries(t_ms, line_ms)), line_ms)


def _silence(since_ms: int, span: Span) -> Span:
    """The time before a span of which nothing is known."""
    return Span(
        since_ms,
        span.t0_ms,
        0,
        raw_begin=span.raw_begin,
        raw_end=span.raw_begin,
        row_class=RowClass.MISSING,
        epoch=span.epoch,
    )


def _bounds(state: list[Any]) -> list[Bounds]:
    return [Bounds(*numbers) for numbers in state]


def _end(row: Row) -> int:
    return row.t1_ms
