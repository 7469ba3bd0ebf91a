"""One timer for whatever has to be looked at next."""

import asyncio
from collections.abc import Callable


class Alarm:
    """Rings at the earliest time that was asked for, or before: an alarm that rings early costs less than a new one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0

    def set(self, at: float) -> None:
        """Ring at the loop time `at` or before."""
        if self._timer is not None:
            if self._at <= at:
                return
            self._timer.cancel()
        self._at = at
        self._timer = self._loop.call_at(at, self._ringing)

    def cancel(self) -> None:
        """Do not ring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ringing(self) -> None:
        self._timer = None
        self._ring()
