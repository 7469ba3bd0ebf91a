"""The requests that wait for a link."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from drivers.modbus.outcome import Outcome
from drivers.modbus.request import Request

WAIT_S = 30.0  # a call that could not go on the wire within this time is given up


class Priority(IntEnum):
    """Who goes first."""

    CONTROL = 0  # a write of a setpoint
    READ_BACK = 1  # the read that proves it
    FAST = 2  # polls of each period
    SLOW = 3  # what is read seldom
    SCAN = 4  # what a person looks for


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """A request with those who wait for its outcome."""

    request: Request
    priority: Priority
    timeout_s: float  # the longest wait for its answer
    deadline: float  # loop time until which it may go on the wire
    answers: "list[asyncio.Future[Outcome]]"
    not_before: float = 0.0  # loop time, of a call that is repeated
    tries: int = 0  # repetitions so far, of one that a busy unit refused
    is_second_try: bool = False  # of one whose connection was lost under it

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits."""
        return any(not answer.done() for answer in self.answers)

    def end(self, outcome: Outcome) -> None:
        """Tell everybody who still waits."""
        for answer in self.answers:
            if not answer.done():
                answer.set_result(outcome)

    def take_in(self, other: "Call") -> None:
        """Answer the callers of `other` too, by the claims of whoever has the stronger one."""
        self.priority = min(self.priority, other.priority)
        self.timeout_s = max(self.timeout_s, other.timeout_s)
        self.deadline = max(self.deadline, other.deadline)
        self.not_before = max(self.not_before, other.not_before)
        self.tries = max(self.tries, other.tries)
        self.answers += other.answers


class CallQueue:
    """By priority, then the unit whose last turn is longest ago, then by arrival. Who may not go yet is overtaken."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._earliest_deadline = math.inf  # of the calls, or earlier
        self._turns = 0
        self._last_turn: dict[int, int] = {}  # of each unit

    def __len__(self) -> int:
        return len(self._calls)

    def put(self, call: Call) -> None:
        """Add a call. A read that waits already is not asked twice: its answer serves both."""
        if call.request.reads:
            for waiting in self._calls:
                if waiting.request == call.request and waiting.wanted:
                    waiting.take_in(call)
                    return
        self._calls.append(call)
        self._earliest_deadline = min(self._earliest_deadline, call.deadline)

    def overdue(self, now: float) -> list[Call]:
        """Take out the calls whose deadline passed."""
        if now < self._earliest_deadline:
            return []
        late = [call for call in self._calls if call.deadline <= now]
        self._calls = [call for call in self._calls if call.deadline > now]
        self._earliest_deadline = min((call.deadline for call in self._calls), default=math.inf)
        return late

    def take(self, now: float, ready_at: Callable[[Call], float]) -> tuple[Call | None, float | None]:
        """The call that goes at `now`, or the time at which to look again; neither when nobody waits."""
        best: Call | None = None
        again: float | None = None
        for call in self._calls[:]:
            if not call.wanted:
                self._calls.remove(call)
                continue
            ready = ready_at(call)
            if ready > now:
                again = min(ready, call.deadline, math.inf if again is None else again)
            elif best is None or self._rank(call) < self._rank(best):
                best = call
        if best is None:
            return None, again
        self._calls.remove(best)
        self._turns += 1
        self._last_turn[best.request.unit] = self._turns
        return best, None

    def clear(self) -> list[Call]:
        """Take everything."""
        calls, self._calls = self._calls, []
        return calls

    def _rank(self, call: Call) -> tuple[int, int]:
        return call.priority, self._last_turn.get(call.request.unit, 0)
