"""As reported: the sums over what had been booked by an earlier time, added up from the records themselves."""

import sqlite3
from datetime import date

from gateway.store import totals
from gateway.store.ledger.backwards import Backwards
from gateway.store.record import ENTRIES, HEADER, read, readable
from gateway.store.site_day import around
from gateway.store.totals import DayTotal, TotalKey
from sync.wire import Block


class AsReported:
    """One walk. Call `advance` until it returns False, then ask for `sums`."""

    def __init__(self, first: date, last: date, before_ms: int) -> None:
        """The days from first to last, both included; what was booked before `before_ms` counts."""
        self._days = (first.isoformat(), last.isoformat())
        self._walk = Backwards(*around(first, last))
        self._before_ms = before_ms
        self._sums: dict[TotalKey, DayTotal] = {}

    def advance(self, conn: sqlite3.Connection) -> bool:
        """Looks at the next records; False when all were seen. Raises StoreError for one that cannot be read."""
        seqs = self._walk.step(conn)
        if seqs is None:
            return False
        first, last = self._days
        for seq in seqs:
            block = read(conn, seq)
            with readable(seq):
                if block.meta["booked_ms"] < self._before_ms:
                    totals.merge((total for total in sums_of(conn, block) if first <= total.day <= last), self._sums)
        return True

    @property
    def sums(self) -> list[DayTotal]:
        """What had been booked, by day, device, register, lens and account."""
        return [self._sums[key] for key in sorted(self._sums)]


def sums_of(conn: sqlite3.Connection, block: Block) -> list[DayTotal]:
    """The sums of one record of entries, restatement or header."""
    if block.kind == ENTRIES:
        return totals.from_blocks(read(conn, block.meta["intervals_seq"]), block)
    if block.kind == HEADER:
        return [totals.from_meta(kept) for kept in block.meta["totals"]]
    return totals.from_restatement(block)
