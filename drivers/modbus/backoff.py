"""Waiting times between attempts to connect."""

from collections.abc import Callable

_FIRST_S, _LAST_S = 1.0, 60.0
_JITTER = 0.2


class BackOff:
    """1, 2, 4 … 60 s, each 20 % more or less, so that links that fell together do not knock together."""

    def __init__(self, random: Callable[[], float]) -> None:
        """`random` gives numbers in [0, 1)."""
        self._random = random
        self._next_s = _FIRST_S

    def next_s(self) -> float:
        """How long to wait before the next attempt."""
        step_s = self._next_s
        self._next_s = min(2 * step_s, _LAST_S)
        return step_s * (1 + _JITTER * (2 * self._random() - 1))

    def reset(self) -> None:
        """The endpoint answered: start anew."""
        self._next_s = _FIRST_S
