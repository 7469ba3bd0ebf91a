"""Where the meter's states of all registers are kept: in one packed row, for it is written at each checkpoint.

A state is text that only the meter understands. All that is known here is that commas part it.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

from gateway.store import cells
from gateway.store.errors import StoreError

RegisterState = tuple[str, str, str]
"""Device, register, state."""

_ID: Final = 1


def save(conn: sqlite3.Connection, rows: Iterable[RegisterState]) -> None:
    """Replaces the states of these registers, in the caller's transaction.

    Raises ValueError for one with a control character, StoreError when those that were saved cannot be read.
    """
    before = _load(conn)
    after = before | {(device, register): state for device, register, state in rows}
    if after != before:
        conn.execute("INSERT OR REPLACE INTO register_states VALUES (?, ?)", (_ID, _pack(after)))


def load_all(conn: sqlite3.Connection) -> list[RegisterState]:
    """The states of all registers that were ever saved. Raises StoreError when they cannot be read."""
    return [(device, register, state) for (device, register), state in sorted(_load(conn).items())]


def _load(conn: sqlite3.Connection) -> dict[tuple[str, str], str]:
    row = conn.execute("SELECT body FROM register_states WHERE id = ?", (_ID,)).fetchone()
    try:
        rows = [] if row is None else cells.unpack(row[0])
        return {(device, register): ",".join(state) for device, register, *state in rows}
    except cells.DAMAGE as error:
        raise StoreError(f"the stored states of the registers cannot be read ({error}); see `huxi doctor`") from error


def _pack(states: Mapping[tuple[str, str], str]) -> bytes:
    return cells.pack((*name, *state.split(",")) for name, state in sorted(states.items()))
