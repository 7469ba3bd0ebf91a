"""PointType: the number types that a block of registers can hold."""

from enum import IntEnum


class PointType(IntEnum):
    """Number type of a point; strings are decoded elsewhere."""

    U16 = 0
    I16 = 1
    U32 = 2
    I32 = 3
    U64 = 4
    I64 = 5
    F32 = 6
    F64 = 7
    BITS16 = 8
    BITS32 = 9

    @property
    def registers(self) -> int:
        """How many 16-bit registers a value takes."""
        return (1, 1, 2, 2, 4, 4, 2, 4, 1, 2)[self]

    @property
    def is_float(self) -> bool:
        """True for the IEEE 754 types."""
        return self in (PointType.F32, PointType.F64)
