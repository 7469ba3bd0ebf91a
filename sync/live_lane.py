"""The newest values, beside the streams: without number, flagged, and the first thing that is left out."""

from collections.abc import Callable
from math import inf
from typing import Final

UNWANTED_S: Final = 3600.0
"""How long a receiver that takes no live values is left alone."""


class LiveLane:
    """When to show the newest values: each `every_ms`, or never without it."""

    def __init__(self, every_ms: int | None = None) -> None:
        self.newest: Callable[[], bytes] | None = None
        """The newest values as one JSON object; set before the forwarder runs."""
        self._every_s = (every_ms or 0) / 1000
        self.due_at = inf if every_ms is None else -inf
        """Loop time."""
        self.shown = 0
        self.dropped = 0
        """Those that could not be shown in their turn; they are gone."""

    def took(self, now: float) -> None:
        self.shown += 1
        self.due_at = now + self._every_s

    def drop(self, now: float, *, unwanted: bool = False) -> None:
        self.dropped += 1
        self.due_at = now + (UNWANTED_S if unwanted else self._every_s)
