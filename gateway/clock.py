"""Time: the monotonic clock orders and measures, the wall clock only dates."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

# No real reading is older than this software: a wall clock before 2026-01-01 is a board without a battery.
EARLIEST_MS = 1_767_225_600_000
STEP_MS = 1_000
# A leap of a day is more likely a bad time source than a true correction: it must hold for a while to be believed,
# for what is dated once is never dated again.
LEAP_MS = 86_400_000
LEAP_HOLD_MS = 600_000


class Clock(Protocol):
    """The two clocks of a machine."""

    def mono_ns(self) -> int:
        """Nanoseconds that never go back, from an arbitrary start."""
        ...

    def wall_ms(self) -> int:
        """Milliseconds since the epoch, UTC, as the machine believes."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def mono_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStep:
    """The wall clock jumped against the monotonic one."""

    at_ms: int
    """Our date of the jump."""
    by_ms: int
    """How far; negative means back."""
    adopted: bool
    """True when our dates jumped with it, just now."""
    told: bool = False
    """True when it was returned before: a leap that has held."""


class Dating:
    """Dates readings of this boot by their monotonic stamp.

    The date of a stamp is the stamp plus an offset that follows the wall clock. Who keeps a date to measure from
    moves it by each step that is adopted, for no time passed in that. Dates never go back: a wall clock
    that steps back is left behind until it has caught up, so nothing that was dated is dated again. Until the wall
    clock is plausible (not before `newest_ms`, the newest date that is stored, nor before this software) nothing
    gets a date.
    """

    def __init__(self, clock: Clock, *, newest_ms: int) -> None:
        self._clock = clock
        self._floor_ms = max(EARLIEST_MS, newest_ms)
        self._offset_ms: int | None = None
        self._behind_ms = 0
        self._leap_since_ms: int | None = None

    @property
    def trusted(self) -> bool:
        """True once readings can be dated."""
        return self._offset_ms is not None

    @property
    def behind_ms(self) -> int:
        """How far the wall clock lies behind our dates after a step back; 0 when it does not."""
        return self._behind_ms

    def observe(self) -> ClockStep | None:
        """Compares the two clocks; call it about once a second. Returns the step that was found, if any."""
        mono_ms, wall_ms = self._clock.mono_ns() // 1_000_000, self._clock.wall_ms()
        if self._offset_ms is None:
            if wall_ms >= self._floor_ms:
                self._offset_ms = wall_ms - mono_ms
            return None
        ours_ms = mono_ms + self._offset_ms
        by_ms = wall_ms - ours_ms
        if by_ms > LEAP_MS:
            return self._doubt(mono_ms, ours_ms, by_ms)
        self._leap_since_ms = None
        if by_ms >= 0:
            self._offset_ms += by_ms
        was_behind, self._behind_ms = self._behind_ms, max(0, -by_ms - STEP_MS)
        stepped = by_ms > STEP_MS or (self._behind_ms > 0 and was_behind == 0)
        return ClockStep(at_ms=ours_ms, by_ms=by_ms, adopted=by_ms > 0) if stepped else None

    def _doubt(self, mono_ms: int, ours_ms: int, by_ms: int) -> ClockStep | None:
        """A leap forward: told when it is seen, and again when it has held for LEAP_HOLD_MS and is adopted."""
        assert self._offset_ms is not None
        if self._leap_since_ms is None:
            self._leap_since_ms = mono_ms
            return ClockStep(at_ms=ours_ms, by_ms=by_ms, adopted=False)
        if mono_ms - self._leap_since_ms < LEAP_HOLD_MS:
            return None
        self._leap_since_ms = None
        self._offset_ms += by_ms
        return ClockStep(at_ms=ours_ms, by_ms=by_ms, adopted=True, told=True)

    def date_ms(self, mono_ns: int) -> int | None:
        """The date of a stamp of this boot, None while the clock is not trusted."""
        return None if self._offset_ms is None else mono_ns // 1_000_000 + self._offset_ms

    def mono_ns(self) -> int:
        """The monotonic clock that stamps are of."""
        return self._clock.mono_ns()

    def now_ms(self) -> int:
        """Now: our date, or what the wall clock says while it is not trusted."""
        dated = self.date_ms(self._clock.mono_ns())
        return self._clock.wall_ms() if dated is None else dated
