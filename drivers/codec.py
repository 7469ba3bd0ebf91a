"""Between display values and register words, both ways; decoding of numbers is the core's."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from fractions import Fraction
from unicodedata import category

from drivers.errors import CodecError
from drivers.plan import Block
from drivers.point import Point
from ext import BlockDecoder, PointSpec, PointType

Number = int | float | Fraction


def block_decoder(points: Sequence[Point], block: Block) -> BlockDecoder:
    """Return the decoder of the numbers in `block`; it writes each at its position in `points`."""
    return BlockDecoder(block_specs(points, block), block.count)


def block_specs(points: Sequence[Point], block: Block) -> list[PointSpec]:
    """Return what the core has to know of the numbers in `block`."""
    addresses = {point.name: point.address for point in points}
    return [
        _spec(index, points[index], block.address, addresses) for index in block.points if not points[index].is_text
    ]


def decode_text(point: Point, data: bytes) -> str:
    """Return the text in the register bytes of `point`; empty when it holds none.

    A text ends at its first NUL and loses blanks around it; registers of 0xFFFF hold no text.
    CodecError when the rest is not UTF-8, or holds characters that nobody can see.
    """
    if point.byte_order == "little":
        data = _swapped(data)
    try:
        text = data.split(b"\0", 1)[0].strip(b"\xff").decode("utf-8").strip()
    except UnicodeDecodeError:
        raise CodecError(f"point '{point.name}' holds {data.hex()}, which is not UTF-8") from None
    if any(category(character).startswith("C") for character in text):  # it would command the terminal that shows it
        raise CodecError(f"point '{point.name}' holds control characters: {text!r}")
    return text


def encode(point: Point, value: Number | str, exponent: int = 0) -> list[int]:
    """Return the words that show `value` in display units (or text), to the nearest count.

    `exponent` is the power of ten that the point's scale register stands for. CodecError when the value does not fit.
    """
    if isinstance(value, str):
        return _encode_text(point, value)
    if isinstance(value, float) and not math.isfinite(value):
        raise _misfit(point, value, "it is not a finite number")
    raw = (Fraction(value) - point.offset) / (point.sign * point.scale * Fraction(10) ** exponent)
    return _encode_float(point, raw) if point.is_float else encode_raw(point, round(raw))


def encode_raw(point: Point, raw: int) -> list[int]:
    """Return the words of an exact raw count, as the decoder gives it in its `raws` column.

    For a float point the count is in canonical units (mWh, mW), rounded to the nearest float.
    CodecError when it does not fit.
    """
    if point.is_text:
        raise _misfit(point, raw, "it holds text")
    if point.is_float:
        if point.canonical is None:
            raise _misfit(point, raw, "a float has counts for energy and power only")
        return _encode_float(point, raw / point.canonical)
    width = 16 * point.words
    lowest, highest = (-1 << width - 1, (1 << width - 1) - 1) if point.is_signed else (0, (1 << width) - 1)
    if not lowest <= raw <= highest:
        raise _misfit(point, raw, f"it is outside {lowest}..{highest}")
    return encode_bits(point, raw % (1 << width))


def encode_bits(point: Point, bits: int) -> list[int]:
    """Return the words of a bit pattern, in the word and byte order of the point."""
    words = [bits >> shift & 0xFFFF for shift in range(16 * (point.words - 1), -1, -16)]
    if point.word_order == "little":
        words.reverse()
    if point.byte_order == "little":
        words = [(word & 0xFF) << 8 | word >> 8 for word in words]
    return words


def _spec(index: int, point: Point, start: int, addresses: dict[str, int]) -> PointSpec:
    scale = point.sign * point.scale
    canonical = point.canonical if point.is_float else None
    low, high = point.valid or (-math.inf, math.inf)
    return PointSpec(
        index=index,
        offset=point.address - start,
        type=PointType[point.type.upper()],
        little_words=point.word_order == "little",
        little_bytes=point.byte_order == "little",
        absolute=point.absolute,
        scale_num=scale.numerator,
        scale_den=scale.denominator,
        add_num=point.offset.numerator,
        add_den=point.offset.denominator,
        sentinels=point.sentinels,
        valid_min=low,
        valid_max=high,
        exponent_offset=-1 if point.scale_register is None else addresses[point.scale_register] - start,
        canon_num=0 if canonical is None else canonical.numerator,
        canon_den=1 if canonical is None else canonical.denominator,
        tail_offset=-1 if point.tail_address is None else point.tail_address - start,
        decimals=point.decimals,
    )


def _encode_float(point: Point, number: Fraction) -> list[int]:
    code = ">f" if point.type == "f32" else ">d"
    try:
        packed = struct.pack(code, float(number))
    except OverflowError:
        raise _misfit(point, float(point.scale), f"it is too large for {point.type}") from None
    return encode_bits(point, int.from_bytes(packed, "big"))


def _encode_text(point: Point, text: str) -> list[int]:
    if not point.is_text:
        raise _misfit(point, text, "it holds a number")
    data = text.encode("utf-8")
    if len(data) > 2 * point.words:
        raise _misfit(point, text, f"it holds {2 * point.words} bytes")
    data = data.ljust(2 * point.words, b"\0")
    if point.byte_order == "little":
        data = _swapped(data)
    return list(struct.unpack(f">{point.words}H", data))


def _swapped(data: bytes) -> bytes:
    swapped = bytearray(data)
    swapped[0::2], swapped[1::2] = data[1::2], data[0::2]
    return bytes(swapped)


def _misfit(point: Point, value: Number | str, reason: str) -> CodecError:
    return CodecError(f"{value!r} cannot be put into point '{point.name}' ({point.type}): {reason}")
