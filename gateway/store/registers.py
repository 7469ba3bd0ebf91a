"""Where the meter's state of each register is kept, as text that only the meter understands, sealed by a checksum."""

import sqlite3
import zlib
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from gateway.store.errors import StoreError

RegisterState = tuple[str, str, str]
"""Device, register, state."""

_SEAL: Final = 8


def save(conn: sqlite3.Connection, rows: Iterable[RegisterState]) -> None:
    """Replaces the states of these registers, in the caller's transaction."""
    for device, register, state in rows:
        conn.execute("INSERT OR REPLACE INTO register VALUES (?, ?, ?)", (device, register, sealed(state)))
        conn.execute("DELETE FROM resume WHERE device = ? AND register = ?", (device, register))


def load_all(conn: sqlite3.Connection) -> list[RegisterState]:
    """The states of all registers that were ever saved. Raises StoreError for one that is damaged."""
    rows = conn.execute("SELECT device, register, state FROM register ORDER BY device, register").fetchall()
    return [(device, register, unsealed(device, register, text)) for device, register, text in rows]


def readable(conn: sqlite3.Connection) -> list[RegisterState]:
    """As `load_all`, of a database that may be damaged: the states that can still be read."""
    found: list[RegisterState] = []
    with suppress(sqlite3.Error):
        for device, register, text in conn.execute("SELECT device, register, state FROM register"):
            with suppress(StoreError):
                found.append((device, register, unsealed(device, register, text)))
    return found


def note_older(conn: sqlite3.Connection, device: str, register: str, seq: int) -> None:
    """Notes that a state is older than the ledger: what records after `seq` booked is not in it."""
    conn.execute("INSERT OR REPLACE INTO resume VALUES (?, ?, ?)", (device, register, seq))


def older(conn: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """The registers whose stored state is older than the ledger: the last record that it knows of."""
    return {(device, register): seq for device, register, seq in conn.execute("SELECT * FROM resume")}


def sealed(state: str) -> str:
    """The state with its checksum before it."""
    return f"{zlib.crc32(state.encode()):08x}{state}"


def unsealed(device: str, register: str, text: object) -> str:
    """The mirror image of `sealed`. Raises StoreError for anything else."""
    if not isinstance(text, str) or text != sealed(text[_SEAL:]):
        raise StoreError(f"the stored state of register {register} of device {device} is damaged; restart the gateway")
    return text[_SEAL:]
