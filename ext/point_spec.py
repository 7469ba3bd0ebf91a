"""PointSpec: where a point lies in a block of registers and how its bits become a value."""

from collections.abc import Sequence
from typing import NamedTuple

from ext.limits import SCALE_LIMIT
from ext.point_type import PointType


class PointSpec(NamedTuple):
    """One point of a block. Display value = raw * scale * 10^exponent + add."""

    # Position of the point in the columns of the device; nobody asks a spec for tuple.index().
    index: int  # type: ignore[assignment]
    offset: int  # registers from the start of the block
    type: int  # a PointType
    little_words: bool  # low word first
    little_bytes: bool  # bytes inside each register swapped
    absolute: bool  # the sign is dropped
    scale_num: int
    scale_den: int
    add_num: int  # added after the scale
    add_den: int
    sentinels: tuple[int, ...]  # bit patterns, unsigned, that mean "no value"
    valid_min: float  # display units; -inf when there is none
    valid_max: float
    exponent_offset: int  # register (i16) of a power-of-ten exponent in the block; -1 none
    canon_num: int  # canonical integer units per raw unit, floats only; 0 when not wanted
    canon_den: int
    tail_offset: int = -1  # where the second half of a split value lies in the block; -1: right behind the first
    decimals: bool = False  # the exponent register counts decimals: 2 is 10^-2


def check_points(specs: Sequence[PointSpec], count: int) -> None:
    """Raise ValueError, naming its position, for a spec that does not fit a block of `count` registers."""
    for position, spec in enumerate(specs):
        fault = _fault(spec, count)
        if fault:
            raise ValueError(f"point spec {position}: {fault}")


def spans(spec: PointSpec) -> tuple[tuple[int, int], ...]:
    """Where the registers of a point lie in the block: offset and count of each piece, in the order of its words."""
    registers = PointType(spec.type).registers
    if spec.tail_offset < 0:
        return ((spec.offset, registers),)
    return (spec.offset, registers // 2), (spec.tail_offset, registers // 2)


def _fault(spec: PointSpec, count: int) -> str:
    if spec.type not in PointType.__members__.values():
        return f"unknown type {spec.type}"
    registers = PointType(spec.type).registers
    if spec.tail_offset < -1 or (spec.tail_offset >= 0 and registers == 1):
        return f"a value of {registers} registers has no second half at {spec.tail_offset}"
    for first, size in spans(spec):
        if first < 0 or first + size > count:
            return f"registers {first}..{first + size - 1} are outside the block of {count}"
    if spec.exponent_offset < -1 or spec.exponent_offset >= count:
        return f"exponent register {spec.exponent_offset} is outside the block of {count}"
    if spec.index < 0:
        return f"index {spec.index} is negative"
    for name, numerator, denominator in (
        ("scale", spec.scale_num, spec.scale_den),
        ("offset", spec.add_num, spec.add_den),
        ("canonical scale", spec.canon_num, spec.canon_den),
    ):
        if abs(numerator) > SCALE_LIMIT or not 0 < denominator <= SCALE_LIMIT:
            return f"{name} {numerator}/{denominator} is not a fraction within {SCALE_LIMIT}"
    if any(not 0 <= sentinel < 1 << 16 * registers for sentinel in spec.sentinels):
        return f"sentinels {spec.sentinels} are not unsigned patterns of {16 * registers} bits"
    return ""
