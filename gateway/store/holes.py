"""Holes: the records that the chain confirms stay, and a header stands for those between that cannot be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.store import lost_sums, outbox, totals
from gateway.store.body import pack
from gateway.store.found_rows import Found, FoundRecord, put
from gateway.store.outbox import Head
from gateway.store.record import (
    ENTRIES,
    HEADER,
    INTERVALS,
    QUARANTINED,
    RESTATEMENT,
    STREAM,
    SUMS_KNOWN,
    UNDELIVERED,
    UNKNOWN_HASH,
    decoded,
    first_seq,
    follows,
    is_of_kind,
)
from gateway.store.totals import DayTotal
from sync.errors import Malformed
from sync.messages import GENESIS
from sync.wire import encode_block

_FARTHEST: Final = 1 << 20
"""How many records may be missing at the end of a stream: a mark beyond that is damaged itself."""


class Hole(NamedTuple):
    """Records that cannot be read, `first` to `last`."""

    first: int
    last: int
    hash: bytes
    """After the last one."""
    t0_ms: int
    t1_ms: int


class _Mark(NamedTuple):
    """A record without its body."""

    seq: int
    kind: str
    t0_ms: int
    t1_ms: int
    hash: bytes


class _Run:
    """Records that follow each other, as the chain confirms."""

    def __init__(self, record: _Mark) -> None:
        self.first = self.last = record
        self.second: _Mark | None = None
        self.last_but_one: _Mark | None = None

    def add(self, record: _Mark) -> None:
        """Takes the next one in."""
        self.second = self.second or record
        self.last_but_one, self.last = self.last, record


def mend(new: sqlite3.Connection, stream: str, found: Found, at: Head) -> list[Hole]:
    """Keeps the records that the chain confirms; a header stands for those between."""
    start = _Mark(0, HEADER, 0, 0, GENESIS)
    holes: list[Hole] = []
    end = start
    before_end = start
    for run in _runs(new, stream, found, start):
        if run.second is None and run.first.seq > (at.seq or end.seq + _FARTHEST):
            continue  # nothing confirms it, and it lies where nothing was: its number is damaged
        if run.first is not start:
            last = before_end if end.kind == INTERVALS else end
            is_behind_gap = run.first.seq > end.seq + 1
            is_likely = run.second is not None and (stream, run.first.seq) in found.on_whole_pages
            if is_behind_gap and is_likely and run.first.kind != ENTRIES:
                # What is missing ends before it. Its own bytes rest on a hash that is gone; it is kept here, not sent.
                holes.append(_hole(last, run.first._replace(seq=run.first.seq - 1, hash=UNKNOWN_HASH)))
                end = before_end = run.first
            else:
                anchor = run.first
                if anchor.kind == INTERVALS and run.second is not None and run.second.kind == ENTRIES:
                    anchor = run.second
                holes.append(_hole(last, anchor))
                end = before_end = anchor._replace(kind=HEADER)
        if run.last.seq > end.seq:
            before_end = run.last_but_one if run.last_but_one and run.last_but_one.seq > end.seq else end
            end = run.last
    if end.seq < at.seq < end.seq + _FARTHEST:
        last = before_end if end.kind == INTERVALS else end
        end = end._replace(seq=at.seq, hash=at.hash)
        holes.append(_hole(last, end))
    new.execute("DELETE FROM record WHERE stream = ? AND seq > ?", (stream, end.seq))
    for hole in holes:
        new.execute("DELETE FROM record WHERE stream = ? AND seq BETWEEN ? AND ?", (stream, hole.first, hole.last))
        _fill(new, stream, hole, [], sums_known=stream != STREAM)
    new.execute("INSERT OR REPLACE INTO mark VALUES (?, 0, ?, ?)", (stream, end.seq, end.hash))
    return holes


def _runs(new: sqlite3.Connection, stream: str, found_rows: Found, start: _Mark) -> list[_Run]:
    runs = [_Run(start)]
    rows = new.execute(
        "SELECT seq, kind, t0_ms, t1_ms, body, hash FROM record WHERE stream = ? ORDER BY seq", (stream,)
    )
    chosen: list[FoundRecord] = []
    last: FoundRecord | None = None
    for record in map(FoundRecord._make, rows):
        before = runs[-1].last
        versions = [record, *found_rows.spare.get((stream, record.seq), ())]
        found = next((version for version in versions if _follows(before, version)), None)
        kept = _timed(found or record, last)
        if kept is None:  # what lies beside it on its page is to be doubted, too
            found_rows.on_whole_pages.discard((stream, record.seq + 1))
            continue
        if kept != record:
            chosen.append(kept)
        mark = _Mark(kept.seq, kept.kind, kept.t0_ms, kept.t1_ms, kept.hash)
        if found is None:
            runs.append(_Run(mark))
        else:
            runs[-1].add(mark)
        last = kept
    for record in chosen:
        put(new, stream, record)
    return runs


def _follows(before: _Mark, record: FoundRecord) -> bool:
    """Whether a record is the next one after another, and whole; of a header only its numbers can be told."""
    if record.kind == HEADER:
        try:
            return first_seq(record.seq, record.body) == before.seq + 1
        except Malformed:
            return False
    is_next = record.seq == before.seq + 1 and is_of_kind(record.kind, record.body)
    return is_next and follows(before.hash, record.seq, record.kind, record.body, record.hash)


def _timed(record: FoundRecord, before: FoundRecord | None) -> FoundRecord | None:
    """The record with the times of its rows, for they stand beside it, outside of its hash; None when it is none."""
    try:
        block = decoded(record.body)
        if block.kind != record.kind:
            return None
        if record.kind in (INTERVALS, RESTATEMENT):
            return record._replace(t0_ms=min(block.ints("t0")), t1_ms=max(block.ints("t1")))
    except (Malformed, ValueError):
        return None
    if record.kind == ENTRIES and before is not None and before.seq == record.seq - 1:
        return record._replace(t0_ms=before.t0_ms, t1_ms=before.t1_ms)
    return record


def _hole(end: _Mark, anchor: _Mark) -> Hole:
    """The records after `end` up to the anchor; of their times the neighbours' are known."""
    t0_ms = end.t1_ms or anchor.t0_ms
    return Hole(end.seq + 1, anchor.seq, anchor.hash, t0_ms, max(t0_ms, anchor.t1_ms))


def _fill(new: sqlite3.Connection, stream: str, hole: Hole, sums: Sequence[DayTotal], *, sums_known: bool) -> None:
    """Puts a header in the place of the records of a hole."""
    meta = {
        "kind": "",
        "rows": 0,
        "bytes": 0,
        "sha256": "",
        "t0_ms": hole.t0_ms,
        "t1_ms": hole.t1_ms,
        "booked_ms": hole.t1_ms,
        "totals": [totals.to_meta(total) for total in sums],
        UNDELIVERED: QUARANTINED,
        SUMS_KNOWN: sums_known,
        "first_seq": hole.first,
    }
    stored = pack(encode_block(HEADER, meta, {}))
    put(new, stream, FoundRecord(hole.last, HEADER, hole.t0_ms, hole.t1_ms, stored, hole.hash))


def account_for(new: sqlite3.Connection, holes: Sequence[Hole]) -> None:
    """Gives the last hole of the ledger the sums that are missing in all of them.

    They are what the receiver must know only when it holds none of those records.
    """
    lost = lost_sums.take_out(new, is_whole=not holes)
    if not holes or lost is None:
        return
    acked_through = outbox.head(new, STREAM).acked_through
    is_all_waiting = all(hole.first > acked_through for hole in holes)
    for hole in holes[:-1]:
        _fill(new, STREAM, hole, [], sums_known=is_all_waiting)
    whole = holes[-1]._replace(t0_ms=min(hole.t0_ms for hole in holes), t1_ms=max(hole.t1_ms for hole in holes))
    _fill(new, STREAM, whole, lost, sums_known=is_all_waiting)
