"""Where the meter's state of each register is kept, as text that only the meter understands."""

import sqlite3
from collections.abc import Iterable

RegisterState = tuple[str, str, str]
"""Device, register, state."""


def save(conn: sqlite3.Connection, rows: Iterable[RegisterState]) -> None:
    """Replaces the states of these registers, in the caller's transaction."""
    conn.executemany("INSERT OR REPLACE INTO register VALUES (?, ?, ?)", rows)


def load_all(conn: sqlite3.Connection) -> list[RegisterState]:
    """The states of all registers that were ever saved."""
    return conn.execute("SELECT device, register, state FROM register ORDER BY device, register").fetchall()
