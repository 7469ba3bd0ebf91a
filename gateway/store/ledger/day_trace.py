"""DayTrace: the first step of a proof, from the total of a device's day to the entries it is the sum of."""

import sqlite3
from datetime import date
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from gateway.store import totals
from gateway.store.flag import flag_names
from gateway.store.ledger.as_reported import sums_of
from gateway.store.ledger.backwards import Backwards
from gateway.store.ledger.entry_text import entry_json
from gateway.store.ledger.ledger_entry import LedgerEntry, of_entries, of_restatement, of_sums
from gateway.store.record import ENTRIES, HEADER, read, readable
from gateway.store.row_class import RowClass, RowKind
from gateway.store.site_day import around, day_of
from gateway.store.totals import DayTotal, TotalKey
from sync.wire import Block


class Subject(NamedTuple):
    """What is traced; None: all of them."""

    day: date
    device: str
    register: str | None
    account: str | None
    lens: str

    def has(self, of: DayTotal | LedgerEntry) -> bool:
        """Whether a sum or an entry is about its device, register, account and lens."""
        return (
            (of.device, of.lens) == (self.device, self.lens)
            and self.register in (None, of.register)
            and self.account in (None, of.account)
        )


class DayTrace:
    """One walk. Call `advance` until it returns False, then ask for the `answer`."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._day = subject.day.isoformat()
        self._walk = Backwards(*around(subject.day, subject.day))
        self._stored: list[DayTotal] = []
        self._sums: dict[TotalKey, DayTotal] = {}
        self._entries: list[LedgerEntry] = []
        self._missing: list[dict[str, Any]] = []

    def advance(self, conn: sqlite3.Connection) -> bool:
        """Looks at the next records; False when all were seen. Raises StoreError for one that cannot be read."""
        seqs = self._walk.step(conn)
        if seqs is None:
            self._stored = self._of_the_day(totals.query(conn, self._day, self._day))
            return False
        for seq in seqs:
            block = read(conn, seq)
            with readable(seq):
                sums = self._of_the_day(sums_of(conn, block))
                totals.merge(sums, self._sums)
                self._take(conn, seq, block, sums)
        return True

    def answer(self) -> dict[str, Any]:
        """`web.ledger_models.DayTrace`: the stored totals, whether their entries add up to them, and the entries."""
        self._entries.sort(key=_by_time)
        self._missing.sort(key=lambda row: (row["register"], row["t0_ms"], row["seq"]))
        return {
            "day": self._day,
            "device": self._subject.device,
            "lens": self._subject.lens,
            "totals": [
                totals.as_json(total) | {"agrees": self._sums.get(total.key) == total} for total in self._stored
            ],
            "entries": [entry_json(entry) for entry in self._entries],
            "missing": self._missing,
        }

    def _of_the_day(self, sums: list[DayTotal]) -> list[DayTotal]:
        return [total for total in sums if total.day == self._day and self._subject.has(total)]

    def _take(self, conn: sqlite3.Connection, seq: int, block: Block, sums: list[DayTotal]) -> None:
        meta = block.meta
        if block.kind == HEADER:
            self._entries += of_sums(seq, meta["t0_ms"], meta["t1_ms"], meta["booked_ms"], sums)
            return
        zone = ZoneInfo(meta["zone"])
        if block.kind == ENTRIES:
            intervals = read(conn, meta["intervals_seq"])
            found = [entry for entry in of_entries(seq, intervals, block) if self._is_of_the_day(entry.t0_ms, zone)]
            self._missing += self._missing_in(meta["intervals_seq"], intervals, zone)
        else:
            found = of_restatement(seq, block) if meta["day"] == self._day else []
        self._entries += [entry for entry in found if self._subject.has(entry)]

    def _is_of_the_day(self, t0_ms: int, zone: ZoneInfo) -> bool:
        return day_of(t0_ms, zone) == self._subject.day

    def _missing_in(self, seq: int, intervals: Block, zone: ZoneInfo) -> list[dict[str, Any]]:
        """Rows without an amount: they have no entry, and are the evidence of missing time."""
        found: list[dict[str, Any]] = []
        columns = (intervals.ints(name) for name in ("r", "class", "kind", "flags", "t0", "t1"))
        for row, (r, row_class, kind, flags, t0_ms, t1_ms) in enumerate(zip(*columns, strict=True)):
            device, register, _, _ = intervals.meta["registers"][r]
            is_asked = device == self._subject.device and self._subject.register in (None, register)
            if row_class == RowClass.MISSING and is_asked and self._is_of_the_day(t0_ms, zone):
                found.append(
                    {
                        "seq": seq,
                        "row": row,
                        "kind": RowKind(kind).name.lower(),
                        "register": register,
                        "t0_ms": t0_ms,
                        "t1_ms": t1_ms,
                        "flags": flag_names(flags),
                    }
                )
        return found


def _by_time(entry: LedgerEntry) -> tuple[str, str, bool, int, int, int]:
    """Entries of one register and account by time, sums over the day behind them."""
    return entry.register, entry.account, entry.epoch is None, entry.t0_ms, entry.seq, entry.row
