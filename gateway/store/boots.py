"""Boots: what is kept of boots without a date, as bytes that only the meter understands, and the date of this one."""

import sqlite3
from typing import NamedTuple


class Dated(NamedTuple):
    """When a boot began, and who vouched for that."""

    offset_ms: int
    source: str


def load(conn: sqlite3.Connection) -> list[tuple[str, bytes]]:
    """Boot and block of everything without a date, in the order in which it was written."""
    return conn.execute(
        "SELECT boot.id, undated.body FROM undated JOIN boot ON boot.number = undated.boot"
        " ORDER BY undated.boot, undated.number"
    ).fetchall()


def dated(conn: sqlite3.Connection, boot: str) -> Dated | None:
    """The date of a boot that was settled; None otherwise."""
    row = conn.execute(
        "SELECT offset_ms, source FROM boot WHERE id = ? AND typeof(offset_ms) = 'integer'", (boot,)
    ).fetchone()
    return None if row is None else Dated(*row)


def append(conn: sqlite3.Connection, boot: str, block: bytes, *, is_whole: bool) -> None:
    """Keeps a block of a boot, in the caller's transaction; one that is whole stands for all before it."""
    conn.execute("INSERT OR IGNORE INTO boot (id) VALUES (?)", (boot,))
    (number,) = conn.execute("SELECT number FROM boot WHERE id = ?", (boot,)).fetchone()
    if is_whole:
        conn.execute("DELETE FROM undated WHERE boot = ?", (number,))
    conn.execute(
        "INSERT INTO undated SELECT ?, coalesce(max(number), 0) + 1, ? FROM undated WHERE boot = ?",
        (number, block, number),
    )


def settle(conn: sqlite3.Connection, boot: str, date: Dated) -> None:
    """This boot has its date, and all that was kept without one is booked: in the caller's transaction it goes."""
    conn.execute("DELETE FROM undated")
    conn.execute("DELETE FROM boot")
    conn.execute("INSERT INTO boot (id, offset_ms, source) VALUES (?, ?, ?)", (boot, *date))
