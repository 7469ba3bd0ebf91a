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


def check_points(specs: Sequence[PointSpec], count: int) -> None:
    """Raise ValueError, naming its position, for a spec that does not fit a block of `count` registers."""
    for position, spec in enumerate(specs):
        fault = _fault(spec, count)
        if fault:
            raise ValueError(f"point spec {position}: {fault}")


def _fault(spec: PointSpec, count: int) -> str:
    if spec.type not in PointType.__members__.values():
        return f"unknown type {spec.type}"
    registers = PointType(spec.type).registers
    if spec.offset < 0 or spec.offset + registers > count:
        return f"registers {spec.offset}..{spec.offset + registers - 1} are outside the block of {count}"
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
