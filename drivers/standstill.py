"""Standstill: whether a device that answers says anything new."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from drivers.point import Point
from drivers.profile_tables import Frozen
from ext import Quality


class Standstill:
    """Watches the heartbeat of a profile, or all its live numbers while one of its powers is not zero."""

    def __init__(self, points: Sequence[Point], frozen: Frozen) -> None:
        live = [index for index, point in enumerate(points) if point.poll == "live" and not point.is_text]
        self._after_ns = frozen.after_s * 1_000_000_000
        self._watched = [index for index in live if frozen.heartbeat in (None, points[index].name)]
        self._needs_power = frozen.heartbeat is None
        self._powers = [index for index in live if points[index].quantity == "power"]
        self._seen = b""
        self._since_ns = 0

    def lasts(self, values: array[float], quality: array[int], mono_ns: int) -> bool:
        """True when the device has stood still for as long as its profile says. To be told of every poll."""
        seen = array("d", [values[index] for index in self._watched]).tobytes()
        if seen != self._seen or all(quality[index] != Quality.OK for index in self._watched):
            self._seen, self._since_ns = seen, mono_ns
            return False
        has_power = any(quality[index] == Quality.OK and values[index] != 0 for index in self._powers)
        return (has_power or not self._needs_power) and mono_ns - self._since_ns >= self._after_ns
