"""Time: the monotonic clock orders and measures; the wall clock only dates, and only while somebody vouches for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

EARLIEST_MS = 1_767_225_600_000
"""2026-01-01: no real reading is older than this software."""
LATEST_MS = 4_102_444_800_000
"""2100-01-01: a clock beyond it is broken."""
STEP_MS = 1_000
SLEW_MS = 100
"""Most by which dates are held back at a look, so that they still go forward from one reading to the next."""
# A leap of a day is more likely a bad time source than a true correction: it must hold for a while to be believed,
# for what is dated once is never dated again.
LEAP_MS = 86_400_000
LEAP_HOLD_MS = 600_000


class Clock(Protocol):
    """The two clocks of a machine."""

    def mono_ns(self) -> int:
        """Nanoseconds that never go back, from a start that is the same for all processes of a boot."""
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
class Anchor:
    """Ties the monotonic clock of a boot to the date."""

    offset_ms: int
    """The date of its zero."""
    source: str
    """Who vouches for that: a stable word."""


Witness = Callable[[], Anchor | None]
"""Somebody who may know what time it is; None while he does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStep:
    """The wall clock jumped against the monotonic one."""

    by_ms: int
    """How far; negative means back."""
    adopted: bool
    """True when our dates jumped with it, just now."""
    told: bool = False
    """True when it was returned before: a leap that has held."""


class Dating:
    """Dates the stamps of this boot: the stamp plus an offset that somebody vouched for.

    Until then nothing has a date. From then on dates go on with the monotonic clock. They follow what is vouched for:
    a second or less quietly and never backwards, more as a step, of which the caller is told and in which no time
    passed. What nobody vouches for is told and not followed.
    """

    def __init__(self, clock: Clock, witnesses: Sequence[Witness], anchor: Anchor | None = None) -> None:
        """The first of `witnesses` that knows the time is believed; `anchor` is what was kept of this boot."""
        self._clock = clock
        self._witnesses = witnesses
        self._anchor = anchor
        self._heard: Anchor | None = None
        self._is_vouched = False
        self._seen_ms: int | None = None
        self._astray_ms = 0
        self._leap_since_ms: int | None = None

    @property
    def anchor(self) -> Anchor | None:
        """By what readings are dated now."""
        return self._anchor

    @property
    def trusted(self) -> bool:
        """True once readings can be dated."""
        return self._anchor is not None

    @property
    def vouched(self) -> bool:
        """True while somebody vouches for the time; dates go on without."""
        return self._is_vouched

    @property
    def astray_ms(self) -> int:
        """How far the wall clock is ahead of our dates by a step that was not followed; 0 when it is not."""
        return self._astray_ms

    def hear(self, anchor: Anchor) -> None:
        """Takes what somebody says once (a person, a receiver); it counts at the next look."""
        self._heard = anchor

    def observe(self) -> ClockStep | None:
        """Looks at the clocks and asks around; call it about once a second. Returns the step that was found, if any."""
        heard, self._heard = self._heard, None
        said = heard or next((said for witness in self._witnesses if (said := witness())), None)
        self._is_vouched = said is not None
        wall_ms = offset_ms(self._clock)
        seen_ms, self._seen_ms = self._seen_ms, wall_ms
        if self._anchor is None:
            self._anchor = said
            jumped_ms = 0 if seen_ms is None else wall_ms - seen_ms
            return ClockStep(by_ms=jumped_ms, adopted=False) if abs(jumped_ms) > STEP_MS else None
        if said is None:
            self._leap_since_ms = None
            return self._stray(wall_ms - self._anchor.offset_ms)
        return self._follow(self._anchor, said, is_sure=heard is not None)

    def date_ms(self, mono_ns: int) -> int | None:
        """The date of a stamp of this boot, None while the clock is not trusted."""
        return None if self._anchor is None else mono_ns // 1_000_000 + self._anchor.offset_ms

    def now_ms(self) -> int:
        """Now: our date, or what the wall clock says while it is not trusted."""
        dated = self.date_ms(self._clock.mono_ns())
        return self._clock.wall_ms() if dated is None else dated

    def _follow(self, anchor: Anchor, said: Anchor, *, is_sure: bool) -> ClockStep | None:
        by_ms = said.offset_ms - anchor.offset_ms
        if abs(by_ms) > LEAP_MS and not is_sure:
            return self._doubt(by_ms, said)
        self._leap_since_ms, self._astray_ms = None, 0
        if abs(by_ms) > STEP_MS:
            self._anchor = said
            return ClockStep(by_ms=by_ms, adopted=True)
        self._anchor = Anchor(offset_ms=anchor.offset_ms + max(by_ms, -SLEW_MS), source=said.source)
        return None

    def _doubt(self, by_ms: int, said: Anchor) -> ClockStep | None:
        """A leap: told when it is seen, and again when it has held for LEAP_HOLD_MS and is adopted."""
        now_ms = self._clock.mono_ns() // 1_000_000
        if self._leap_since_ms is None:
            self._leap_since_ms = now_ms
            return self._stray(by_ms)
        if now_ms - self._leap_since_ms < LEAP_HOLD_MS:
            return None
        self._leap_since_ms, self._astray_ms = None, 0
        self._anchor = said
        return ClockStep(by_ms=by_ms, adopted=True, told=True)

    def _stray(self, by_ms: int) -> ClockStep | None:
        """The wall clock is elsewhere and is not followed; told when that begins, or changes."""
        before_ms, self._astray_ms = self._astray_ms, by_ms if abs(by_ms) > STEP_MS else 0
        is_new = abs(self._astray_ms - before_ms) > STEP_MS and self._astray_ms != 0
        return ClockStep(by_ms=by_ms, adopted=False) if is_new else None


def offset_ms(clock: Clock) -> int:
    """What the wall clock says was the date of the monotonic zero."""
    before_ns = clock.mono_ns()
    wall_ms = clock.wall_ms()
    return wall_ms - (before_ns + clock.mono_ns()) // 2_000_000
