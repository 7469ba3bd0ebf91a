"""Timeline: the rows of one register that are not written yet, and how a span of energy is laid over them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from ext import apportion
from gateway.carbon.intervals import Bounds
from gateway.carbon.metering.correction import DAY_MS, Piece
from gateway.carbon.metering.span import Span
from gateway.store.flag import Flag
from gateway.store.row_class import RowClass

Boundaries = Callable[[int, int], Sequence[int]]
"""Gives the times strictly inside [t0_ms, t1_ms) at which factors change, ascending."""


class Reach(NamedTuple):
    """A span that reaches back into closed time."""

    span: Span
    until_ms: int
    """Where the closed time ended when it came."""


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
    gap: tuple[int, int] | None = None
    """The span of more than a day, or with an estimated date, that it lies in."""

    def is_of(self, span: Span) -> bool:
        """Same class and epoch: only then may they share a row. What a person decides about stays by itself."""
        return self.row_class == span.row_class != RowClass.SUSPECT and self.epoch == span.epoch

    def add(self, span: Span, energy_mWh: int, back_mWh: int) -> None:
        """Takes a share of the span in, without growing."""
        self.energy_mWh += energy_mWh
        self.back_mWh += back_mWh
        self.flags |= span.flags
        if span.window is not None:
            self.gap = span.window
        elif span.t1_ms - span.t0_ms > DAY_MS:
            self.gap = (span.t0_ms, span.t1_ms)

    def grow(self, span: Span, t1_ms: int) -> None:
        """Reaches until `t1_ms`, inside or at the end of the span."""
        self.t1_ms = t1_ms
        self.raw_end = span.raw_end if t1_ms == span.t1_ms else span.raw_begin


class Timeline:
    """Rows in time order, without holes or overlaps, going on where the last one that was taken ended.

    What is closed never changes, and when that is depends on the readings alone, not on when rows are taken: the
    same readings give the same rows and reaches, however they are cut into sweeps.
    """

    def __init__(self, interval_ms: int, boundaries: Boundaries) -> None:
        self._interval_ms = interval_ms
        self._boundaries = boundaries
        self._rows: list[Row] = []
        self._reaches: list[Reach] = []
        self._closed_until_ms = 0
        self.turns = 0
        """How often dates went back: rows since then may lie where earlier ones do."""

    @property
    def end_ms(self) -> int:
        """Until when there are rows, those that were taken included; 0 before the first."""
        return self._rows[-1].t1_ms if self._rows else self._closed_until_ms

    @property
    def settled_ms(self) -> int:
        """Until when nothing changes any more; 0 when nothing is known."""
        return self._closed_until_ms or (self._rows[0].t0_ms if self._rows else 0)

    def book(self, span: Span) -> None:
        """Lays a span over the rows: its energy by cumulative floor over the cuts, exactly.

        What it says of closed time is kept apart, as a reach. What reaches back into rows of another class or epoch is
        laid over the rest of its time. Time of which no span speaks is missing.
        """
        if 0 < self.end_ms < span.t0_ms:
            self._spread(_silence(self.end_ms, span))
        if span.replaces:
            self._rows = [row for row in self._rows if row.t1_ms <= max(span.t0_ms, self._closed_until_ms)]
        last = self._rows[-1] if self._rows else None
        if last and last.t1_ms == span.t0_ms and span.t1_ms <= last.limit_ms and last.is_of(span):
            last.add(span, span.energy_mWh, span.back_mWh)
            last.grow(span, span.t1_ms)
        else:
            self._spread(span)
        if span.bounds is not None:
            self._rows[-1].bounds.append(span.bounds)

    @property
    def open_mWh(self) -> int:
        """Energy of the rows that were not taken."""
        return sum(row.energy_mWh for row in self._rows)

    def go_on(self, until_ms: int, rest_mWh: int = 0, epoch: int = 0) -> None:
        """Everything until then is in the ledger already; `rest_mWh` is the begin of what comes next."""
        self._rows, self._reaches = [], []
        self._closed_until_ms = until_ms
        if rest_mWh:
            limit_ms = self._next_cut(until_ms)
            row = Row(until_ms, until_ms + 1, limit_ms, rest_mWh, 0, None, None, RowClass.MEASURED, 0, epoch)
            self._rows.append(row)

    def close(self) -> None:
        """Closes the rows that end at or before the last grid line that was reached.

        To be called after each reading that leaves nothing held.
        """
        line_ms = self.end_ms - self.end_ms % self._interval_ms
        if line_ms > self._closed_until_ms:
            count = bisect_right(self._rows, line_ms, key=_end)
            if count:
                self._closed_until_ms = self._rows[count - 1].t1_ms

    def finish(self) -> None:
        """Closes all rows as they are."""
        self._closed_until_ms = self.end_ms

    def turn_back(self, to_ms: int) -> None:
        """Dates went back: after `finish` and `take`, rows begin at `to_ms` again."""
        self._closed_until_ms = to_ms
        self.turns += 1

    def take(self) -> list[Row]:
        """Gives away the closed rows."""
        count = bisect_right(self._rows, self._closed_until_ms, key=_end)
        taken, self._rows = self._rows[:count], self._rows[count:]
        return taken

    def take_reaches(self) -> list[Reach]:
        """Gives away what was found about closed time, in the order in which it was found."""
        taken, self._reaches = self._reaches, []
        return taken

    def pieces(self, reach: Reach) -> list[Piece]:
        """The shares of the closed time, in the cells of the canonical grid."""
        span, until_ms = reach
        cuts = self._canonical(span.t0_ms, until_ms)
        cells = pairwise([span.t0_ms, *cuts, until_ms])
        ends = [*cuts, until_ms] if until_ms < span.t1_ms else cuts
        shares = apportion(span.energy_mWh, span.t0_ms, span.t1_ms, ends)
        return [Piece(t0_ms, t1_ms, share) for (t0_ms, t1_ms), share in zip(cells, shares, strict=False)]

    def to_state(self) -> list[Any]:
        """All of it, as JSON values."""
        rows = [
            [
                *(row.t0_ms, row.t1_ms, row.energy_mWh, row.back_mWh, row.raw_begin, row.raw_end),
                *(int(row.row_class), row.flags, row.epoch, [[*bounds] for bounds in row.bounds], row.gap),
            ]
            for row in self._rows
        ]
        reaches = [[span.to_state(), until_ms] for span, until_ms in self._reaches]
        return [self._closed_until_ms, rows, reaches, self.turns]

    def load(self, state: list[Any]) -> None:
        """Takes over what `to_state` gave. Raises TypeError or ValueError for anything else."""
        self._closed_until_ms, rows, reaches, *turns = state
        self.turns = turns[0] if turns else 0  # states of before dates could go back have none
        self._rows = [self._row(row) for row in rows]
        self._reaches = [Reach(Span.from_state(span), until_ms) for span, until_ms in reaches]

    def _row(self, state: list[Any]) -> Row:
        t0_ms, t1_ms, energy_mWh, back_mWh, begin, end, number, flags, epoch, bounds, gap = state
        return Row(
            t0_ms,
            t1_ms,
            self._next_cut(t0_ms),
            energy_mWh,
            back_mWh,
            begin,
            end,
            RowClass(number),
            flags,
            epoch,
            [Bounds(*numbers) for numbers in bounds],
            None if gap is None else (gap[0], gap[1]),
        )

    def _spread(self, span: Span) -> None:
        begin_ms = max(span.t0_ms, self._closed_until_ms)
        energy_mWh = span.energy_mWh - self._find(span, begin_ms)
        start_ms = max(begin_ms, self._free_from(span))
        cuts = self._cuts(start_ms, span.t1_ms)
        if span.t0_ms < start_ms == begin_ms:  # the shares of the whole span, as far as they are open
            energies = apportion(span.energy_mWh, span.t0_ms, span.t1_ms, [begin_ms, *cuts])[1:]
        else:
            energies = apportion(energy_mWh, start_ms, span.t1_ms, cuts)
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
        # What ends before the span does was cut; asking for the cuts once more is slow in a gap of months.
        limit_ms = t1_ms if t1_ms < span.t1_ms else self._next_cut(t0_ms)
        row = Row(t0_ms, t1_ms, limit_ms, 0, 0, span.raw_begin, None, span.row_class, 0, span.epoch)
        row.grow(span, t1_ms)
        self._rows.append(row)

    def _find(self, span: Span, begin_ms: int) -> int:
        """Notes what the span says of the time closed before `begin_ms`; returns the energy of that."""
        if begin_ms == span.t0_ms:
            return 0
        share_mWh = apportion(span.energy_mWh, span.t0_ms, span.t1_ms, [begin_ms])[0]
        if share_mWh or span.replaces:
            self._reaches.append(Reach(span, begin_ms))
        return share_mWh

    def _free_from(self, span: Span) -> int:
        """From when on the span may be laid: after rows that it must not share."""
        return next((row.t1_ms for row in reversed(self._rows) if not row.is_of(span)), 0)

    def _cuts(self, t0_ms: int, t1_ms: int) -> list[int]:
        borders = (row.t1_ms for row in self._rows if t0_ms < row.t1_ms < t1_ms)
        return sorted({*self._canonical(t0_ms, t1_ms), *borders})

    def _canonical(self, t0_ms: int, t1_ms: int) -> list[int]:
        grid = range(t0_ms + self._interval_ms - t0_ms % self._interval_ms, t1_ms, self._interval_ms)
        return sorted({*grid, *self._boundaries(t0_ms, t1_ms)})

    def _next_cut(self, t_ms: int) -> int:
        line_ms = t_ms + self._interval_ms - t_ms % self._interval_ms
        return next(iter(self._boundaries(t_ms, line_ms)), line_ms)


def _silence(since_ms: int, span: Span) -> Span:
    """The time before a span of which nothing is known; why its dates are doubtful is told of the span."""
    return Span(
        since_ms,
        span.t0_ms,
        0,
        raw_begin=span.raw_begin,
        raw_end=span.raw_begin,
        row_class=RowClass.MISSING,
        flags=span.flags & (Flag.CLOCK_STEP | Flag.SPAN_UNKNOWN),
        epoch=span.epoch,
        window=span.window,
    )


def _end(row: Row) -> int:
    return row.t1_ms
