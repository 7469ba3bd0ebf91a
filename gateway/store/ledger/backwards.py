"""Backwards: the ledger looked through from its newest record, for the records that hold a row of some time."""

import sqlite3
from typing import Final

from gateway.store.record import ENTRIES, HEADER, RESTATEMENT, STREAM, read, readable

_BEYOND: Final = 2**62
_WINDOW: Final = 2000
_AT_ONCE: Final = 50
_SLACK_MS: Final = 86_400_000
"""How far the clock may have been set back between two bookings."""
_BOOKED: Final = (ENTRIES, RESTATEMENT, HEADER)


class Backwards:
    """Records of the kinds asked for that overlap [t0_ms, t1_ms), the newest first, in short steps.

    Nothing older is looked at once records were booked before `t0_ms`: what is booked has happened.
    """

    def __init__(self, t0_ms: int, t1_ms: int, kinds: tuple[str, ...] = _BOOKED) -> None:
        self._t0_ms = t0_ms
        self._t1_ms = t1_ms
        self._kinds = kinds
        self._before_seq: int | None = _BEYOND
        self._waiting: list[int] = []

    def step(self, conn: sqlite3.Connection) -> list[int] | None:
        """The next of them, possibly none in this step; None at the end. Raises StoreError for a damaged record."""
        if not self._waiting and self._before_seq is None:
            return None
        if not self._waiting:
            self._look(conn)
        found, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
        return found

    def _look(self, conn: sqlite3.Connection) -> None:
        rows = conn.execute(
            "SELECT seq, kind, t0_ms < ? AND t1_ms > ? FROM record WHERE stream = ? AND seq < ?"
            " ORDER BY seq DESC LIMIT ?",
            (self._t1_ms, self._t0_ms, STREAM, self._before_seq, _WINDOW),
        ).fetchall()
        self._waiting = [seq for seq, kind, overlaps in rows if overlaps and kind in self._kinds]
        oldest = next((seq for seq, kind, _ in reversed(rows) if kind in _BOOKED), None)
        is_last = len(rows) < _WINDOW or (oldest is not None and self._was_before(conn, oldest))
        self._before_seq = None if is_last else rows[-1][0]

    def _was_before(self, conn: sqlite3.Connection, seq: int) -> bool:
        meta = read(conn, seq).meta
        with readable(seq):
            return bool(meta["booked_ms"] < self._t0_ms - _SLACK_MS)
