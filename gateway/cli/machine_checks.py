"""The doctor's look at the machine, with or without a configuration."""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.cli.finding import Finding
from gateway.cli.output import size, utc
from gateway.cli.probe import serial_adapters
from gateway.clock import EARLIEST_MS, LATEST_MS
from gateway.witness import synchronised

DISK_WARN_BYTES: Final = 1 << 30
DISK_BAD_BYTES: Final = 100 << 20
WAL_RESET_MENDED: Final = (3, 51, 3)
"""First SQLite whose WAL cannot be damaged by two connections that checkpoint at once."""


def check_machine() -> Iterator[Finding]:
    """Core, clock, SQLite and serial adapters."""
    yield _core()
    yield clock_year(time.time_ns() // 1_000_000)
    yield clock_sync(is_kept=synchronised() is not None)
    yield sqlite(sqlite3.sqlite_version_info)
    adapters = serial_adapters()
    yield Finding(check="serial adapters", state="ok", text=", ".join(adapters) or "none plugged in")


def disk(folder: Path) -> Finding:
    """Free space where `folder` is, or will be made."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    text = f"{size(free)} free at {folder}"
    if free < DISK_BAD_BYTES:
        return Finding(check="disk", state="bad", text=text, remedy="make room: the ledger cannot grow on a full disk")
    if free < DISK_WARN_BYTES:
        return Finding(check="disk", state="warn", text=text, remedy="make room, or use a larger card")
    return Finding(check="disk", state="ok", text=text)


def clock_year(now_ms: int) -> Finding:
    """Whether the wall clock can be right at all."""
    if EARLIEST_MS <= now_ms <= LATEST_MS:
        return Finding(check="clock", state="ok", text=utc(now_ms))
    year = time.gmtime(now_ms / 1000).tm_year
    return Finding(
        check="clock",
        state="bad",
        text=f"the year {year} cannot be right: nothing is booked until the clock is set",
        remedy="timedatectl set-ntp true, or set it by hand: sudo date -s '2026-01-31 12:00'",
    )


def clock_sync(*, is_kept: bool) -> Finding:
    """Whether a time service vouches for the clock."""
    if not is_kept:
        return Finding(
            check="clock sync",
            state="warn",
            text="no time service keeps the clock right; by itself the gateway dates nothing",
            remedy="timedatectl set-ntp true; without a network set the clock, then huxi clock trust; with a"
            ' battery-backed clock, clock = "system" under [gateway]',
        )
    return Finding(check="clock sync", state="ok", text="a time service keeps it right")


def sqlite(version: tuple[int, ...]) -> Finding:
    """The SQLite library, and what an old one asks of people."""
    text = f"SQLite {'.'.join(map(str, version[:3]))}"
    if version < WAL_RESET_MENDED:
        text += " (WAL-reset fault, mended in 3.51.3; harmless while huxi alone opens its database)"
        return Finding(
            check="sqlite",
            state="ok",
            text=text,
            remedy="never open huxi.db with another program while huxi runs",
        )
    return Finding(check="sqlite", state="ok", text=text)


def _core() -> Finding:
    try:
        from ext import IMPLEMENTATION
    except ImportError as error:
        return Finding(check="core", state="bad", text=str(error), remedy="run make setup")
    if IMPLEMENTATION == "python":
        return Finding(
            check="core",
            state="warn",
            text="the slow twin in plain Python is in use",
            remedy="unset HUXI_PURE_PYTHON, then run make setup",
        )
    return Finding(check="core", state="ok", text="compiled")
