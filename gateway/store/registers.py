"""Where the meter's states of all registers are kept: in one packed row, for it is written at each checkpoint.

A state is text that only the meter understands. All that is known here is that commas part it.
"""

import sqlite3
from collections.abc import Iterable
from typing import Final

from gateway.store import cells
from gateway.store.errors import Damaged

RegisterState = tuple[str, str, str]
"""Device, register, state."""

_ID: Final = 1


def save(conn: sqlite3.Connection, rows: Iterable[RegisterState]) -> None:
    """Replaces the states of these registers, in the caller's transaction; they are as new as the ledger.

    Raises ValueError for one with a control character, Damaged when those that were saved cannot be read.
    """
    fresh = list(rows)
    put(conn, fresh)
    conn.executemany("DELETE FROM resume WHERE device = ? AND register = ?", [name for *name, _ in fresh])


def put(conn: sqlite3.Connection, rows: Iterable[RegisterState]) -> None:
    """As `save`, for states of which it is not said how new they are."""
    body = _body(conn)
    before = _states(body)
    after = before | {(device, register): state for device, register, state in rows}
    if after == before:
        return
    packed = cells.pack(((*name, *state.split(",")) for name, state in sorted(after.items())), body)
    # An update, for SQLite writes a row over in its place by an update only, not by a replacement.
    conn.execute(
        "INSERT INTO register_states VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body", (_ID, packed)
    )


def load_all(conn: sqlite3.Connection) -> list[RegisterState]:
    """The states of all registers that were ever saved. Raises Damaged when they cannot be read."""
    return [(device, register, state) for (device, register), state in sorted(_states(_body(conn)).items())]


def note_older(conn: sqlite3.Connection, device: str, register: str, seq: int) -> None:
    """Notes that a state is older than the ledger: what records after `seq` booked is not in it."""
    conn.execute("INSERT OR REPLACE INTO resume VALUES (?, ?, ?)", (device, register, seq))


def older(conn: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """The registers whose stored state is older than the ledger: the last record that it knows of."""
    return {(device, register): seq for device, register, seq in conn.execute("SELECT * FROM resume")}


def _body(conn: sqlite3.Connection) -> bytes:
    row = conn.execute("SELECT body FROM register_states WHERE id = ?", (_ID,)).fetchone()
    return b"" if row is None else row[0]


def _states(body: bytes) -> dict[tuple[str, str], str]:
    try:
        rows = cells.unpack(body) if body else ()
        return {(device, register): ",".join(state) for device, register, *state in rows}
    except cells.DAMAGE as error:
        raise Damaged(f"the stored states of the registers cannot be read ({error})") from None
