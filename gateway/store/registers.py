"""Where the meter's states of all registers are kept: in one packed row, for it is written at each checkpoint.

A state is text that only the meter understands. All that is known here is that commas part it: cells that stand in
the same place of states of the same length are packed side by side, since most of them are alike.
"""

import lzma
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from gateway.store.errors import StoreError

RegisterState = tuple[str, str, str]
"""Device, register, state."""

_CELL, _COLUMN, _GROUP = "\x1f", "\n", "\x1e"
_ID: Final = 1
_STEP: Final = 1000
"""What is stored has a multiple of this length: SQLite writes over a row of the same length in its place."""
_LZMA: Final = {"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 1 << 18}
"""Digits take two thirds of what zlib makes of them; a small dictionary, for it is memory."""


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
        return {} if row is None else dict(_unpack(row[0]))
    except (lzma.LZMAError, TypeError, ValueError) as error:
        raise StoreError(f"the stored states of the registers cannot be read ({error}); see `huxi doctor`") from error


def _pack(states: Mapping[tuple[str, str], str]) -> bytes:
    groups: defaultdict[int, list[list[str]]] = defaultdict(list)
    for name, state in sorted(states.items()):
        cells = [*name, *state.split(",")]
        if not {_CELL, _COLUMN, _GROUP}.isdisjoint("".join(cells)):
            raise ValueError(f"the name or the state of register {name} has a control character: {state!r}")
        groups[len(cells)].append(cells)
    text = _GROUP.join(
        _COLUMN.join(_CELL.join(column) for column in zip(*group, strict=True)) for group in groups.values()
    )
    body = lzma.compress(text.encode(), check=lzma.CHECK_CRC32, filters=[_LZMA])
    return body.ljust(-(-len(body) // _STEP) * _STEP, b"\0")


def _unpack(body: bytes) -> Iterator[tuple[tuple[str, str], str]]:
    inflater = lzma.LZMADecompressor()
    text = inflater.decompress(body).decode()
    if not inflater.eof:
        raise ValueError("they are cut off")
    for group in text.split(_GROUP):
        columns = [column.split(_CELL) for column in group.split(_COLUMN)]
        for device, register, *state in zip(*columns, strict=True):
            yield (device, register), ",".join(state)
