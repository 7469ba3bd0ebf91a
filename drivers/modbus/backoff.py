"""Waiting times between attempts at something that fails."""

from collections.abc import Callable

_JITTER = 0.2


class BackOff:
    """`first_s`, doubled each time up to `last_s`, 20 % more or less: who fell together does not knock together."""

    def __init__(self, random: Callable[[], float], *, first_s: float, last_s: float) -> None:
        """`random` gives numbers in [0, 1)."""
        self._random = random
        self._first_s = self._next_s = first_s
        self._last_s = last_s

    def next_s(self) -> float:
        """How long to wait before the next attempt."""
        step_s = self._next_s
        self._next_s = min(2 * step_s, self._last_s)
        return step_s * (1 + _JITTER * (2 * self._random() - 1))

    def reset(self) -> None:
        """It worked: start anew."""
        self._next_s = self._first_s
