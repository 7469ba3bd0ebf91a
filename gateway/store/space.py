"""Space: how full the disk is and what that asks for; and a ballast that is thrown off when nothing fits any more."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

BALLAST: Final = "ballast"
BALLAST_BYTES: Final = 8 << 20
"""As much as the log of the database may grow to: with it whatever has to be written can be."""


class Level(IntEnum):
    """What a disk that fills up asks for; each step includes those before it."""

    ROOMY = 0
    THIN = 1
    """What the receiver holds shrinks to headers at once."""
    EVICT = 2
    """So does what it does not hold, oldest first."""
    STOP_SERIES = 3
    """Raw series are not written."""


_FROM_PERCENT: Final = ((95, Level.STOP_SERIES), (90, Level.EVICT), (80, Level.THIN))


class Usage(NamedTuple):
    """Bytes of a disk, as `shutil.disk_usage` counts them."""

    total: int
    used: int
    free: int


class Space:
    """The room of one data folder."""

    def __init__(self, data_dir: Path, usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage) -> None:
        self._data_dir = data_dir
        self._usage = usage
        self._owed_bytes = 0
        """What the ballast gave for now: it is wanted back and counts as used."""

    def level(self, conn: sqlite3.Connection) -> Level:
        """What has to be done now; pages of the database that are free count as room. Raises OSError, sqlite3.Error."""
        ((pages,), (page_bytes,)) = (
            conn.execute(f"PRAGMA {name}").fetchone() for name in ("freelist_count", "page_size")
        )
        usage = Usage(*self._usage(self._data_dir))
        return level_of(usage, reusable_bytes=pages * page_bytes - self._owed_bytes)

    def keep_ballast(self) -> None:
        """Makes the ballast when it is not there and the disk has room for it and as much again."""
        path = self._data_dir / BALLAST
        with suppress(OSError):
            if not path.exists() and Usage(*self._usage(self._data_dir)).free > 2 * BALLAST_BYTES:
                file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
                try:
                    os.posix_fallocate(file, 0, BALLAST_BYTES)
                finally:
                    os.close(file)
                self._owed_bytes = 0

    def throw_off_ballast(self) -> bool:
        """Gives its room back; False when there was none."""
        if not throw_off_ballast(self._data_dir):
            return False
        self._owed_bytes = BALLAST_BYTES
        return True


def level_of(usage: Usage, *, reusable_bytes: int) -> Level:
    """What a disk asks for of which so many bytes are ours to be used again."""
    free = usage.free + reusable_bytes
    ours = usage.used + usage.free  # what is reserved for root is nobody's here
    percent = 100 - free * 100 / ours if ours else 100
    return next((level for least, level in _FROM_PERCENT if percent >= least), Level.ROOMY)


def throw_off_ballast(data_dir: Path) -> bool:
    """Gives its room back; False when there was none."""
    try:
        (data_dir / BALLAST).unlink()
    except OSError:
        return False
    return True
