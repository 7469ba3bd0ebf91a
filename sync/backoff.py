"""Waiting after failures: a window that doubles up to a cap, and a random point in it (full jitter)."""

from dataclasses import dataclass
from random import Random
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient to be with one class of failure."""

    base_s: float
    """Window after the first failure."""
    cap_s: float
    """Window after many."""


LONGEST_RETRY_AFTER_S: Final = 3600.0
"""A longer wait asked for by the other side is not believed."""

_MOST_DOUBLINGS = 32


class Backoff:
    """Counts consecutive failures of one thing and says how long to wait after each."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._failures = 0

    def reset(self) -> None:
        """The thing works again: the next failure is a first one."""
        self._failures = 0

    def next_s(self, pace: Pace, retry_after_s: float | None = None) -> float:
        """Seconds to wait after one more failure.

        A wait asked for by the other side comes before the random one: many gateways told the same must not
        come back together.
        """
        window_s = min(pace.cap_s, pace.base_s * 2 ** min(self._failures, _MOST_DOUBLINGS))
        self._failures += 1
        asked_s = min(max(retry_after_s or 0.0, 0.0), LONGEST_RETRY_AFTER_S)
        return asked_s + self._random.uniform(0.0, window_s)
