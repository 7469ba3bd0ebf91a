"""Salvage: whatever can still be read of a damaged database, into a new one.

Every page is looked at, whatever points to it. A record is believed when the hash chain says so; where records are
missing a header stands for all of them. The new database is another epoch: its numbers go on, and nothing that the
receiver may hold under the old one is ever said differently.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.store import epochs, lost_sums, outbox, registers, totals
from gateway.store.checkpoint import Checkpoint
from gateway.store.epochs import Epoch
from gateway.store.errors import StoreError
from gateway.store.outbox import STREAMS, Head
from gateway.store.pages import Pages, Value
from gateway.store.record import (
    ENTRIES,
    HEADER,
    INTERVALS,
    QUARANTINED,
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
from sync.messages import EPOCH, GENESIS
from sync.wire import encode_block

NOTHING: Final = Head(acked_through=0, seq=0, hash=GENESIS)


class Salvaged(NamedTuple):
    """What became of it."""

    records: int
    """Records that were saved, of all streams."""
    lost: int
    """Records that are known to be missing."""
    from_checkpoint: int
    """Registers whose state came from the small checkpoint."""


class _Record(NamedTuple):
    seq: int
    kind: str
    t0_ms: int
    t1_ms: int
    body: bytes
    hash: bytes


class _Hole(NamedTuple):
    """Records that cannot be read, `first` to `last`."""

    first: int
    last: int
    hash: bytes
    """After the last one."""
    t0_ms: int
    t1_ms: int


def salvage(damaged: Path, new: sqlite3.Connection, kept: Checkpoint | None) -> Salvaged:
    """Fills the new, empty database `new` in the caller's transaction; nothing is changed at `damaged`."""
    with closing(_Seen(damaged)) as seen:
        spare = _take_pages(damaged, new)
        heads = {stream: seen.head(stream, kept) for stream in STREAMS}
        saved = lost = 0
        holes: list[_Hole] = []
        for stream in STREAMS:  # the ledger last: its holes get the sums
            holes = _mend(new, stream, spare, heads[stream])
            lost += sum(hole.last - hole.first + 1 for hole in holes)
            saved += new.execute("SELECT count(*) FROM record WHERE stream = ?", (stream,)).fetchone()[0] - len(holes)
            _set_acked(new, stream, heads[stream].acked_through, holes)
        _account_for(new, holes)
        _note_pruned(new)
        before = seen.epochs(kept)
        if not before:  # under which name the receiver knows them is lost: sent again they would count twice
            new.execute("UPDATE mark SET acked_through = head_seq")
        epochs.begin(new, before)
        return Salvaged(saved, lost, _take_states(new, seen, kept))


class _Seen:
    """What SQLite itself can still read of the damaged files."""

    def __init__(self, path: Path) -> None:
        self._conn: sqlite3.Connection | None = None
        with suppress(sqlite3.Error):
            self._conn = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            self._conn.execute("BEGIN")

    def close(self) -> None:
        """Gives the files back."""
        if self._conn is not None:
            self._conn.close()

    def rows(self, sql: str) -> list[Any]:
        """The rows of a query as far as they can be read."""
        found: list[Any] = []
        with suppress(sqlite3.Error):
            if self._conn is not None:
                found.extend(self._conn.execute(sql))
        return found

    def head(self, stream: str, kept: Checkpoint | None) -> Head:
        """The farthest that the stream is known to have reached."""
        marks = [
            Head(acked_through=acked_through, seq=seq, hash=after)
            for name, acked_through, seq, after in self.rows("SELECT * FROM mark")
            if name == stream and type(seq) is type(acked_through) is int and 0 <= acked_through <= seq
        ]
        if kept is not None and stream in kept.heads and self._is_of(kept):
            marks.append(kept.heads[stream])
        farthest = max(marks, key=lambda mark: mark.seq, default=NOTHING)
        acked_through = max((mark.acked_through for mark in marks), default=0)
        return Head(acked_through=acked_through, seq=farthest.seq, hash=farthest.hash)

    def ledger_end(self) -> int | None:
        """The last record of the ledger, as SQLite sees it, which is what the registers' states belong to."""
        for sql in (
            f"SELECT head_seq FROM mark WHERE stream = '{STREAM}'",
            f"SELECT max(seq) FROM record WHERE stream = '{STREAM}'",
        ):
            for (seq,) in self.rows(sql):
                if isinstance(seq, int):
                    return seq
        return None

    def epochs(self, kept: Checkpoint | None) -> list[Epoch]:
        """The epochs so far, the newest last; none when nothing says."""
        found = dict(self.rows("SELECT key, value FROM meta"))
        with suppress(ValueError, TypeError, KeyError):
            return epochs.parse(found["epoch"], found.get("epochs"))
        return [] if kept is None else [Epoch(kept.epoch, dict.fromkeys(STREAMS, 1))]

    def _is_of(self, kept: Checkpoint) -> bool:
        named = [value for (value,) in self.rows("SELECT value FROM meta WHERE key = 'epoch'")]
        return not named or named[0] == kept.epoch or not EPOCH.fullmatch(str(named[0]))


def _take_pages(damaged: Path, new: sqlite3.Connection) -> dict[tuple[str, int], list[_Record]]:
    """Puts every row that was found on any page where it belongs; gives back further versions of records."""
    spare: dict[tuple[str, int], list[_Record]] = {}
    with closing(Pages(damaged)) as pages:
        for row in pages.rows():
            match row:
                case (str(stream), int(seq), str(kind), int(t0_ms), int(t1_ms), bytes(body), bytes(after)):
                    record = _Record(seq, kind, t0_ms, t1_ms, body, after)
                    if stream in STREAMS and len(after) == len(GENESIS) and 0 < seq < 1 << 53 and kind:
                        _take_record(new, stream, record, spare)
                case (str(), str(), str(), str(), str(), str(), int(), str(), _, int(), int()):
                    _take_newer(new, _DAY_TOTAL, row)
                case (str(), str(), int(), int()):
                    _take_newer(new, _CONTRACT_USE, row)
                case _:
                    pass
    return spare


def _take_record(
    new: sqlite3.Connection, stream: str, record: _Record, spare: dict[tuple[str, int], list[_Record]]
) -> None:
    there = new.execute(
        "SELECT seq, kind, t0_ms, t1_ms, body, hash FROM record WHERE stream = ? AND seq = ?", (stream, record.seq)
    ).fetchone()
    if there is None:
        _put(new, stream, record)
    elif record != there:
        spare.setdefault((stream, record.seq), []).append(record)


def _put(new: sqlite3.Connection, stream: str, record: _Record) -> None:
    new.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?, ?)", (stream, *record))


class _Table(NamedTuple):
    """A table whose rows grow."""

    name: str
    columns: str
    """As they are stored: those of the key first."""
    keys: int
    """How many make the key."""
    growing: int
    """Which one tells the newer version of a row."""


_DAY_TOTAL: Final = _Table(
    "day_total",
    "day, device, register, lens, account, flow, energy_mWh, emitted_ng, baseline_ng, missing_ms, rows",
    keys=5,
    growing=10,
)
_CONTRACT_USE: Final = _Table("contract_use", "device, register, year, used_mWh", keys=3, growing=3)


def _take_newer(new: sqlite3.Connection, table: _Table, row: tuple[Value, ...]) -> None:
    """Of two versions of a row the one that has grown more: old pages keep what was true before."""
    names = table.columns.split(", ")
    where = " AND ".join(f"{name} = ?" for name in names[: table.keys])
    there = new.execute(f"SELECT {names[table.growing]} FROM {table.name} WHERE {where}", row[: table.keys]).fetchone()
    if there is None or there[0] < row[table.growing]:
        marks = ", ".join("?" * len(row))
        new.execute(f"INSERT OR REPLACE INTO {table.name} ({table.columns}) VALUES ({marks})", row)


class _Mark(NamedTuple):
    """A record without its body."""

    seq: int
    kind: str
    t0_ms: int
    t1_ms: int
    hash: bytes


class _Run:
    """Records that follow each other, as the chain confirms."""

    def __init__(self, record: _Mark, *, is_readable: bool = True) -> None:
        self.is_readable = is_readable
        """Whether the first one, of which the chain says nothing, can be what was written."""
        self.first = self.last = record
        self.second: _Mark | None = None
        self.last_but_one: _Mark | None = None

    def add(self, record: _Mark) -> None:
        """Takes the next one in."""
        self.second = self.second or record
        self.last_but_one, self.last = self.last, record


def _mend(new: sqlite3.Connection, stream: str, spare: dict[tuple[str, int], list[_Record]], at: Head) -> list[_Hole]:
    """Keeps the records that the chain confirms; a header stands for those between."""
    start = _Mark(0, HEADER, 0, 0, GENESIS)
    holes: list[_Hole] = []
    end = start
    before_end = start
    for run in _runs(new, stream, spare, start):
        if run.first is not start:
            last = end
            if end.kind == INTERVALS:
                last = before_end
            is_behind_gap = run.first.seq > end.seq + 1
            if is_behind_gap and run.is_readable and run.second is not None and run.first.kind != ENTRIES:
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
    if at.seq > end.seq:
        last = before_end if end.kind == INTERVALS else end
        end = end._replace(seq=at.seq, hash=at.hash)
        holes.append(_hole(last, end))
    for hole in holes:
        new.execute("DELETE FROM record WHERE stream = ? AND seq BETWEEN ? AND ?", (stream, hole.first, hole.last))
        _fill(new, stream, hole, [], sums_known=stream != STREAM)
    new.execute("INSERT OR REPLACE INTO mark VALUES (?, 0, ?, ?)", (stream, end.seq, end.hash))
    return holes


def _runs(
    new: sqlite3.Connection, stream: str, spare: dict[tuple[str, int], list[_Record]], start: _Mark
) -> list[_Run]:
    runs = [_Run(start)]
    rows = new.execute(
        "SELECT seq, kind, t0_ms, t1_ms, body, hash FROM record WHERE stream = ? ORDER BY seq", (stream,)
    )
    chosen: list[_Record] = []
    for record in map(_Record._make, rows):
        before = runs[-1].last
        versions = [record, *spare.get((stream, record.seq), ())]
        found = next((version for version in versions if _follows(before, version)), None)
        if found is not None and found is not record:
            chosen.append(found)
        kept = found or record
        mark = _Mark(kept.seq, kept.kind, kept.t0_ms, kept.t1_ms, kept.hash)
        if found is None:
            runs.append(_Run(mark, is_readable=_is_readable(kept)))
        else:
            runs[-1].add(mark)
    for record in chosen:
        _put(new, stream, record)
    return runs


def _follows(before: _Mark, record: _Record) -> bool:
    """Whether a record is the next one after another, and whole; of a header only its numbers can be told."""
    if record.kind == HEADER:
        try:
            return first_seq(record.seq, record.body) == before.seq + 1
        except Malformed:
            return False
    is_next = record.seq == before.seq + 1 and is_of_kind(record.kind, record.body)
    return is_next and follows(before.hash, record.seq, record.kind, record.body, record.hash)


def _is_readable(record: _Record) -> bool:
    try:
        return decoded(record.body).kind == record.kind
    except Malformed:
        return False


def _hole(end: _Mark, anchor: _Mark) -> _Hole:
    """The records after `end` up to the anchor; of their times the neighbours' are known."""
    t0_ms = end.t1_ms or anchor.t0_ms
    return _Hole(end.seq + 1, anchor.seq, anchor.hash, t0_ms, max(t0_ms, anchor.t1_ms))


def _fill(new: sqlite3.Connection, stream: str, hole: _Hole, sums: Sequence[DayTotal], *, sums_known: bool) -> None:
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
    _put(new, stream, _Record(hole.last, HEADER, hole.t0_ms, hole.t1_ms, encode_block(HEADER, meta, {}), hole.hash))


def _account_for(new: sqlite3.Connection, holes: Sequence[_Hole]) -> None:
    """Gives the last hole of the ledger the sums that are missing in all of them.

    They are what the receiver must know only when it holds none of those records.
    """
    lost = lost_sums.take_out(new)
    if not holes or lost is None:
        return
    acked_through = outbox.head(new, STREAM).acked_through
    is_all_waiting = all(hole.first > acked_through for hole in holes)
    for hole in holes[:-1]:
        _fill(new, STREAM, hole, [], sums_known=is_all_waiting)
    whole = holes[-1]._replace(t0_ms=min(hole.t0_ms for hole in holes), t1_ms=max(hole.t1_ms for hole in holes))
    _fill(new, STREAM, whole, lost, sums_known=is_all_waiting)


def _set_acked(new: sqlite3.Connection, stream: str, acked_through: int, holes: Iterable[_Hole]) -> None:
    """What the receiver holds; at the begin of a hole when it ends inside of one."""
    last = outbox.head(new, stream).seq
    acked_through = min(acked_through, last)
    for hole in holes:
        if hole.first <= acked_through < hole.last + (hole.hash == UNKNOWN_HASH):
            acked_through = hole.first - 1
    new.execute("UPDATE mark SET acked_through = ? WHERE stream = ?", (acked_through, stream))


def _note_pruned(new: sqlite3.Connection) -> None:
    """How far the ledger is headers only, and which of them holds the last sums."""
    acked_through = outbox.head(new, STREAM).acked_through
    through = sums_in = 0
    for seq, kind, body in new.execute("SELECT seq, kind, body FROM record WHERE stream = ? ORDER BY seq", (STREAM,)):
        if kind != HEADER or seq > acked_through:
            break
        through = seq
        with suppress(Malformed):
            sums_in = seq if decoded(body).meta["totals"] else sums_in
    if through:
        new.execute("INSERT OR REPLACE INTO meta VALUES ('pruned', ?)", (f"{through} {sums_in}",))


def _take_states(new: sqlite3.Connection, seen: _Seen, kept: Checkpoint | None) -> int:
    """The registers' states: what SQLite still reads, or else what the checkpoint holds. Returns how many of those."""
    found: dict[tuple[str, str], tuple[str, int]] = {}
    if kept is not None:
        known = kept.heads[STREAM].seq
        found = {(device, register): (state, known) for device, register, state in kept.states}
    read = {(device, register): text for device, register, text in seen.rows("SELECT * FROM register")}
    read_at = seen.ledger_end()
    fresh = 0
    for (device, register), text in read.items():
        if read_at is None:  # nobody can tell which records they know of
            break
        with suppress(StoreError):
            found[device, register] = registers.unsealed(device, register, text), read_at
            fresh += 1
    for (device, register), (state, seq) in found.items():
        registers.save(new, [(device, register, state)])
        if seq < outbox.head(new, STREAM).seq:
            registers.note_older(new, device, register, seq)
    return len(found) - fresh
