"""Columns of measured values as few bytes, and back without loss.

A column is kept as whole numbers: of the decimals that it has (a raw count times a power of ten), or else of the bits
of its floats. Of those the differences, less the smallest, in as few bytes as they need, low bytes first.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, repeat
from operator import sub
from typing import Final, NamedTuple

_MOST_DECIMALS: Final = 6
_EXACT: Final = 1 << 53
_FLOAT, _DOUBLE = -32, -64
_FLOAT_LIMIT: Final = 3.4e38
_WIDTHS: Final = ((0, ""), (1, "B"), (2, "H"), (4, "I"), (8, "Q"))


class Shape(NamedTuple):
    """What has to be known to read a column."""

    kind: int
    """Decimals of its numbers; _FLOAT or _DOUBLE for bits."""
    first: int
    least: int
    """Of the differences."""
    width: int
    """Bytes of a difference; 0 when all are `least`."""

    def size(self, count: int) -> int:
        """Bytes of a column of `count` values."""
        return (count - 1) * self.width


def pack(values: Sequence[float]) -> tuple[Shape, bytes]:
    """One or more finite values."""
    kind, numbers = _numbers(values)
    shape, body = pack_whole(numbers)
    return shape._replace(kind=kind), body


def unpack(shape: Shape, count: int, body: bytes) -> list[float]:
    """The mirror image of `pack`, for so many values. Raises ValueError or struct.error for anything else."""
    numbers = unpack_whole(shape, count, body)
    if shape.kind >= 0:
        divisor = 10**shape.kind
        return [number / divisor for number in numbers]
    bits, floats = ("I", "f") if shape.kind == _FLOAT else ("Q", "d")
    return list(struct.unpack(f"<{count}{floats}", struct.pack(f"<{count}{bits}", *numbers)))


def pack_whole(numbers: Sequence[int]) -> tuple[Shape, bytes]:
    """The same for whole numbers below 2^64 in magnitude."""
    differences = list(map(sub, numbers[1:], numbers))
    least = min(differences, default=0)
    most = max(differences, default=0) - least
    width, code = next(((width, code) for width, code in _WIDTHS if most < 1 << 8 * width), (16, ""))
    shape = Shape(0, numbers[0], least, width)
    if width == 0:
        return shape, b""
    if width == 16:  # the bits of doubles of both signs
        return shape, b"".join((each - least).to_bytes(16, "little") for each in differences)
    laid = array(code, [each - least for each in differences]).tobytes()
    return shape, b"".join(laid[plane::width] for plane in range(width))


def unpack_whole(shape: Shape, count: int, body: bytes) -> list[int]:
    """The mirror image of `pack_whole`, for so many numbers. Raises ValueError for anything else."""
    if len(body) != shape.size(count):
        raise ValueError(f"{len(body)} bytes are no column of {count} numbers of width {shape.width}")
    offsets = _offsets(shape.width, count - 1, body)
    return list(accumulate((offset + shape.least for offset in offsets), initial=shape.first))


def _offsets(width: int, count: int, body: bytes) -> Iterable[int]:
    if width == 0:
        return repeat(0, count)
    if width == 16:
        return (int.from_bytes(body[at : at + 16], "little") for at in range(0, len(body), 16))
    laid = bytearray(len(body))
    for plane in range(width):
        laid[plane::width] = body[plane * count : (plane + 1) * count]
    column: array[int] = array(dict(_WIDTHS)[width])
    column.frombytes(bytes(laid))
    return column


def _numbers(values: Sequence[float]) -> tuple[int, list[int]]:
    count, most = len(values), max(map(abs, values))
    for decimals in range(_MOST_DECIMALS + 1):
        power = 10**decimals
        if most * power >= _EXACT:
            break
        if round(values[0] * power) / power != values[0]:
            continue
        numbers = [round(value * power) for value in values]
        if all(number / power == value for number, value in zip(numbers, values, strict=True)):
            return decimals, numbers
    if most < _FLOAT_LIMIT:
        laid = struct.pack(f"<{count}f", *values)
        if struct.unpack(f"<{count}f", laid) == tuple(values):
            return _FLOAT, [*struct.unpack(f"<{count}I", laid)]
    return _DOUBLE, [*struct.unpack(f"<{count}Q", struct.pack(f"<{count}d", *values))]
