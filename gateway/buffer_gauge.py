"""BufferGauge: how fast the buffer fills, for how long it lasts, and how much is written to its disk."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

from gateway.clock import Clock
from gateway.store import disk
from gateway.store.database import Store
from gateway.store.errors import StoreError
from gateway.store.folder import FILE_NAME

EVERY_S: Final = 60
SPACING_MS: Final = 300_000
LONGEST_MS: Final = 86_400_000
LEAST_MS: Final = 900_000
"""Over less time a rate says nothing: a close comes each five minutes."""
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferFigures:
    """What the gauge shows."""

    hours_left: float | None
    """Until the disk is full when it goes on as in the last day; None when it is not known, or does not fill."""
    written_bytes_per_day: int | None
    """To the partition of the data folder, by everybody; None when it is not known."""


class _Look(NamedTuple):
    at_ms: int  # monotonic
    used_bytes: int
    room_bytes: int
    written_bytes: int | None


class BufferGauge:
    """Looks once a minute; rates are of the last day, or as long as it has looked."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._looks: deque[_Look] = deque()

    async def run(self) -> None:
        """Looks until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Notes how things stand; a store that cannot be read is noticed elsewhere."""
        try:
            used_bytes = await self._store.read(_used_bytes)
        except StoreError:
            return
        now_ms = self._clock.mono_ns() // 1_000_000
        folder = self._store.data_dir
        # The free pages of the file are room; what lies in the log only will need its place in the file.
        room_bytes = disk.free_bytes(folder) + disk.size_bytes(folder / FILE_NAME) - used_bytes
        look = _Look(now_ms, used_bytes, max(0, room_bytes), disk.written_bytes(folder))
        looks = self._looks
        if len(looks) > 1 and looks[-1].at_ms - looks[-2].at_ms < SPACING_MS:
            looks.pop()
        looks.append(look)
        while now_ms - looks[0].at_ms > LONGEST_MS:
            looks.popleft()

    def figures(self) -> BufferFigures:
        """As of the last look."""
        if not self._looks or (passed_ms := self._looks[-1].at_ms - self._looks[0].at_ms) < LEAST_MS:
            return BufferFigures(hours_left=None, written_bytes_per_day=None)
        first, last = self._looks[0], self._looks[-1]
        grown_bytes = last.used_bytes - first.used_bytes
        written = None
        if first.written_bytes is not None and last.written_bytes is not None:
            written = round((last.written_bytes - first.written_bytes) * LONGEST_MS / passed_ms)
        return BufferFigures(
            hours_left=last.room_bytes * passed_ms / grown_bytes / _HOUR_MS if grown_bytes > 0 else None,
            written_bytes_per_day=written,
        )


def _used_bytes(conn: sqlite3.Connection) -> int:
    """Pages of the database that are in use, those in the log included."""
    pages, free, size = (
        conn.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
