"""Found rows: what the pages of a damaged database still hold, put where it belongs in a new one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from gateway.store.outbox import STREAMS
from gateway.store.pages import Pages, Value
from sync.messages import GENESIS


class FoundRecord(NamedTuple):
    """A record as it was found on a page."""

    seq: int
    kind: str
    t0_ms: int
    t1_ms: int
    body: bytes
    hash: bytes


class Found(NamedTuple):
    """What is known of the records that were found, beside themselves."""

    spare: dict[tuple[str, int], list[FoundRecord]]
    """Further versions of a record."""
    on_whole_pages: set[tuple[str, int]]
    """Those with a neighbourhood that shows no damage."""


def take(damaged: Path, new: sqlite3.Connection) -> Found:
    """Puts every row that was found on any page where it belongs."""
    found = Found({}, set())
    with closing(Pages(damaged)) as pages:
        for rows, is_whole in pages.rows():
            keys: list[tuple[str, int]] = []
            for row in rows:
                match row:
                    case (str(stream), int(seq), str(kind), int(t0_ms), int(t1_ms), bytes(body), bytes(after)):
                        if stream in STREAMS and len(after) == len(GENESIS) and 0 < seq < 1 << 53:
                            keys.append((stream, seq))
                            _take_record(new, stream, FoundRecord(seq, kind, t0_ms, t1_ms, body, after), found.spare)
                    case (str(), str(), str(), str(), str(), str(), int(), str(), _, int(), int()):
                        _take_newer(new, _DAY_TOTAL, row)
                    case (str(), str(), int(), int()):
                        _take_newer(new, _CONTRACT_USE, row)
                    case _:
                        pass
            if is_whole and len(keys) == len(rows) and all(_is_next(one, other) for one, other in pairwise(keys)):
                found.on_whole_pages.update(keys)
    return found


def _is_next(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Whether two records may lie side by side on a page."""
    return one[0] != other[0] or one[1] + 1 == other[1]


def _take_record(
    new: sqlite3.Connection, stream: str, record: FoundRecord, spare: dict[tuple[str, int], list[FoundRecord]]
) -> None:
    there = new.execute(
        "SELECT seq, kind, t0_ms, t1_ms, body, hash FROM record WHERE stream = ? AND seq = ?", (stream, record.seq)
    ).fetchone()
    if there is None:
        put(new, stream, record)
    elif record != there:
        spare.setdefault((stream, record.seq), []).append(record)


def put(new: sqlite3.Connection, stream: str, record: FoundRecord) -> None:
    """Writes a record, over any other of its number."""
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
