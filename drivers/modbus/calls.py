"""The requests that wait for a link."""

import asyncio
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from drivers.modbus.outcome import Outcome
from drivers.modbus.request import Request


class Priority(IntEnum):
    """Who goes first."""

    CONTROL = 0  # a write of a setpoint
    READ_BACK = 1  # the read that proves it
    POLL = 2


@dataclass(order=True, slots=True, kw_only=True)
class Call:
    """A request with the one who waits for its outcome."""

    priority: Priority
    order: int  # of arrival
    request: Request = field(compare=False)
    timeout_s: float = field(compare=False)
    answer: "asyncio.Future[Outcome]" = field(compare=False)


class CallQueue:
    """By priority, then by arrival; calls that may not go yet are overtaken, abandoned ones dropped."""

    def __init__(self) -> None:
        self._calls: list[Call] = []

    def __len__(self) -> int:
        return len(self._calls)

    def put(self, call: Call) -> None:
        insort(self._calls, call)

    def take(self, now: float, ready_at: Callable[[Request], float]) -> tuple[Call | None, float | None]:
        """The first call that may go at `now`, or the time from which one may; neither when all is done."""
        self._calls = [call for call in self._calls if not call.answer.done()]
        earliest: float | None = None
        for index, call in enumerate(self._calls):
            ready = ready_at(call.request)
            if ready <= now:
                return self._calls.pop(index), None
            earliest = ready if earliest is None else min(earliest, ready)
        return None, earliest

    def clear(self) -> list[Call]:
        """Take everything."""
        calls, self._calls = self._calls, []
        return calls
