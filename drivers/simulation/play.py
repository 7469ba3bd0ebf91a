"""What moves in a simulated device: drives and the registers that show them, made from a profile."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from drivers.errors import DriverError
from drivers.point import Point
from drivers.profile import Profile
from drivers.profile_tables import Shape
from drivers.simulation.energy import CounterRegister, Drive, EnergyRegister, PowerRegister, count_size
from drivers.simulation.shape import DayShape

_NEGATIVE_FLOWS = {"export", "discharge"}
_LOAD_SHAPES = ("evening", "charging", "pulse")


class Play(NamedTuple):
    """What moves, and where it shows."""

    drives: list[Drive]
    registers: list[EnergyRegister]


def make_play(
    profile: Profile, *, shape: Shape | None, power_W: int | None, start: Mapping[str, int], seed: int
) -> Play:
    """All live powers move in proportion to their examples, the main one up to `power_W`.

    The main power is the largest that is counted or integrated. Powers that only generate follow the sun
    where `shape` is that of a load. A counter without a power of its own counts the main one. `start` holds
    first raw counts by point (floats: mWh); the others start at their example. DriverError when the profile
    cannot be played so.
    """
    if profile.simulate is not None:
        shape = shape or profile.simulate.shape
        power_W = power_W or profile.simulate.power_W
    if shape is None or power_W is None:
        raise DriverError(f"profile {profile.name} has no [simulate] table: give a shape and a power in W")
    counters = [point for point in profile.points if point.counter is not None]
    _check_start(profile, counters, start)
    powers = [point for point in profile.points if point.quantity == "power" and point.poll == "live"]
    main = _main(powers, counters)
    flows = _flows(counters, main)
    back_flow = any(of_power & _NEGATIVE_FLOWS for of_power in flows.values())
    shapes = {one: DayShape(one, seed=seed, back_flow=back_flow) for one in (shape, "sun")}
    drives: dict[str, Drive] = {}
    for point in powers:
        sunny = flows.get(point.name) == {"generation"} and shape in _LOAD_SHAPES
        drives[point.name] = Drive(
            shapes["sun" if sunny else shape],
            top_mW=round(power_W * 1000 * _share(point, main)),
            quantum_mW=count_size(point, exponent_of(profile, point)).numerator,
            signed=point.is_signed or point.is_float,
        )
    if main is None:
        drives[""] = Drive(shapes[shape], top_mW=power_W * 1000)
    registers: list[EnergyRegister] = [
        PowerRegister(point, exponent_of(profile, point), drives[point.name]) for point in powers
    ]
    for point in counters:
        exponent = exponent_of(profile, point)
        first = start.get(point.name, _example_count(point, exponent))
        registers.append(CounterRegister(point, exponent, drives[_power_of(point, main)], first))
    return Play(list(drives.values()), registers)


def exponent_of(profile: Profile, point: Point) -> int:
    """The power of ten that the example of the point's scale register stands for; 0 without one."""
    if point.scale_register is None:
        return 0
    return point.exponent(int(profile.points[profile.index(point.scale_register)].example or 0))


def _check_start(profile: Profile, counters: list[Point], start: Mapping[str, int]) -> None:
    names = [point.name for point in counters]
    unknown = sorted(start.keys() - set(names))
    if unknown:
        raise DriverError(
            f"profile {profile.name}: {', '.join(unknown)} is no counter and takes no start value; "
            f"counters are {', '.join(names) or 'none'}"
        )


def _main(powers: list[Point], counters: list[Point]) -> Point | None:
    counted = {point.counter.power for point in counters if point.counter is not None}
    booked = [point for point in powers if point.name in counted or point.integrate is not None]
    return max(booked or powers, key=lambda point: abs(_example(point)), default=None)


def _flows(counters: list[Point], main: Point | None) -> dict[str, set[str]]:
    flows: dict[str, set[str]] = {}
    for point in counters:
        if point.counter is not None:
            flows.setdefault(_power_of(point, main), set()).add(point.counter.flow)
    return flows


def _power_of(counter: Point, main: Point | None) -> str:
    named = counter.counter.power if counter.counter is not None else None
    return named or (main.name if main is not None else "")


def _share(point: Point, main: Point | None) -> Fraction:
    """Power of the point for one watt of the main one."""
    if main is None or not _example(main) or not _example(point):
        return Fraction(1)
    return _watts(point) / _watts(main)


def _watts(point: Point) -> Fraction:
    return Fraction(_example(point)) * count_size(point, 0) / point.scale


def _example(point: Point) -> float:
    return float(point.example or 0)


def _example_count(point: Point, exponent: int) -> int:
    size = count_size(point, 0)
    display = Fraction(_example(point))
    return (
        round(display * size / point.scale)
        if point.is_float
        else round(display / (point.scale * Fraction(10) ** exponent))
    )
