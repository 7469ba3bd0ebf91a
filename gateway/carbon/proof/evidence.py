"""Evidence: the row of the ledger that an amount rests on, and what there is to say of it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from gateway.carbon.intervals import Intervals
from gateway.carbon.proof import explanation
from gateway.carbon.proof.explanation import Step
from gateway.store.errors import NotInLedger
from gateway.store.flag import flag_names
from gateway.store.ledger.entry_text import entry_json, utc_text
from gateway.store.ledger.ledger_entry import LedgerEntry, of_entries, of_restatement
from gateway.store.record import (
    ENTRIES,
    HEADER,
    INTERVALS,
    RESTATEMENT,
    STREAM,
    UNDELIVERED,
    decoded,
    first_seq,
    read,
    readable,
)
from gateway.store.row_class import RowClass, RowKind
from sync.wire import Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One entry with its interval; one of them may be missing."""

    device: str
    register: str
    t0_ms: int
    t1_ms: int
    since_ms: int
    """Begin of the readings that it rests on: doubt may reach back before the row."""
    until_ms: int
    entry: LedgerEntry | None
    """None for an interval without an amount."""
    interval: dict[str, Any] | None
    """`web.ledger_models.Interval`; None for a sum over a day."""
    doubts: list[Step]
    """What bounds and gaps say of it."""

    def concerns(self, other: LedgerEntry) -> bool:
        """Whether another entry is about a part of the same time, in the same account under the same lens."""
        if (self.device, self.register) != (other.device, other.register):
            return False
        if other.t0_ms >= self.t1_ms or other.t1_ms <= self.t0_ms:
            return False
        mine = self.entry
        if mine is None:
            return other.epoch is not None  # what has no amount is in no sum
        is_sum = mine.epoch is None or other.epoch is None
        return (mine.lens, mine.account) == (other.lens, other.account) and (
            not is_sum or mine.row_class == other.row_class  # a sum is of one class
        )

    def steps(self, value_mg_per_kWh: int | None) -> list[Step]:
        """How the amount follows, and what every word of the entry means; the value is that of its factor."""
        steps: list[Step] = []
        if self.entry is not None:
            entry = entry_json(self.entry)
            if self.entry.factor is None or value_mg_per_kWh is not None:
                steps.append(explanation.carbon(entry, value_mg_per_kWh))
            steps += explanation.kind(entry)
        if self.interval is not None:
            row = self.interval
            steps.append(explanation.counter(self._count("raw_begin"), self._count("raw_end"), row["energy_mWh"]))
            words = explanation.words(row["class"], self.entry.flags if self.entry else row["flags"])
        else:
            assert self.entry is not None
            assert self.entry.row_class is not None
            words = explanation.words(self.entry.row_class.name.lower(), self.entry.flags)
        return steps + words + self.doubts

    def _count(self, name: str) -> int | None:
        text = None if self.interval is None else self.interval[name]
        return None if text is None else int(text)


def find(conn: sqlite3.Connection, seq: int, row: int) -> Evidence:
    """The row of a record of entries, intervals or restatement; that of intervals comes without its entries.

    Raises NotInLedger when there is none, and StoreError for a record that cannot be read.
    """
    last, kind, body = conn.execute(
        "SELECT seq, kind, body FROM record WHERE stream = ? AND seq >= ? ORDER BY seq LIMIT 1", (STREAM, seq)
    ).fetchone() or (0, "", b"")
    if kind == HEADER and first_seq(last, body) <= seq:
        reason = decoded(body).meta.get(UNDELIVERED)
        if reason is None:
            raise NotInLedger(f"record {seq} is pruned to its header and sums", "the receiver holds all of its rows")
        raise NotInLedger(f"record {seq} was {reason}", "only its sums are left; the receiver was told of them")
    if last != seq or kind not in (ENTRIES, INTERVALS, RESTATEMENT):
        raise NotInLedger(f"record {seq} of the ledger has no entries", "see `huxi ledger list` for those that have")
    block = read(conn, seq)
    if not 0 <= row < block.rows:
        raise NotInLedger(f"record {seq} has no row {row}", f"its rows are 0 to {block.rows - 1}")
    with readable(seq):
        if block.kind == RESTATEMENT:
            return _of_sum(of_restatement(seq, block)[row])
        if block.kind == INTERVALS:
            return _of_row(seq, block, row, None)
        intervals_seq = block.meta["intervals_seq"]
        intervals = read(conn, intervals_seq)
        return _of_row(intervals_seq, intervals, block.ints("i")[row], of_entries(seq, intervals, block)[row])


def _of_sum(entry: LedgerEntry) -> Evidence:
    return Evidence(
        device=entry.device,
        register=entry.register,
        t0_ms=entry.t0_ms,
        t1_ms=entry.t1_ms,
        since_ms=entry.t0_ms,
        until_ms=entry.t1_ms,
        entry=entry,
        interval=None,
        doubts=[],
    )


def _of_row(seq: int, block: Block, row: int, entry: LedgerEntry | None) -> Evidence:
    rows = Intervals.from_block(block)
    name, t0_ms, t1_ms = rows.registers[rows.r[row]], rows.t0_ms[row], rows.t1_ms[row]
    bounds = [found for at, found in rows.bounds if at == row]
    gaps = [(begin_ms, end_ms) for at, begin_ms, end_ms in rows.gaps if at == row]
    doubts = [explanation.doubt(f"energy {_span(b.t0_ms, b.t1_ms)}", b.lo_mWh, b.hi_mWh, "mWh") for b in bounds] + [
        explanation.gap(_span(*gap)) for gap in gaps
    ]
    if entry is not None and entry.lo_ng is not None and entry.hi_ng is not None:
        doubts.append(explanation.doubt("carbon, by the factors of that time", entry.lo_ng, entry.hi_ng, "ng"))
    spans = [(t0_ms, t1_ms), *((b.t0_ms, b.t1_ms) for b in bounds), *gaps]
    return Evidence(
        device=name.device,
        register=name.register,
        t0_ms=t0_ms,
        t1_ms=t1_ms,
        since_ms=min(begin for begin, _ in spans),
        until_ms=max(end for _, end in spans),
        entry=entry,
        interval={
            "seq": seq,
            "row": row,
            "kind": RowKind(rows.kind[row]).name.lower(),
            "device": name.device,
            "register": name.register,
            "flow": name.flow,
            "epoch": rows.epoch[row],
            "t0_ms": t0_ms,
            "t1_ms": t1_ms,
            "energy_mWh": rows.energy_mWh[row],
            "raw_begin": _decimal(rows.raw_begin[row]),
            "raw_end": _decimal(rows.raw_end[row]),
            "class": RowClass(rows.row_class[row]).name.lower(),
            "flags": flag_names(rows.flags[row]),
        },
        doubts=doubts,
    )


def _span(t0_ms: int, t1_ms: int) -> str:
    return f"from {utc_text(t0_ms)} to {utc_text(t1_ms)}"


def _decimal(value: int | None) -> str | None:
    return None if value is None else str(value)
