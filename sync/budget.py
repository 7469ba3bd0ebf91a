"""Bytes a day, hard: nothing begins that could go beyond it, also after a restart."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from sync.outbox import Outbox
from sync.transports.base import Transport

OVERHEAD_BYTES: Final = 24 * 1024
"""The most that one exchange costs beside the bodies that it sends: connection, heads, the longest answer."""
_STEPS: Final = 50
"""A day's budget is noted on disk in so many steps."""
_DAY_S: Final = 86_400
_LONGEST_WAIT_S: Final = 600.0
"""The clock may be set: so the day is looked at again now and then."""

URGENT: Final = 1.0
DUTY: Final = 0.95
LIVE: Final = 0.8
KNOCK: Final = 0.5
"""How much of the day each may use; what is left is for those above it."""


class Budget:
    """What may still be sent on this UTC day; without a limit, anything.

    On disk stands a step more than was spent, so that a crash costs some of the budget and never breaks it.
    """

    def __init__(self, limit_bytes: int | None, outbox: Outbox, now_ms: Callable[[], int]) -> None:
        self._limit_bytes = limit_bytes
        self._outbox = outbox
        self._now_ms = now_ms
        self._day: str | None = None
        self._spent_bytes = 0
        self._noted_bytes = 0

    async def room_bytes(self, share: float) -> int | None:
        """How many bytes of bodies one exchange may send now, None for any number. Raises OutboxFailed."""
        if self._limit_bytes is None:
            return None
        await self._turn_day()
        return max(int(self._limit_bytes * share) - self._spent_bytes - OVERHEAD_BYTES, 0)

    @asynccontextmanager
    async def spending(self, size_bytes: int, transport: Transport) -> AsyncIterator[None]:
        """Around one exchange with bodies of this size. Raises OutboxFailed before it begins."""
        most_bytes = self._spent_bytes + size_bytes + OVERHEAD_BYTES
        if self._limit_bytes is not None and most_bytes > self._noted_bytes:
            self._noted_bytes = most_bytes + self._limit_bytes // _STEPS
            await self._outbox.note_spent(self._today(), self._noted_bytes)
        before_bytes = transport.wire_bytes
        try:
            yield
        finally:
            self._spent_bytes += transport.wire_bytes - before_bytes

    def wait_s(self) -> float:
        """How long to wait before asking again when there is no room."""
        return min(_DAY_S - self._now_ms() / 1000 % _DAY_S, _LONGEST_WAIT_S)

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"limit_bytes": self._limit_bytes, "spent_bytes": self._spent_bytes}

    async def _turn_day(self) -> None:
        if self._day is None:
            self._day, self._spent_bytes = await self._outbox.spent()
            self._noted_bytes = self._spent_bytes
        if self._day != self._today():
            self._day, self._spent_bytes, self._noted_bytes = self._today(), 0, 0

    def _today(self) -> str:
        return time.strftime("%Y-%m-%d", time.gmtime(self._now_ms() / 1000))
