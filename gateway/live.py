"""What is known right now: the newest reading of each device and an hour of its power, in memory."""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal

from drivers.device import Reading
from drivers.profile import Profile
from drivers.units import MILLI
from ext.quality import Quality

_SILENCE = (Quality.TIMEOUT, Quality.LINK_DOWN)

HISTORY_STEP_MS = 5_000
HISTORY_STEPS = 3_600_000 // HISTORY_STEP_MS

State = Literal["ok", "late", "silent", "never", "disconnected", "asleep", "frozen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A device as the site knows it."""

    name: str
    link: str
    unit: int
    role: str
    period_ms: int
    profile_name: str
    profile: Profile


@dataclass(slots=True, kw_only=True)
class LiveDevice:
    """The newest of one device."""

    place: Place
    power_index: int | None
    """Column of the point that stands for the device's power, None when it has none."""
    main_register: str | None
    """The first register of the ledger, whose energy stands for the device."""
    reading: Reading | None = None
    answered_ns: int | None = None
    """Monotonic stamp of the last reading in which anything answered."""
    slept_ns: int | None = None
    """Monotonic stamp of our start when it was asleep then; it has not answered since."""
    last_power_W: float | None = None
    """The last power that was measured, however long ago."""
    measured_ns: int | None = None
    """Monotonic stamp of the reading with that power."""
    power_W: array[float] = field(default_factory=lambda: array("d", [math.nan]) * HISTORY_STEPS)
    """Ring of the last hour; NaN where nothing was measured."""

    def state(self, now_ns: int) -> State:
        """How the device is, in one word.

        It answers: ok, frozen (always the same), or asleep (with nothing that counts). It has not for three periods:
        asleep, disconnected (its link is down), late, silent (for a minute or ten periods). It never has:
        disconnected, silent, never (not tried).
        """
        if self.reading is None:
            return "never"
        is_cut_off = Quality.LINK_DOWN in self.reading.quality
        if self.answered_ns is None:
            if self._slept_on(now_ns):
                return "asleep"
            return "disconnected" if is_cut_off else "silent"
        age_ms = (now_ns - self.answered_ns) // 1_000_000
        period_ms = self.place.period_ms
        if age_ms <= 3 * period_ms + 1000:
            if self._drowses(now_ns):
                return "asleep"
            return "frozen" if Quality.FROZEN in self.reading.quality else "ok"
        if self._may_sleep(age_ms):
            return "asleep"
        if is_cut_off:
            return "disconnected"
        return "late" if age_ms <= max(60_000, 10 * period_ms) else "silent"

    def _drowses(self, now_ns: int) -> bool:
        """True when it answers without a power that counts ("none", always the same), and its kind does so at night."""
        if self.measured_ns is None:
            return self._slept_on(now_ns)
        silent_ms = (now_ns - self.measured_ns) // 1_000_000
        return silent_ms > 3 * self.place.period_ms + 1000 and self._may_sleep(silent_ms)

    def _slept_on(self, now_ns: int) -> bool:
        sleep = self.place.profile.sleep
        if sleep is None or self.slept_ns is None:
            return False
        return now_ns - self.slept_ns <= sleep.longest_h * 3_600_000_000_000

    def _may_sleep(self, silent_ms: int) -> bool:
        """True when silence of this length is no fault: the product sleeps, and its power was going down."""
        sleep = self.place.profile.sleep
        if sleep is None or self.last_power_W is None:
            return False
        return abs(self.last_power_W) < sleep.below_W and silent_ms <= sleep.longest_h * 3_600_000

    def measured_power_W(self) -> float | None:
        """The device's power in the newest reading, None when it was not measured."""
        value = self.value(self.power_index)
        if value is None or self.power_index is None:
            return None
        return value * MILLI[self.place.profile.points[self.power_index].unit] / 1000

    def qualities(self, now_ns: int, implausible: Collection[str]) -> list[Quality]:
        """Why each point has, or has not, a value now; `implausible` names the registers that the ledger doubts."""
        points = self.place.profile.points
        if self.reading is None:
            return [Quality.UNREAD] * len(points)
        found = [Quality(quality) for quality in self.reading.quality]
        state = self.state(now_ns)
        if state == "asleep":
            return [Quality.ASLEEP if quality in (*_SILENCE, Quality.OK) else quality for quality in found]
        if state not in ("ok", "frozen"):
            return [Quality.STALE if quality == Quality.OK else quality for quality in found]
        return [
            Quality.IMPLAUSIBLE if quality == Quality.OK and point.name in implausible else quality
            for point, quality in zip(points, found, strict=True)
        ]

    def value(self, index: int | None) -> float | None:
        """Display value of a point, None unless it was measured in the newest reading."""
        if index is None or self.reading is None or self.reading.quality[index] != Quality.OK:
            return None
        return self.reading.values[index]


class Live:
    """The newest of every device of the site."""

    def __init__(self, places: Iterable[Place]) -> None:
        self.devices = {
            place.name: LiveDevice(
                place=place, power_index=power_point(place.profile), main_register=main_register(place.profile)
            )
            for place in places
        }
        self._slot = -1

    def resume(self, asleep: Iterable[str], now_ns: int) -> None:
        """These devices were asleep when the gateway stopped; `now_ns` it starts again."""
        for name in asleep:
            if name in self.devices:
                self.devices[name].slept_ns = now_ns

    def take(self, reading: Reading) -> None:
        """Takes a reading in; older ones of the same device are forgotten."""
        device = self.devices[reading.device]
        device.reading = reading
        if reading.is_answer:
            device.answered_ns = reading.mono_ns
        self._advance(reading.mono_ns // 1_000_000 // HISTORY_STEP_MS)
        power_W = device.measured_power_W()
        if power_W is not None:
            device.last_power_W = power_W
            device.measured_ns = reading.mono_ns
            device.power_W[self._slot % HISTORY_STEPS] = power_W

    def power_W(self, name: str, now_ns: int) -> float | None:
        """Power of a device now; None when it is not being measured."""
        device = self.devices[name]
        return device.measured_power_W() if device.state(now_ns) == "ok" else None

    def asleep(self, now_ns: int) -> frozenset[str]:
        """The devices whose silence is no fault."""
        return frozenset(name for name, device in self.devices.items() if device.state(now_ns) == "asleep")

    def history(self, name: str, minutes: int, now_ms: int) -> tuple[list[int], list[float | None]]:
        """The last minutes of a device's power: times (ms since the epoch) and watts, None for gaps."""
        ring = self.devices[name].power_W
        steps = min(HISTORY_STEPS, max(1, minutes * 60_000 // HISTORY_STEP_MS))
        times = [now_ms - (steps - 1 - k) * HISTORY_STEP_MS for k in range(steps)]
        values = (ring[(self._slot - steps + 1 + k) % HISTORY_STEPS] for k in range(steps))
        return times, [None if math.isnan(value) else value for value in values]

    def _advance(self, slot: int) -> None:
        """Moves all rings on to `slot`; what is skipped was not measured."""
        if self._slot < 0:
            self._slot = slot
        for step in range(self._slot + 1, min(slot, self._slot + HISTORY_STEPS) + 1):
            for device in self.devices.values():
                device.power_W[step % HISTORY_STEPS] = math.nan
        self._slot = max(slot, self._slot)


def power_point(profile: Profile) -> int | None:
    """Column of the point that stands for a product's power: what its first counter or integral is the sum of."""
    names = [point.name for point in profile.points]
    for point in profile.points:
        if point.counter and point.counter.power:
            return names.index(point.counter.power)
    for index, point in enumerate(profile.points):
        if point.integrate or point.quantity == "power":
            return index
    return None


def main_register(profile: Profile) -> str | None:
    """Name of a product's first energy register that is no part of another one; None when it has none."""
    energies = ((point.name, point.counter or point.integrate) for point in profile.points)
    return next((name for name, energy in energies if energy and not energy.part_of), None)
