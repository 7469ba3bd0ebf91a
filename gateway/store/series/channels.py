"""Channel: one point of one device with its unit, by a number that never changes."""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple


class ChannelName(NamedTuple):
    """What a channel is of."""

    device: str
    point: str
    unit: str
    is_counter: bool
    """True when its value only rises, as an energy counter's."""


def number_of(conn: sqlite3.Connection, names: Iterable[ChannelName]) -> list[int]:
    """The numbers of these channels, in their order; new ones get the next, in the caller's transaction."""
    known = {_name(row): row[0] for row in _all(conn)}
    numbers = []
    for name in names:
        if name not in known:
            cursor = conn.execute(
                "INSERT INTO series_channel (device, point, unit, is_counter) VALUES (?, ?, ?, ?)", name
            )
            assert cursor.lastrowid is not None
            known[name] = cursor.lastrowid
        numbers.append(known[name])
    return numbers


def find(conn: sqlite3.Connection, device: str, point: str) -> tuple[int, ChannelName] | None:
    """The newest channel of a device's point; None when nothing of it was ever kept."""
    row = conn.execute(
        "SELECT id, device, point, unit, is_counter FROM series_channel"
        " WHERE device = ? AND point = ? ORDER BY id DESC LIMIT 1",
        (device, point),
    ).fetchone()
    return None if row is None else (row[0], _name(row))


def counters(conn: sqlite3.Connection) -> set[int]:
    """The numbers of the channels that only rise."""
    return {number for (number,) in conn.execute("SELECT id FROM series_channel WHERE is_counter")}


def highest(conn: sqlite3.Connection) -> int:
    """The highest number of a channel, 0 when there is none."""
    found: int = conn.execute("SELECT coalesce(max(id), 0) FROM series_channel").fetchone()[0]
    return found


def _name(row: tuple[int, str, str, str, int]) -> ChannelName:
    _, device, point, unit, is_counter = row
    return ChannelName(device, point, unit, bool(is_counter))


def _all(conn: sqlite3.Connection) -> sqlite3.Cursor:
    return conn.execute("SELECT id, device, point, unit, is_counter FROM series_channel")
