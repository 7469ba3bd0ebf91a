"""Raw series: every reading, packed by device and commit, in rows that come and go as a whole."""

from __future__ import annotations

import json
import math
import sqlite3
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from ext.quality import Quality
from gateway.store.series.columns import Shape, pack, pack_whole, unpack, unpack_whole
from gateway.store.series.rollups import DAY_MS, delete_before

_ROOM: Final = 1 << 20  # in the number of a row, which is t0_ms * _ROOM + the first channel of its device
_GRAIN_MS: Final = 300_000


class Readings(NamedTuple):
    """Readings of one device one after the other, in columns of equal shape."""

    channels: Sequence[int]
    """The number of each channel."""
    t_ms: array[int]
    values: array[float]
    """Reading by reading, channel by channel; NaN without a value."""
    quality: array[int]
    """The same: a Quality each."""


class Day(NamedTuple):
    """Raw series of a UTC day."""

    number: int
    """Days since the epoch."""
    written_bytes: int
    is_over: bool
    """True when the budget was used up: nothing more is written until the next day."""


def encode(readings: Readings) -> bytes:
    """One or more readings as the body of a row."""
    width = len(readings.channels)
    times, body = pack_whole(readings.t_ms)
    bodies, heads = [body], []
    for at in range(width):
        quality = readings.quality[at::width].tobytes()
        known = [value for value in readings.values[at::width] if value == value]
        head: list[int] = [int(any(quality))]
        if head[0]:
            bodies.append(quality)
        if known:
            shape, body = pack(known)
            head += shape
            bodies.append(body)
        heads.append(head)
    header = json.dumps([len(readings.t_ms), times, [*readings.channels], heads], separators=(",", ":"))
    return zlib.compress(b"\n".join((header.encode(), b"".join(bodies))))


def decode(body: bytes) -> Readings:
    """The mirror image of `encode`. Raises ValueError, TypeError, LookupError or zlib.error for anything else."""
    header, _, laid = zlib.decompress(body).partition(b"\n")
    count, times, channels, heads = json.loads(header)
    width = len(channels)
    cut = _Cut(laid)
    t_ms = array("q", unpack_whole(Shape(*times), count, cut.take(Shape(*times).size(count))))
    values, quality = array("d", [math.nan]) * (count * width), array("B", bytes(count * width))
    for at, (is_marked, *shape) in enumerate(heads):
        marks = cut.take(count) if is_marked else bytes(count)
        quality[at::width] = array("B", marks)
        if shape:
            known = [place for place, mark in enumerate(marks) if mark == Quality.OK]
            of_column = Shape(*shape)
            found = unpack(of_column, len(known), cut.take(of_column.size(len(known))))
            for place, value in zip(known, found, strict=True):
                values[place * width + at] = value
    return Readings(channels, t_ms, values, quality)


def save(conn: sqlite3.Connection, now_ms: int, series: Iterable[Readings], budget_bytes: int) -> Day:
    """Writes readings, each of one device, in the caller's transaction, until the day's budget is used up."""
    day = today(conn, now_ms)
    for readings in series:
        body = encode(readings)
        if day.is_over or day.written_bytes + len(body) > budget_bytes:
            day = day._replace(is_over=True)
            break
        # Dates of a device only grow; where a wall clock makes two boots meet, the first one's row stays.
        number = readings.t_ms[0] * _ROOM + readings.channels[0]
        conn.execute("INSERT OR IGNORE INTO series_raw VALUES (?, ?)", (number, body))
        day = day._replace(written_bytes=day.written_bytes + len(body))
    kept = f"{day.number} {day.written_bytes} {day.is_over:d}"
    conn.execute("INSERT OR REPLACE INTO meta VALUES ('raw_day', ?)", (kept,))
    return day


def today(conn: sqlite3.Connection, now_ms: int) -> Day:
    """How much of today's budget is used."""
    row = conn.execute("SELECT value FROM meta WHERE key = 'raw_day'").fetchone()
    number, written_bytes, is_over = (0, 0, 0) if row is None else map(int, row[0].split())
    day = now_ms // DAY_MS
    return Day(day, written_bytes, bool(is_over)) if number == day else Day(day, 0, False)


def read(conn: sqlite3.Connection, device: str, t0_ms: int, t1_ms: int) -> Iterator[Readings]:
    """The rows of a device that begin in [t0_ms, t1_ms), ascending. Raises as `decode` for a damaged one."""
    rows = conn.execute(
        "SELECT body FROM series_raw WHERE id >= ? AND id < ?"
        " AND id % ? IN (SELECT id FROM series_channel WHERE device = ?) ORDER BY id",
        (t0_ms * _ROOM, t1_ms * _ROOM, _ROOM, device),
    )
    for (body,) in rows:
        yield decode(body)


def expire(conn: sqlite3.Connection, now_ms: int, kept_ms: int) -> None:
    """Deletes rows that are older, five minutes of them at a time."""
    delete_before(conn, "series_raw", (now_ms - kept_ms) * _ROOM, _GRAIN_MS * _ROOM)


class _Cut:
    """Takes bytes off the front."""

    def __init__(self, laid: bytes) -> None:
        self._laid = laid
        self._at = 0

    def take(self, size: int) -> bytes:
        taken = self._laid[self._at : self._at + size]
        self._at += size
        return taken
