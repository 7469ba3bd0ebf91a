"""Whether the database of a data folder can be used, looked at without changing it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from gateway.store import checkpoint, outbox, registers
from gateway.store.errors import StoreError
from gateway.store.folder import FILE_NAME, LOG, SUSPECT
from gateway.store.outbox import STREAMS
from gateway.store.pages import read_wal
from gateway.store.record import HEADER, first_seq, follows, is_of_kind
from gateway.store.schema import SCHEMA_VERSION, STEPS
from sync.errors import Malformed
from sync.messages import EPOCH

BUDGET_S: Final = 10.0
"""Longest look; what it does not see in this time is met by reading."""
_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_ERROR)

NO_ROOM: Final = (
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMMAP,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
)
"""What SQLite says on a full disk beside SQLITE_FULL: its files need room where it does not expect to lack it."""


def fault(data_dir: Path) -> str | None:
    """Why the database must be set aside; None when it can be used, or has to be made.

    Raises StoreError for one that a newer huxi wrote, and sqlite3.Error where the files cannot be reached at all.
    """
    path, log = data_dir / FILE_NAME, data_dir / LOG
    kept = checkpoint.read(data_dir)
    if not path.exists() or path.stat().st_size == 0:
        is_new = kept is None and not (log.exists() and log.stat().st_size)
        return None if is_new else f"{FILE_NAME} is gone"
    if (data_dir / SUSPECT).exists():
        return (data_dir / SUSPECT).read_text(
            encoding="utf-8", errors="replace"
        ) or "damage was met while it was in use"
    lost = read_wal(path).lost_commits
    if lost > 1:
        return f"{LOG} is damaged: {lost} transactions lie behind the damage"
    try:
        if path.with_name(f"{FILE_NAME}-journal").exists():
            _roll_back(path)
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as conn:
            return _look(path, conn, kept)
    except sqlite3.Error as error:
        if is_damage(error):
            return told(error)
        raise
    except (TypeError, ValueError, LookupError, Malformed) as error:
        return f"it holds what was never written ({error})"


def is_damage(error: sqlite3.Error) -> bool:
    """True for an error that comes from what the file holds, not from how it can be reached."""
    code = getattr(error, "sqlite_errorcode", 0)
    return is_no_text(error) or (code & 0xFF in _DAMAGE and code not in NO_ROOM)


def told(error: BaseException) -> str:
    """What an error says, without the bytes that Python quotes where a text is none."""
    return str(error).partition(" with text ")[0]


def is_no_text(error: sqlite3.Error) -> bool:
    """True for bytes that the file calls text and that are none: Python's own error, which has no code."""
    return isinstance(error, sqlite3.OperationalError) and not hasattr(error, "sqlite_errorcode")


def _roll_back(path: Path) -> None:
    """Undoes what a power cut left half-done when the database was made."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("SELECT 1 FROM sqlite_schema").fetchone()


def _look(path: Path, conn: sqlite3.Connection, kept: checkpoint.Checkpoint | None) -> str | None:
    deadline = time.monotonic() + BUDGET_S
    conn.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    try:
        (verdict,) = conn.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            return str(verdict)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
    finally:
        conn.set_progress_handler(None, 0)
    if conn.execute("SELECT 1 FROM sqlite_schema").fetchone() is None and kept is None:
        return None  # a cut came before its first table
    return (
        _schema_fault(path, conn)
        or _epoch_fault(conn, kept)
        or next((found for stream in STREAMS if (found := _stream_fault(conn, stream, deadline))), None)
        or _register_fault(conn)
    )


def _schema_fault(path: Path, conn: sqlite3.Connection) -> str | None:
    tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    (version,) = conn.execute("PRAGMA user_version").fetchone()
    if not {"meta", "record", "mark"} <= tables:
        return "it is of another program" if tables else "it is empty"
    steps = {name for (name,) in conn.execute("SELECT name FROM _sqlite_migrations")}
    if steps - set(STEPS):
        raise StoreError(
            f"{path} was written by a newer huxi (schema {version}, this one knows {SCHEMA_VERSION}); "
            "install that version again"
        )
    return None if version == len(steps) else f"its version is {version} after {len(steps)} steps"


def _epoch_fault(conn: sqlite3.Connection, kept: checkpoint.Checkpoint | None) -> str | None:
    (epoch,) = conn.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    if not EPOCH.fullmatch(epoch):
        return "its epoch is damaged"
    if kept is None or kept.epoch != epoch:
        return None
    for stream, was in kept.heads.items():
        at = outbox.head(conn, stream)
        if at.seq < was.seq:
            return f"stream {stream} ends at {at.seq} and had reached {was.seq}: an older copy was put back"
    return None


def _stream_fault(conn: sqlite3.Connection, stream: str, deadline: float) -> str | None:
    """Whether the marks fit the records, and the chain of what waits to be sent is whole."""
    at = outbox.head(conn, stream)
    (last,) = conn.execute("SELECT max(seq) FROM record WHERE stream = ?", (stream,)).fetchone()
    if at.seq != (last or 0) or not 0 <= at.acked_through <= at.seq:
        return f"stream {stream} ends at {last or 0}, its marks say {at.acked_through} and {at.seq}"
    try:
        seq, before = at.acked_through, outbox.hash_after(conn, stream, at.acked_through)
    except StoreError as error:
        return str(error)
    for number, kind, body, after in conn.execute(
        "SELECT seq, kind, body, hash FROM record WHERE stream = ? AND seq > ? ORDER BY seq", (stream, seq)
    ):
        first = first_seq(number, body) if kind == HEADER else number
        if first > seq + 1 or not (follows(before, number, kind, body, after) and is_of_kind(kind, body)):
            return f"record {number} of stream {stream} does not match its hash, or records before it are missing"
        seq, before = number, after
        if time.monotonic() > deadline:
            return None
    return None if before == at.hash else f"the last hash of stream {stream} is not that of its mark"


def _register_fault(conn: sqlite3.Connection) -> str | None:
    (version,) = conn.execute("PRAGMA user_version").fetchone()
    try:
        if version >= 4:  # older ones are kept otherwise
            registers.load_all(conn)
    except StoreError as error:
        return str(error)
    return None
