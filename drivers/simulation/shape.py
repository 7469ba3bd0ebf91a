"""How the power of a simulated device goes over a day."""

from __future__ import annotations

import math
import random

from drivers.profile_tables import Shape

_BACK_FLOW = -0.3  # of the top power, at noon, where a meter can count it
_CLOUDS = 96  # a day
_PULSES = 48  # a day, on for half of the time
_SESSIONS = ((0.30, 0.50), (0.70, 0.95))  # charging, in parts of a day


class DayShape:
    """Power as a share of the top power, from -1 to 1, by the time of day."""

    def __init__(self, shape: Shape, *, seed: int, back_flow: bool = False) -> None:
        """`seed` draws the clouds; with `back_flow` an evening load gives power back at noon."""
        chance = random.Random(seed)
        self._level = {
            "sun": self._sun,
            "steady": self._steady,
            "evening": self._evening,
            "charging": self._charging,
            "pulse": self._pulse,
        }[shape]
        self._clouds = [1 - 0.4 * chance.random() ** 2 for _ in range(_CLOUDS)]
        self._noon = _BACK_FLOW if back_flow else 0.1

    def level(self, days: float) -> float:
        """The share at `days` since a midnight; the integer part is the number of the day."""
        return self._level(days % 1.0)

    def _sun(self, day: float) -> float:
        height = math.sin(2 * math.pi * (day - 0.25))  # up from six to six
        return max(height, 0.0) * self._clouds[int(day * _CLOUDS) % _CLOUDS]

    def _steady(self, day: float) -> float:
        return 1.0

    def _evening(self, day: float) -> float:
        noon = math.exp(-(((day - 0.5) / 0.08) ** 2))
        evening = math.exp(-(((day - 0.8) / 0.06) ** 2))
        return 0.2 + 0.8 * evening + (self._noon - 0.2) * noon

    def _charging(self, day: float) -> float:
        for begin, end in _SESSIONS:
            if begin <= day < end:
                share = (day - begin) / (end - begin)
                return 1.0 if share < 0.7 else 1.0 - 0.9 * (share - 0.7) / 0.3  # the battery fills up
        return 0.0

    def _pulse(self, day: float) -> float:
        return 1.0 if day * _PULSES % 1.0 < 0.5 else 0.0
