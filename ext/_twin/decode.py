"""BlockDecoder: the plain-Python reference of register decoding."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Sequence

from ext._twin.arithmetic import float_canonical
from ext.columns import require_typecode
from ext.limits import INT64_MAX
from ext.point_spec import PointSpec, check_points, spans
from ext.point_type import PointType
from ext.quality import Quality

_SIGNED = (PointType.I16, PointType.I32, PointType.I64)
_NO_EXPONENT = 0x8000  # the SunSpec pattern for "scale factor not implemented"
_LARGEST_EXPONENT = 10


class BlockDecoder:
    """Decodes a block of `count` registers; ValueError for a spec that does not fit it."""

    def __init__(self, specs: Sequence[PointSpec], count: int) -> None:
        check_points(specs, count)
        self._specs = tuple(specs)
        self._count = count
        self._columns = 1 + max((spec.index for spec in specs), default=-1)

    def decode(
        self,
        data: bytes,
        values: array[float],
        raws: array[int],
        exponents: array[int],
        ulps: array[int],
        quality: array[int],
    ) -> None:
        """Write each point of the block at its index of the columns.

        `data` is the block as it came: two bytes a register, high byte first (ValueError for another length).
        Columns: values 'd' (display units, NaN unless OK), raws 'q' (integer counts, for floats canonical
        units), exponents 'b', ulps 'q' (floats: size of one unit in the last place), all three 0 unless OK,
        and quality 'B' (a Quality); TypeError for other types, ValueError when one is too short. Nothing in
        `data` raises.
        """
        if len(data) != 2 * self._count:
            raise ValueError(f"{len(data)} bytes are not a block of {self._count} registers")
        require_typecode(values, "d")
        require_typecode(raws, "q")
        require_typecode(exponents, "b")
        require_typecode(ulps, "q")
        require_typecode(quality, "B")
        shortest = min(len(values), len(raws), len(exponents), len(ulps), len(quality))
        if shortest < self._columns:
            raise ValueError(f"a column of {shortest} is too short for {self._columns} points")
        for spec in self._specs:
            i = spec.index
            values[i], raws[i], exponents[i], ulps[i], quality[i] = _decode(spec, data)


def _decode(spec: PointSpec, data: bytes) -> tuple[float, int, int, int, Quality]:
    bits = _bits(spec, data)
    if bits in spec.sentinels:
        return _without(Quality.NO_VALUE)
    exponent = 0
    if spec.exponent_offset >= 0:
        (exponent,) = struct.unpack_from(">h", data, 2 * spec.exponent_offset)
        if exponent & 0xFFFF == _NO_EXPONENT:
            return _without(Quality.NO_VALUE)
        exponent = -exponent if spec.decimals else exponent
        if abs(exponent) > _LARGEST_EXPONENT:
            return _without(Quality.BAD)
    type_ = PointType(spec.type)
    if type_.is_float:
        return _decode_float(spec, bits, exponent)
    raw = bits
    if type_ in _SIGNED and bits >> 16 * type_.registers - 1:
        raw -= 1 << 16 * type_.registers
    if spec.absolute:
        raw = abs(raw)
    if raw > INT64_MAX:
        return _without(Quality.BAD)
    return _judged(spec, float(raw), raw, exponent, 0)


def _decode_float(spec: PointSpec, bits: int, exponent: int) -> tuple[float, int, int, int, Quality]:
    width = 16 * PointType(spec.type).registers
    number: float
    (number,) = struct.unpack(">f" if width == 32 else ">d", bits.to_bytes(width // 8, "big"))
    if math.isnan(number):
        return _without(Quality.NO_VALUE)
    if math.isinf(number):
        return _without(Quality.BAD)
    raw, ulp = 0, 0
    if spec.canon_num:
        try:
            raw, ulp = float_canonical(bits, width, spec.canon_num, spec.canon_den)
        except OverflowError:
            return _without(Quality.BAD)
    if spec.absolute:
        number, raw = abs(number), abs(raw)
    return _judged(spec, number, raw, exponent, ulp)


def _bits(spec: PointSpec, data: bytes) -> int:
    """The bit pattern of the point as an unsigned integer, words and bytes put in order."""
    order = "<" if spec.little_bytes else ">"
    words = [word for first, size in spans(spec) for word in struct.unpack_from(f"{order}{size}H", data, 2 * first)]
    bits = 0
    for word in reversed(words) if spec.little_words else words:
        bits = bits << 16 | word
    return bits


def _judged(spec: PointSpec, number: float, raw: int, exponent: int, ulp: int) -> tuple[float, int, int, int, Quality]:
    """The display value, when it is finite and within the valid range."""
    # Powers of ten join the exact side of the fraction first, so that 12345 with scale 1/100 is 123.45.
    numerator = float(spec.scale_num) * 10.0 ** max(exponent, 0)
    denominator = float(spec.scale_den) * 10.0 ** max(-exponent, 0)
    value = number * numerator / denominator + spec.add_num / spec.add_den
    if not math.isfinite(value):
        return _without(Quality.BAD)
    if not spec.valid_min <= value <= spec.valid_max:
        return _without(Quality.OUT_OF_RANGE)
    return value, raw, exponent, ulp, Quality.OK


def _without(quality: Quality) -> tuple[float, int, int, int, Quality]:
    return math.nan, 0, 0, 0, quality
