"""Power and energy of a simulated device, in integers that lose nothing.

Power stands still within a step and is a whole number of milliwatts that the device's register can show
exactly, so the energy between two instants is a sum of products of integers.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Protocol

from drivers.codec import encode_bits, encode_raw
from drivers.point import Point
from drivers.simulation.shape import DayShape
from ext import float_canonical

_MWH = 3_600 * 10**9  # milliwatt-nanoseconds in a milliwatt-hour
_NEGATIVE_FLOWS = ("export", "discharge")


class Drive:
    """A power that follows a shape, and its integral, positive and negative power apart."""

    def __init__(self, shape: DayShape, *, top_mW: int, quantum_mW: int = 1, signed: bool = True) -> None:
        """The power is a multiple of `quantum_mW`, and not below zero unless `signed`."""
        self.top_mW = round(top_mW / quantum_mW) * quantum_mW
        self.power_mW = 0
        self.positive = 0  # milliwatt-nanoseconds since the start
        self.negative = 0
        self.variation_mW = 0  # sum of all changes of the power: what sampling it can miss
        self._shape = shape
        self._quantum_mW = quantum_mW
        self._signed = signed

    def step(self, days: float) -> None:
        """Take the power of this time of day."""
        power_mW = round(self._shape.level(days) * self.top_mW / self._quantum_mW) * self._quantum_mW
        self._change_to(power_mW if self._signed else max(power_mW, 0))

    def rest(self) -> None:
        """Stand still."""
        self._change_to(0)

    def _change_to(self, power_mW: int) -> None:
        self.variation_mW += abs(power_mW - self.power_mW)
        self.power_mW = power_mW

    def run(self, duration_ns: int) -> None:
        """Let time pass at this power."""
        if self.power_mW >= 0:
            self.positive += self.power_mW * duration_ns
        else:
            self.negative -= self.power_mW * duration_ns


class EnergyRegister(Protocol):
    """A point that moves with a drive."""

    point: Point

    @property
    def words(self) -> list[int]:
        """What the registers show now."""
        ...

    @property
    def raw(self) -> int:
        """The raw count that a reader makes of it (floats: mW or mWh)."""
        ...

    @property
    def mark(self) -> int:
        """How much energy was shown so far; what it counts in is the register's own business."""
        ...

    @property
    def variation_mW(self) -> int:
        """Sum of all changes of the power behind it so far."""
        ...

    def energy_mWh(self, first: int, last: int) -> int:
        """The energy between two marks."""
        ...


def count_size(point: Point, exponent: int) -> Fraction:
    """Milliwatts or milliwatt-hours in one count, without the sign, with `exponent` in the scale register."""
    if point.canonical is None:
        raise ValueError(f"point '{point.name}' has no unit of power or energy")
    return abs(point.canonical) * Fraction(10) ** exponent


class PowerRegister:
    """A power point. Its energy is that of positive power, to the nearest milliwatt-hour."""

    def __init__(self, point: Point, exponent: int, drive: Drive) -> None:
        """CodecError when the register cannot show the drive's top power."""
        self.point = point
        self._drive = drive
        self._count_mW = count_size(point, exponent)
        encode_raw(point, self._raw(drive.top_mW))

    @property
    def words(self) -> list[int]:
        return encode_raw(self.point, self.raw)

    @property
    def raw(self) -> int:
        return self._raw(self._drive.power_mW)

    @property
    def mark(self) -> int:
        return self._drive.positive

    @property
    def variation_mW(self) -> int:
        return self._drive.variation_mW

    def energy_mWh(self, first: int, last: int) -> int:
        return round(Fraction(last - first, _MWH))

    def _raw(self, power_mW: int) -> int:
        return power_mW if self.point.is_float else self.point.sign * round(power_mW / self._count_mW)


class CounterRegister:
    """An energy point that counts one direction of a drive, exactly."""

    def __init__(self, point: Point, exponent: int, drive: Drive, start: int) -> None:
        """`start` is the first raw count (floats: mWh)."""
        self.point = point
        self._drive = drive
        self._negative = point.counter is not None and point.counter.flow in _NEGATIVE_FLOWS
        self._count_mWh = Fraction(1) if point.is_float else count_size(point, exponent)
        self._start = start
        self._modulus = point.counter_modulus or 1 << 16 * point.words - point.is_signed

    @property
    def words(self) -> list[int]:
        return encode_bits(self.point, self.mark) if self.point.is_float else encode_raw(self.point, self.raw)

    @property
    def raw(self) -> int:
        return self._float_mWh(self.mark) if self.point.is_float else self.mark % self._modulus

    @property
    def mark(self) -> int:
        """Counts since ever, without wraps; of a float the bits as served, since they are the truth."""
        energy = self._drive.negative if self._negative else self._drive.positive
        count = self._count_mWh
        counts = self._start + energy * count.denominator // (count.numerator * _MWH)
        return self._float_bits(counts) if self.point.is_float else counts

    @property
    def variation_mW(self) -> int:
        return self._drive.variation_mW

    def energy_mWh(self, first: int, last: int) -> int:
        if self.point.is_float:
            return self._float_mWh(last) - self._float_mWh(first)
        return round((last - first) * self._count_mWh)

    def _float_bits(self, energy_mWh: int) -> int:
        code = ">f" if self.point.words == 2 else ">d"
        return int.from_bytes(struct.pack(code, float(energy_mWh / count_size(self.point, 0))), "big")

    def _float_mWh(self, bits: int) -> int:
        size = count_size(self.point, 0)
        return float_canonical(bits, 16 * self.point.words, size.numerator, size.denominator)[0]
