"""Rollups: samples by the minute and by the quarter of an hour, in packed rows that come and go as a whole.

A row by the minute holds five minutes of up to 64 channels; it is written once, and again only when a restart falls
into it. A row by the quarter holds a UTC day of one channel and is made from the others when that day is over.
"""

from __future__ import annotations

import logging
import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Concatenate, Final, NamedTuple, ParamSpec, TypeVar

from gateway.store.series.channels import counters, highest
from gateway.store.series.sample import Samples, from_text, merge, to_text

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("huxi.store")

MINUTE_MS: Final = 60_000
QUARTER_MS: Final = 900_000
WINDOW_MS: Final = 5 * MINUTE_MS
"""Time of a row by the minute."""
DAY_MS: Final = 86_400_000
CHUNK: Final = 64
"""Channels of a row by the minute: many pack well, few are read quickly."""

_MINUTES: Final = WINDOW_MS // MINUTE_MS
_QUARTERS: Final = DAY_MS // QUARTER_MS
_WINDOWS_A_DAY: Final = DAY_MS // WINDOW_MS
_CHUNKS: Final = 4096  # room in the number of a row, which is window * _CHUNKS + chunk
_CHANNELS: Final = 1 << 20  # the same: day * _CHANNELS + channel
_DAMAGE: Final = (zlib.error, ValueError, TypeError, LookupError)


class Packed(NamedTuple):
    """Rows as they lie in the store, with when each begins; `samples` reads them, on any thread."""

    channel: int
    minutes: Sequence[tuple[int, bytes]]
    quarters: Sequence[tuple[int, bytes]]

    def samples(self, step_ms: int) -> Samples:
        """The samples, numbered in steps of MINUTE_MS or QUARTER_MS since the epoch. What is damaged is left out."""
        found: Samples = {}
        for begin_ms, body in self.quarters:
            for number, sample in _readable(begin_ms, _day, body).items():
                found[begin_ms // QUARTER_MS + number] = sample
        for begin_ms, body in self.minutes:
            line = _readable(begin_ms, _line, body, self.channel)
            for number in sorted(line):
                merge(found, {(begin_ms + number * MINUTE_MS) // step_ms: line[number]})
        return found


def save(conn: sqlite3.Connection, begin_ms: int, samples: Mapping[int, Samples]) -> None:
    """Adds the samples of the WINDOW_MS from `begin_ms` on, by channel and minute, in the caller's transaction."""
    rising = counters(conn)
    chunks: defaultdict[int, dict[int, Samples]] = defaultdict(dict)
    for channel, of_channel in samples.items():
        chunks[channel // CHUNK][channel] = of_channel
    for chunk, fresh in chunks.items():
        number = begin_ms // WINDOW_MS * _CHUNKS + chunk
        row = conn.execute("SELECT body FROM series_minute WHERE id = ?", (number,)).fetchone()
        kept = {} if row is None else _readable(begin_ms, _lines, row[0])
        for channel, of_channel in fresh.items():
            merge(kept.setdefault(channel, {}), of_channel)
        lines = [
            f"{channel}:{to_text(kept[channel], _MINUTES, is_counter=channel in rising)}" for channel in sorted(kept)
        ]
        conn.execute("INSERT OR REPLACE INTO series_minute VALUES (?, ?)", (number, zlib.compress(_text(lines))))


def read(conn: sqlite3.Connection, channel: int, t0_ms: int, t1_ms: int, step_ms: int) -> Packed:
    """The rows that overlap [t0_ms, t1_ms), for samples by MINUTE_MS or QUARTER_MS.

    By the quarter, days that are not folded yet are given by the minute.
    """
    quarters: list[tuple[int, bytes]] = []
    first_ms = t0_ms
    if step_ms == QUARTER_MS:
        folded_day, folded_channel = _folded(conn)
        first_ms = max(t0_ms, (folded_day + (1 if channel <= folded_channel else 0)) * DAY_MS)
        for day in range(t0_ms // DAY_MS, -(-min(t1_ms, first_ms) // DAY_MS)):
            row = conn.execute("SELECT body FROM series_quarter WHERE id = ?", (day * _CHANNELS + channel,)).fetchone()
            if row is not None:
                quarters.append((day * DAY_MS, row[0]))
    return Packed(channel, _minutes(conn, channel, first_ms, t1_ms), quarters)


def fold(conn: sqlite3.Connection, now_ms: int, channels: int = 16) -> bool:
    """Makes the rows by the quarter of the next `channels` of the first day that lacks them; False when none does."""
    day, after = _folded(conn)
    (first,) = conn.execute(
        "SELECT min(id) FROM series_minute WHERE id >= ?", (day * _WINDOWS_A_DAY * _CHUNKS,)
    ).fetchone()
    if first is None or after >= highest(conn):
        return False
    first_day = first // _CHUNKS // _WINDOWS_A_DAY
    if first_day > day:
        day, after = first_day, 0
    if now_ms < (day + 1) * DAY_MS + 2 * WINDOW_MS:
        return False
    last = min(after + channels, highest(conn))
    rising = counters(conn)
    for channel in range(after + 1, last + 1):
        packed = Packed(channel, _minutes(conn, channel, day * DAY_MS, (day + 1) * DAY_MS), ())
        samples = {number - day * _QUARTERS: sample for number, sample in packed.samples(QUARTER_MS).items()}
        if samples:
            line = to_text(samples, _QUARTERS, is_counter=channel in rising)
            body = zlib.compress(line.encode())
            conn.execute("INSERT OR REPLACE INTO series_quarter VALUES (?, ?)", (day * _CHANNELS + channel, body))
    _set_folded(conn, *((day + 1, 0) if last == highest(conn) else (day, last)))
    return True


def expire(conn: sqlite3.Connection, now_ms: int, *, minutes_kept_ms: int, quarters_kept_ms: int) -> None:
    """Deletes rows that are older, an hour of them at a time; none by the minute that is not folded yet."""
    until_ms = min(now_ms - minutes_kept_ms, _folded(conn)[0] * DAY_MS)
    delete_before(conn, "series_minute", until_ms // WINDOW_MS * _CHUNKS, 12 * _CHUNKS)
    delete_before(conn, "series_quarter", (now_ms - quarters_kept_ms) // DAY_MS * _CHANNELS, _CHANNELS)


def delete_before(conn: sqlite3.Connection, table: str, number: int, least: int) -> None:
    """Deletes the oldest rows of `table` up to one `least` numbers on, once that many lie before `number`."""
    (first,) = conn.execute(f"SELECT min(id) FROM {table}").fetchone()
    if first is not None and first - first % least + least <= number:
        conn.execute(f"DELETE FROM {table} WHERE id < ?", (first - first % least + least,))


def _minutes(conn: sqlite3.Connection, channel: int, t0_ms: int, t1_ms: int) -> list[tuple[int, bytes]]:
    first, end = (window * _CHUNKS + channel // CHUNK for window in (t0_ms // WINDOW_MS, -(-t1_ms // WINDOW_MS)))
    if first >= end:
        return []
    rows = conn.execute(
        "WITH RECURSIVE wanted (id) AS (SELECT ? UNION ALL SELECT id + ? FROM wanted WHERE id + ? < ?)"
        " SELECT id, body FROM wanted JOIN series_minute USING (id)",
        (first, _CHUNKS, _CHUNKS, end),
    )
    return [(number // _CHUNKS * WINDOW_MS, body) for number, body in rows]


def _folded(conn: sqlite3.Connection) -> tuple[int, int]:
    """Day whose rows by the quarter are being made, and its last channel that has them; 0 and 0 before the first."""
    row = conn.execute("SELECT value FROM meta WHERE key = 'folded'").fetchone()
    day, channel = (0, 0) if row is None else map(int, row[0].split())
    return day, channel


def _set_folded(conn: sqlite3.Connection, day: int, channel: int) -> None:
    conn.execute("INSERT OR REPLACE INTO meta VALUES ('folded', ?)", (f"{day} {channel}",))


def _text(lines: Sequence[str]) -> bytes:
    return "\n".join(["", *lines, ""]).encode()


def _readable(
    begin_ms: int, read: Callable[Concatenate[bytes, P], dict[int, T]], body: bytes, *args: P.args, **kwargs: P.kwargs
) -> dict[int, T]:
    """What `read` finds in a body; nothing, and a line in the log, when it is damaged."""
    try:
        return read(body, *args, **kwargs)
    except _DAMAGE as error:
        log.warning("rollup cannot be read and is left out begin_ms=%d reason=%s", begin_ms, error)
        return {}


def _day(body: bytes) -> Samples:
    return from_text(zlib.decompress(body))


def _line(body: bytes, channel: int) -> Samples:
    text = zlib.decompress(body)
    mark = b"\n%d:" % channel
    begin = text.find(mark)
    return {} if begin < 0 else from_text(text[begin + len(mark) : text.index(b"\n", begin + 1)])


def _lines(body: bytes) -> dict[int, Samples]:
    pairs = (line.split(b":", 1) for line in zlib.decompress(body).split(b"\n") if line)
    return {int(channel): from_text(line) for channel, line in pairs}
