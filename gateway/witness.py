"""Who vouches for the wall clock: the kernel, the time service, or the configuration."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Final

from gateway.clock import EARLIEST_MS, LATEST_MS, Anchor, Clock, Witness, offset_ms

KERNEL, TIMESYNCD, CONFIGURATION, HAND = "kernel", "timesyncd", "configuration", "hand"
SYNCHRONIZED: Final = Path("/run/systemd/timesync/synchronized")
"""Made by systemd-timesyncd when it has reached a server in this boot (systemd-timesyncd.service(8))."""
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_STA_UNSYNC, _STA_NANO, _TIME_ERROR = 0x0040, 0x2000, 5  # adjtimex(2)
_NEAR_NS: Final = 50_000_000
"""A clock that is still being slewed is not there yet."""


class _Timex(ctypes.Structure):
    """The head of struct timex on 64-bit Linux; `modes` stays 0, so that nothing is set."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 512),
    )


def kernel_synchronised() -> bool | None:
    """Whether a time service (NTP, PTP, GPS) keeps the kernel's clock right; None when the kernel does not say."""
    timex = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    if state < 0:  # a sandbox without the call (ProtectClock= of systemd)
        return None
    ahead_ns = abs(timex.offset) * (1 if timex.status & _STA_NANO else 1000)
    return state != _TIME_ERROR and not timex.status & _STA_UNSYNC and ahead_ns <= _NEAR_NS


def synchronised(flag: Path = SYNCHRONIZED) -> str | None:
    """Who of the two knows that the clock is right: the kernel, or where it does not say, systemd-timesyncd."""
    said = kernel_synchronised()
    if said is None:
        return TIMESYNCD if flag.exists() else None
    return KERNEL if said else None


def service(clock: Clock, flag: Path = SYNCHRONIZED) -> Witness:
    """A time service: chrony, ntpd, ptp4l and systemd-timesyncd tell the kernel, the last makes a file, too."""
    return lambda: _if_plausible(clock, source) if (source := synchronised(flag)) else None


def configuration(clock: Clock, newest_ms: int) -> Witness:
    """Whoever wrote `clock = "system"`: a clock with a battery, which is never behind what is stored."""
    return lambda: _if_plausible(clock, CONFIGURATION) if clock.wall_ms() >= newest_ms else None


def hand(clock: Clock) -> Anchor | None:
    """A person, at this moment."""
    return _if_plausible(clock, HAND)


def boot_id(path: Path = BOOT_ID) -> str:
    """Which boot this is: stamps of the monotonic clock can be compared inside one only."""
    return path.read_text(encoding="ascii").strip()


def _if_plausible(clock: Clock, source: str) -> Anchor | None:
    """What the wall clock says, unless that cannot be, whoever vouches for it."""
    if not EARLIEST_MS <= clock.wall_ms() < LATEST_MS:
        return None
    return Anchor(offset_ms=offset_ms(clock), source=source)
