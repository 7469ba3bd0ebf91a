"""Correction: a later finding about closed rows, told by taking rows back and stating them anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from ext import apportion
from gateway.carbon.intervals import Bounds, Finding, Intervals, RegisterName
from gateway.carbon.metering.span import Span
from gateway.store.ledger.live import LiveRow
from gateway.store.row_class import RowClass, RowKind

STEP: Final = "step"
"""Energy that a counter showed late is laid over the time in which it flowed."""
RECOVERED: Final = "recovered"
"""A counter had not been reset after all: what was booked since is replaced."""
ACCEPTED: Final = "accepted"
"""A person has decided what a suspect row really was."""
DAY_MS: Final = 86_400_000


class Piece(NamedTuple):
    """A share of the finding's energy, inside one cell of the canonical grid."""

    t0_ms: int
    t1_ms: int
    energy_mWh: int


class Correction(NamedTuple):
    """What a reading says about time that is closed already."""

    name: RegisterName
    reason: str
    span: Span
    """The whole finding; it may go on into rows that are still open."""
    pieces: Sequence[Piece]
    """Its shares of the closed time, ascending."""
    note: str = ""
    """What a person said about it."""

    @property
    def replaces(self) -> bool:
        """True when the rows since the begin of the span fall; else its energy is added to theirs."""
        return self.reason == RECOVERED

    @property
    def run(self) -> str:
        """Tells this correction from others of the same rows, in whatever order sweeps were written."""
        return f"{self.reason}/{self.name.device}/{self.name.register}/{self.span.t1_ms}"


def corrected(correction: Correction, live: Sequence[LiveRow]) -> tuple[Intervals, dict[int, LiveRow]]:
    """The rows of a correction, and for each reversal among them the row that it takes back.

    `live` are the register's rows in force from the begin of the span on, ascending. The energies of the result
    add up to what the pieces bring, less what is replaced. A piece without a row of its own becomes a row.
    """
    until_ms = correction.pieces[-1].t1_ms
    concerned = [row for row in live if row.t1_ms > correction.span.t0_ms and row.t0_ms < until_ms]
    if correction.replaces:
        fallen = [row for row in concerned if row.t0_ms >= correction.span.t0_ms]
        stated = [_stated(correction, piece) for piece in correction.pieces]
    else:
        fallen, stated = _added(correction, concerned)
    return _rows(correction, fallen, stated)


class _Stated(NamedTuple):
    """A row as it is from now on."""

    t0_ms: int
    t1_ms: int
    energy_mWh: int
    raw_begin: int | None
    raw_end: int | None
    row_class: RowClass
    flags: int
    epoch: int
    bounds: tuple[Bounds, ...] = ()


def _stated(correction: Correction, piece: Piece) -> _Stated:
    span = correction.span
    raw_end = span.raw_end if piece.t1_ms == span.t1_ms else span.raw_begin
    return _Stated(*piece, span.raw_begin, raw_end, span.row_class, span.flags, span.epoch)


def _added(correction: Correction, concerned: Sequence[LiveRow]) -> tuple[list[LiveRow], list[_Stated]]:
    """Each row with its share of the finding on top."""
    fallen: list[LiveRow] = []
    stated: list[_Stated] = []
    span = correction.span
    for piece in _cut(correction.pieces, concerned):
        row = next((row for row in concerned if row.t0_ms <= piece.t0_ms and piece.t1_ms <= row.t1_ms), None)
        if row is None:
            stated.append(_stated(correction, piece))
        elif fallen and fallen[-1] is row:
            stated[-1] = stated[-1]._replace(energy_mWh=stated[-1].energy_mWh + piece.energy_mWh)
        else:
            fallen.append(row)
            energy_mWh = (row.energy_mWh or 0) + piece.energy_mWh
            stated.append(
                _Stated(
                    *(row.t0_ms, row.t1_ms, energy_mWh, row.raw_begin, row.raw_end),
                    *(span.row_class, row.flags | span.flags, row.epoch),
                    # What a person has decided is not in doubt any more.
                    () if correction.reason == ACCEPTED else tuple(Bounds(*each) for each in row.bounds),
                )
            )
    return fallen, stated


def _cut(pieces: Sequence[Piece], rows: Sequence[LiveRow]) -> Iterator[Piece]:
    """The pieces, none of them across the border of a row."""
    borders = sorted({border for row in rows for border in (row.t0_ms, row.t1_ms)})
    for t0_ms, t1_ms, energy_mWh in pieces:
        cuts = [border for border in borders if t0_ms < border < t1_ms]
        shares = apportion(energy_mWh, t0_ms, t1_ms, cuts)
        for (begin_ms, end_ms), share in zip(pairwise([t0_ms, *cuts, t1_ms]), shares, strict=True):
            yield Piece(begin_ms, end_ms, share)


def _rows(
    correction: Correction, fallen: Sequence[LiveRow], stated: Sequence[_Stated]
) -> tuple[Intervals, dict[int, LiveRow]]:
    reversals = [
        (
            _Stated(
                *(row.t0_ms, row.t1_ms, -(row.energy_mWh or 0), row.raw_begin, row.raw_end),
                *(row.row_class, row.flags, row.epoch),
            ),
            row,
        )
        for row in fallen
    ]
    rows: list[tuple[_Stated, LiveRow | None]] = [*reversals, *((row, None) for row in stated)]
    rows.sort(key=lambda pair: (pair[0].t0_ms, pair[1] is None))
    span = correction.span
    is_gap = span.t1_ms - span.t0_ms > DAY_MS
    taken_back = {at: row for at, (_, row) in enumerate(rows) if row is not None}
    intervals = Intervals(
        registers=[correction.name],
        r=[0] * len(rows),
        epoch=[row.epoch for row, _ in rows],
        t0_ms=[row.t0_ms for row, _ in rows],
        t1_ms=[row.t1_ms for row, _ in rows],
        energy_mWh=[None if row.row_class == RowClass.MISSING else row.energy_mWh for row, _ in rows],
        raw_begin=[row.raw_begin for row, _ in rows],
        raw_end=[row.raw_end for row, _ in rows],
        row_class=[int(row.row_class) for row, _ in rows],
        flags=[int(row.flags) for row, _ in rows],
        kind=[int(RowKind.REVERSAL if back else RowKind.RESTATEMENT) for _, back in rows],
        bounds=[(at, bounds) for at, (row, _) in enumerate(rows) for bounds in row.bounds],
        gaps=[(at, span.t0_ms, span.t1_ms) for at, (_, back) in enumerate(rows) if is_gap and back is None],
        correction=Finding(
            reason=correction.reason,
            run=correction.run,
            reversed=[(at, int(row.kind), row.run) for at, row in taken_back.items()],
            note=correction.note,
        ),
    )
    return intervals, taken_back
