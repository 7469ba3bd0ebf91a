"""The doctor's look at the machine, with or without a configuration."""

import ctypes
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.cli.finding import Finding
from gateway.cli.output import size, utc
from gateway.cli.probe import serial_adapters
from gateway.clock import EARLIEST_MS

DISK_WARN_BYTES: Final = 1 << 30
DISK_BAD_BYTES: Final = 100 << 20
WAL_RESET_MENDED: Final = (3, 51, 3)
"""First SQLite whose WAL cannot be damaged by two connections that checkpoint at once."""
LATEST_MS: Final = 4_102_444_800_000
"""2100-01-01: a clock beyond it is broken."""
_TIME_ERROR: Final = 5
"""adjtimex(2): the kernel's clock is not synchronised."""


def check_machine() -> Iterator[Finding]:
    """Core, clock, SQLite and serial adapters."""
    yield _core()
    yield clock_year(time.time_ns() // 1_000_000)
    yield clock_sync(_kernel_clock_state())
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


def clock_sync(state: int | None) -> Finding:
    """What the kernel says: `state` as adjtimex(2) returns it, None when it cannot be asked."""
    if state is None:
        return Finding(check="clock sync", state="ok", text="the kernel does not say")
    if state == _TIME_ERROR:
        return Finding(
            check="clock sync",
            state="warn",
            text="no time server keeps the clock right",
            remedy="timedatectl set-ntp true; without a network, fit a real-time clock",
        )
    return Finding(check="clock sync", state="ok", text="kept by a time server")


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


def _kernel_clock_state() -> int | None:
    libc = ctypes.CDLL(None, use_errno=True)
    # struct timex is 208 bytes on 64-bit Linux; its first field, modes, stays 0: nothing is set.
    state: int = libc.adjtimex(ctypes.create_string_buffer(512))
    return None if state < 0 else state
