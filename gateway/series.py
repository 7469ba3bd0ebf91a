"""Series: readings into rollups and raw series; what is ready rides in the recorder's next commit."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from drivers.device import Reading
from gateway.store.series import raw, rollups
from gateway.store.series.raw import Readings
from gateway.store.series.rollups import DAY_MS, MINUTE_MS, WINDOW_MS
from gateway.store.series.sample import Samples, merge, of_values

SETTLE_MS: Final = 2_000
"""How long after its end a stretch is written: by then its last readings have come."""
MOST_WINDOWS: Final = 24
"""Rollups of two hours are kept while nothing can be written; older ones become a gap."""
MOST_VALUES: Final = 1_000_000
"""The same for raw series: about nine megabytes."""


class Channels(NamedTuple):
    """The points of a device that have a series."""

    points: Sequence[int]
    """Columns of its readings."""
    numbers: Sequence[int]
    """The channel of each, ascending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How long series are kept."""

    minutes_ms: int = 30 * DAY_MS
    quarters_ms: int = 730 * DAY_MS
    raw_ms: int = 0
    """0: no raw series."""
    raw_bytes_per_day: int = 0
    """Budget of raw series; what is more is not kept that day."""


class Work(NamedTuple):
    """What is to be written in one transaction."""

    now_ms: int
    windows: Sequence[tuple[int, Mapping[int, Samples]]]
    readings: Sequence[Readings]
    keeping: Keeping

    def write(self, conn: sqlite3.Connection) -> raw.Day | None:
        """Writes it and takes away what is too old, in the caller's transaction; None without raw series."""
        for begin_ms, samples in self.windows:
            rollups.save(conn, begin_ms, samples)
        rollups.fold(conn, self.now_ms)
        keeping = self.keeping
        rollups.expire(conn, self.now_ms, minutes_kept_ms=keeping.minutes_ms, quarters_kept_ms=keeping.quarters_ms)
        raw.expire(conn, self.now_ms, keeping.raw_ms)
        return raw.save(conn, self.now_ms, self.readings, keeping.raw_bytes_per_day) if keeping.raw_ms else None


class Series:
    """Of all devices. Readings come in by `take`, in the order of their dates."""

    def __init__(self, devices: Mapping[str, Channels], keeping: Keeping) -> None:
        self.keeping = keeping
        self.raw_today: raw.Day | None = None
        """As of the last commit; None without raw series."""
        self._devices = {name: _Device(channels) for name, channels in devices.items() if channels.points}
        self._windows: dict[int, dict[int, Samples]] = {}
        self._unwritten: list[tuple[int, dict[int, Samples]]] = []
        self._unwritten_raw: list[Readings] = []

    def take(self, reading: Reading, t_ms: int) -> None:
        """Takes a dated reading in."""
        device = self._devices.get(reading.device)
        if device is None:
            return
        if t_ms // MINUTE_MS != device.minute:
            self._close(device)
            device.minute = t_ms // MINUTE_MS
        device.width = len(reading.values)
        device.values.extend(reading.values)
        if self.keeping.raw_ms:
            device.t_ms.append(t_ms)
            device.raw_values.extend(reading.values)
            device.quality.extend(reading.quality)

    def work(self, now_ms: int, *, everything: bool, with_raw: bool = True) -> Work:
        """What is ready, or `everything`; the caller writes it and calls `written`, or asks again later.

        Without raw series, those that came since the last commit are given up.
        """
        over_ms = now_ms if everything else now_ms - SETTLE_MS
        for device in self._devices.values():
            if everything or (device.minute + 1) * MINUTE_MS <= over_ms:
                self._close(device)
            if device.t_ms:
                self._unwritten_raw.append(device.take_raw())
        ready = sorted(begin_ms for begin_ms in self._windows if everything or begin_ms + WINDOW_MS <= over_ms)
        self._unwritten += [(begin_ms, self._windows.pop(begin_ms)) for begin_ms in ready]
        del self._unwritten[:-MOST_WINDOWS]
        if not with_raw:
            self._unwritten_raw.clear()
        while sum(len(readings.values) for readings in self._unwritten_raw) > MOST_VALUES:
            del self._unwritten_raw[0]
        return Work(now_ms, tuple(self._unwritten), tuple(self._unwritten_raw), self.keeping)

    def written(self, day: raw.Day | None) -> None:
        """What `work` gave last is durable."""
        self.raw_today = day
        self._unwritten.clear()
        self._unwritten_raw.clear()

    def _close(self, device: _Device) -> None:
        """The minute of a device is over."""
        number, begin_ms = device.minute % (WINDOW_MS // MINUTE_MS), device.minute * MINUTE_MS // WINDOW_MS * WINDOW_MS
        for channel, values in device.take_columns():
            sample = of_values(values)
            if sample is not None:
                merge(self._windows.setdefault(begin_ms, {}).setdefault(channel, {}), {number: sample})


@dataclass(slots=True)
class _Device:
    """What came in of one device."""

    channels: Channels
    width: int = 0
    """Points of a reading."""
    minute: int = 0
    values: array[float] = field(default_factory=lambda: array("d"))
    """Of this minute, reading by reading."""
    t_ms: array[int] = field(default_factory=lambda: array("q"))
    """Of the raw series, since the last commit."""
    raw_values: array[float] = field(default_factory=lambda: array("d"))
    quality: array[int] = field(default_factory=lambda: array("B"))

    def take_columns(self) -> Iterator[tuple[int, array[float]]]:
        """Gives away the values of the minute, by channel."""
        taken, self.values = self.values, array("d")
        if taken:
            width = self.width
            for point, number in zip(self.channels.points, self.channels.numbers, strict=True):
                yield number, taken[point::width]

    def take_raw(self) -> Readings:
        """Gives away the raw series."""
        points, numbers = self.channels
        count, width = len(points) * len(self.t_ms), self.width
        values, quality = array("d", bytes(8 * count)), array("B", bytes(count))
        for at, point in enumerate(points):
            values[at :: len(points)] = self.raw_values[point::width]
            quality[at :: len(points)] = self.quality[point::width]
        taken = Readings(numbers, self.t_ms, values, quality)
        self.t_ms, self.raw_values, self.quality = array("q"), array("d"), array("B")
        return taken
