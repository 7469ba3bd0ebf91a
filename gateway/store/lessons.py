"""Where what each device has taught is kept, as text that only `gateway.lessons` understands."""

import sqlite3
from collections.abc import Mapping

_PREFIX = "lesson/"


def save(conn: sqlite3.Connection, texts: Mapping[str, str]) -> None:
    """Replaces the lessons of these devices, in the caller's transaction."""
    rows = ((_PREFIX + device, text) for device, text in texts.items())
    conn.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)


def load_all(conn: sqlite3.Connection) -> dict[str, str]:
    """The lessons that were ever saved, by device."""
    rows = conn.execute("SELECT key, value FROM meta WHERE key GLOB ?", (f"{_PREFIX}*",))
    return {key.removeprefix(_PREFIX): text for key, text in rows}
