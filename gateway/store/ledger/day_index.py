"""DayIndex: where in the ledger the records of a day are, without an index in the database."""

import sqlite3
from collections import defaultdict
from datetime import date
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from gateway.store.record import STREAM
from gateway.store.site_day import day_of

_DAY_MS: Final = 86_400_000
_LAST_MS: Final = 253_402_300_800_000
"""The year 10000: no record reaches so far."""


class SeqRange(NamedTuple):
    """Records from `first` to `last`, both included."""

    first: int
    last: int


class DayIndex:
    """Keeps for each day of UTC the records that overlap it, as ranges: some hundred bytes a day."""

    def __init__(self) -> None:
        self._ranges: defaultdict[int, list[SeqRange]] = defaultdict(list)
        self._spans: dict[int, tuple[int, int]] = {}
        self._seq = 0

    def read_on(self, conn: sqlite3.Connection, records: int = 5000) -> bool:
        """Notes the next records of the ledger; False when all are noted."""
        found = conn.execute(
            "SELECT seq, t0_ms, t1_ms FROM record WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?",
            (STREAM, self._seq, records),
        ).fetchall()
        for seq, t0_ms, t1_ms in found:
            self.note(seq, t0_ms, t1_ms)
        return len(found) == records

    def note(self, seq: int, t0_ms: int, t1_ms: int) -> None:
        """Notes one record; records come in the order of their numbers."""
        self._seq = seq
        if not (isinstance(t0_ms, int) and isinstance(t1_ms, int) and 0 <= t0_ms <= t1_ms <= _LAST_MS):
            return  # damaged, which verify says: no day is to be looked for in it
        for day in range(t0_ms // _DAY_MS, max(t0_ms, t1_ms - 1) // _DAY_MS + 1):
            ranges = self._ranges[day]
            if ranges and ranges[-1].last == seq - 1:
                ranges[-1] = SeqRange(ranges[-1].first, seq)
            else:
                ranges.append(SeqRange(seq, seq))
            begin_ms, end_ms = max(t0_ms, day * _DAY_MS), min(t1_ms, (day + 1) * _DAY_MS)
            first_ms, last_ms = self._spans.get(day, (begin_ms, end_ms))
            self._spans[day] = (min(first_ms, begin_ms), max(last_ms, end_ms))

    def ranges(self, t0_ms: int, t1_ms: int) -> list[SeqRange]:
        """Where the records that overlap [t0_ms, t1_ms) are, ascending; some in them may not."""
        days = range(t0_ms // _DAY_MS, (t1_ms - 1) // _DAY_MS + 1)
        merged: list[SeqRange] = []
        for first, last in sorted(found for day in days for found in self._ranges.get(day, ())):
            if merged and first <= merged[-1].last + 1:
                merged[-1] = SeqRange(merged[-1].first, max(last, merged[-1].last))
            else:
                merged.append(SeqRange(first, last))
        return merged

    def days(self, zone: ZoneInfo) -> list[date]:
        """The days of a zone that have records, ascending."""
        return sorted({day_of(t_ms, zone) for t0_ms, t1_ms in self._spans.values() for t_ms in (t0_ms, t1_ms - 1)})
