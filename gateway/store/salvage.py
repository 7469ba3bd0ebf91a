"""Salvage: whatever can still be read of a damaged database, into a new one.

Every page is looked at, whatever points to it. A record is believed when the hash chain says so; where records are
missing a header stands for all of them. The new database is another epoch: its numbers go on, and nothing that the
receiver may hold under the old one is ever said differently.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.store import epochs, found_rows, holes, outbox, registers
from gateway.store.checkpoint import Checkpoint
from gateway.store.epochs import Epoch
from gateway.store.errors import StoreError
from gateway.store.holes import Hole
from gateway.store.outbox import STREAMS, Head
from gateway.store.record import HEADER, STREAM, UNKNOWN_HASH, decoded
from gateway.store.registers import RegisterState
from sync.errors import Malformed
from sync.messages import EPOCH, GENESIS

_CARRIED: Final = {
    "meta": "key, value",  # what the new database has said already stands
    "boot": "number, id, offset_ms, source",
    "undated": "boot, number, body",
    "series_channel": "id, device, point, unit, is_counter",
    "series_minute": "id, body",
    "series_quarter": "id, body",
    "series_raw": "id, body",
}
"""Tables that are taken over as they are, and their columns."""
NOTHING: Final = Head(acked_through=0, seq=0, hash=GENESIS)

UNREADABLE: Final = (sqlite3.Error, UnicodeDecodeError)
"""What reading a damaged file raises: Python's own, where a message or a name of SQLite's is no text."""


class Salvaged(NamedTuple):
    """What became of it."""

    records: int
    """Records that were saved, of all streams."""
    lost: int
    """Records that are known to be missing."""
    from_checkpoint: int
    """Registers whose state came from the small checkpoint."""


def salvage(damaged: Path, new: sqlite3.Connection, kept: Checkpoint | None) -> Salvaged:
    """Fills the new, empty database `new` in the caller's transaction; nothing is changed at `damaged`."""
    with closing(_Seen(damaged)) as seen:
        found = found_rows.take(damaged, new)
        heads = {stream: seen.head(stream, kept) for stream in STREAMS}
        saved = lost = 0
        missing: list[Hole] = []
        for stream in STREAMS:  # the ledger last: its holes get the sums
            missing = holes.mend(new, stream, found, heads[stream])
            lost += sum(hole.last - hole.first + 1 for hole in missing)
            saved += new.execute("SELECT count(*) FROM record WHERE stream = ?", (stream,)).fetchone()[0] - len(missing)
            _set_acked(new, stream, heads[stream].acked_through, missing)
        holes.account_for(new, missing)
        _note_pruned(new)
        before = seen.epochs(kept)
        if not before:  # under which name the receiver knows them is lost: sent again they would count twice
            new.execute("UPDATE mark SET acked_through = head_seq")
        epochs.begin(new, before)
        _carry(new, seen)
        return Salvaged(saved, lost, _take_states(new, seen, kept))


class _Seen:
    """What SQLite itself can still read of the damaged files."""

    def __init__(self, path: Path) -> None:
        self._conn: sqlite3.Connection | None = None
        with suppress(*UNREADABLE):
            self._conn = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            self._conn.execute("BEGIN")

    def close(self) -> None:
        """Gives the files back."""
        if self._conn is not None:
            self._conn.close()

    def rows(self, sql: str) -> Iterator[Any]:
        """The rows of a query as far as they can be read."""
        with suppress(*UNREADABLE):
            if self._conn is not None:
                yield from self._conn.execute(sql)

    def states(self) -> list[RegisterState]:
        """The registers' states; all or none can be read."""
        with suppress(*UNREADABLE, StoreError):
            if self._conn is not None:
                return registers.load_all(self._conn)
        return []

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


def _set_acked(new: sqlite3.Connection, stream: str, acked_through: int, missing: Iterable[Hole]) -> None:
    """What the receiver holds; at the begin of a hole when it ends inside of one."""
    last = outbox.head(new, stream).seq
    acked_through = min(acked_through, last)
    for hole in missing:
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
    new.execute("INSERT INTO meta VALUES ('pruned', ?)", (f"{through} {sums_in}",))


def _carry(new: sqlite3.Connection, seen: _Seen) -> None:
    """What waits for a date, the series and what devices have taught, as far as SQLite still reads them."""
    for table, columns in _CARRIED.items():
        marks = ", ".join("?" * len(columns.split(", ")))
        for row in seen.rows(f"SELECT {columns} FROM {table}"):
            with suppress(sqlite3.IntegrityError):  # the row itself is damaged
                new.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", row)


def _take_states(new: sqlite3.Connection, seen: _Seen, kept: Checkpoint | None) -> int:
    """The registers' states: what SQLite still reads, or else what the checkpoint holds. Returns how many of those."""
    found: dict[tuple[str, str], tuple[str, int]] = {}
    if kept is not None:
        known = kept.heads[STREAM].seq
        found = {(device, register): (state, known) for device, register, state in kept.states}
    read_at = seen.ledger_end()
    fresh = 0
    if read_at is not None:  # else nobody can tell which records they know of
        states = {(device, register): (state, read_at) for device, register, state in seen.states()}
        fresh = len(states)
        found |= states
    registers.put(new, ((*name, state) for name, (state, _) in found.items()))
    for (device, register), (_, seq) in found.items():
        if seq < outbox.head(new, STREAM).seq:
            registers.note_older(new, device, register, seq)
    return len(found) - fresh
