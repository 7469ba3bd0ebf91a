"""Alarms: what a person should know, with its date, until it is stored."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gateway.clock import EARLIEST_MS, Clock, Dating

log = logging.getLogger("huxi.alarms")

CLOCK_STEP: Final = "clock_step"
REPEAT_MS: Final = 3_600_000
"""A device that talks nonsense gives an alarm, not a flood of them."""
STEP_REPEAT_MS: Final = 10_000
"""Each step of the clock is an event of its own, as long as it does not jump all the time."""


class Stamp(NamedTuple):
    """When something was that cannot be dated."""

    boot: str
    mono_ms: int
    """Since the boot."""
    wall_ms: int
    """What the wall clock said, for which nobody vouched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something a person should know."""

    t_ms: int
    """Its date; without one, what it cannot be older than."""
    what: str
    device: str
    text: str
    undated: Stamp | None = None

    def to_meta(self) -> dict[str, Any]:
        """The meta of its record."""
        said = {"t_ms": self.t_ms, "what": self.what, "device": self.device, "text": self.text}
        return said if self.undated is None else {**said, "undated": self.undated._asdict()}


class Alarms:
    """Those that are not stored yet, in their order."""

    def __init__(self, *, dating: Dating, clock: Clock, boot: str, newest_ms: Callable[[], int]) -> None:
        """`newest_ms` gives the newest date that is stored."""
        self.waiting: list[Alarm] = []
        self.left_undated = False
        """True once there was one without a date."""
        self._dating = dating
        self._clock = clock
        self._boot = boot
        self._newest_ms = newest_ms
        self._told_ms: dict[tuple[str, str], int] = {}

    def add(self, what: str, device: str, text: str) -> None:
        """Takes an alarm; the same of one device once an hour at most, but each step of the clock."""
        mono_ms = self._clock.mono_ns() // 1_000_000
        told_ms = self._told_ms.get((what, device))
        repeat_ms = STEP_REPEAT_MS if what == CLOCK_STEP else REPEAT_MS
        if told_ms is not None and mono_ms - told_ms < repeat_ms:
            return
        self._told_ms[what, device] = mono_ms
        log.warning("alarm raised what=%s device=%s text=%s", what, device, text)
        t_ms, stamp = self._dating.date_ms(mono_ms * 1_000_000), None
        if t_ms is None:
            t_ms = max(EARLIEST_MS, self._newest_ms())
            stamp = Stamp(self._boot, mono_ms, self._clock.wall_ms())
            self.left_undated = True
        self.waiting.append(Alarm(t_ms=t_ms, what=what, device=device, text=text, undated=stamp))
