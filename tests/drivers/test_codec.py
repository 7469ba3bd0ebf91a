"""Codec: display values and exact counts to register words and back."""

from __future__ import annotations

import math
import struct
from array import array
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.codec import block_decoder, decode_text, encode, encode_bits, encode_raw
from drivers.errors import CodecError
from drivers.plan import Block
from drivers.point import Point
from ext import Quality

INTEGERS = ("u16", "i16", "u32", "i32", "u64", "i64")
ORDERS = st.sampled_from(["big", "little"])


def point(type_: str, **keys: object) -> Point:
    return Point.model_validate({"name": "p", "address": 100, "type": type_, **keys})


def decode(subject: Point, words: list[int]) -> tuple[float, int, int, int]:
    """Value, raw, unit in the last place and quality of the point in these words."""
    block = Block(function=3, address=100, count=len(words), points=(0,))
    values, raws, exponents = array("d", [0]), array("q", [0]), array("b", [0])
    ulps, quality = array("q", [0]), array("B", [0])
    data = struct.pack(f">{len(words)}H", *words)
    block_decoder([subject], block).decode(data, values, raws, exponents, ulps, quality)
    return values[0], raws[0], ulps[0], quality[0]


@pytest.mark.parametrize(
    ("subject", "value", "words"),
    [
        (point("u16"), 0x1234, [0x1234]),
        (point("u16", byte_order="little"), 0x1234, [0x3412]),
        (point("i16"), -2, [0xFFFE]),
        (point("u32"), 0x12345678, [0x1234, 0x5678]),
        (point("u32", word_order="little"), 0x12345678, [0x5678, 0x1234]),
        (point("u32", word_order="little", byte_order="little"), 0x12345678, [0x7856, 0x3412]),
        (point("u32", scale="0.01", unit="kWh"), 12345.67, [0x0012, 0xD687]),
        (point("i32", sign=-1, unit="W"), 13900, [0xFFFF, 0xC9B4]),
        (point("i16", scale="0.1", offset="-40"), -39.5, [0x0005]),
        (point("u64", scale="0.1"), 429496729.6, [0, 1, 0, 0]),
        (point("f32"), 230.5, [0x4366, 0x8000]),
        (point("f32", word_order="little"), 230.5, [0x8000, 0x4366]),
        (point("f32", scale="0.1"), 230.5, [0x4510, 0x1000]),
        (point("f64"), -0.1, [0xBFB9, 0x9999, 0x9999, 0x999A]),
        (point("bits32"), 0x80000001, [0x8000, 0x0001]),
    ],
)
def test_words_of_a_value(subject, value, words):
    assert encode(subject, value) == words
    assert decode(subject, words)[0] == value


@given(st.sampled_from(INTEGERS), ORDERS, ORDERS, st.data())
def test_every_count_comes_back(type_, word_order, byte_order, data):
    subject = point(type_, word_order=word_order, byte_order=byte_order, scale="0.01", sign=-1)
    width = 16 * subject.words
    lowest = -(1 << width - 1) if subject.is_signed else 0
    raw = data.draw(st.integers(lowest, min(lowest + (1 << width), 1 << 63) - 1))
    assert decode(subject, encode_raw(subject, raw)) == (-raw / 100, raw, 0, Quality.OK)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=0, max_value=2**40), ORDERS, ORDERS)
def test_every_float_of_energy_comes_back_by_its_exact_count(number, word_order, byte_order):
    subject = point("f32", unit="kWh", word_order=word_order, byte_order=byte_order)
    words = encode(subject, number)
    value, raw, ulp, quality = decode(subject, words)
    assert (value, quality) == (number, Quality.OK)
    assert raw == round(Fraction(number) * 1_000_000)
    assert ulp >= 1
    if ulp > 1:
        assert encode_raw(subject, raw) == words


@given(st.integers(0, 0xFFFFFFFF), st.integers(-10, 10))
def test_a_power_of_ten_from_another_register(raw, exponent):
    energy = point("u32", unit="Wh", scale_register="sf")
    power_of_ten = Point.model_validate({"name": "sf", "address": 102, "type": "i16"})
    block = Block(function=3, address=100, count=3, points=(0, 1))
    columns = (
        array("d", [0, 0]),
        array("q", [0, 0]),
        array("b", [0, 0]),
        array("q", [0, 0]),
        array("B", [9, 9]),
    )
    words = [*encode_raw(energy, raw), *encode_raw(power_of_ten, exponent)]
    block_decoder([energy, power_of_ten], block).decode(struct.pack(">3H", *words), *columns)
    values, raws, exponents, _, quality = columns
    assert list(raws) == [raw, exponent]
    assert list(exponents) == [exponent, 0]
    assert list(quality) == [Quality.OK, Quality.OK]
    assert encode(energy, values[0], exponent) == words[:2]


@pytest.mark.parametrize(
    ("subject", "bits", "quality"),
    [
        (point("u16", sentinels=[0xFFFF]), 0xFFFF, Quality.NO_VALUE),
        (point("i32", sentinels=[0x80000000], word_order="little"), 0x80000000, Quality.NO_VALUE),
        (point("f32", sentinels=[0xC61C3C00]), 0xC61C3C00, Quality.NO_VALUE),
        (point("f32", byte_order="little"), 0x7FC00000, Quality.NO_VALUE),
        (point("f32"), 0x7F800000, Quality.BAD),
        (point("u64"), 1 << 63, Quality.BAD),
        (point("i16", scale="0.1", valid=[-10, 10]), 101, Quality.OUT_OF_RANGE),
    ],
)
def test_bits_without_value_are_never_zero(subject, bits, quality):
    value, raw, _, judged = decode(subject, encode_bits(subject, bits))
    assert math.isnan(value)
    assert (raw, judged) == (0, quality)


@pytest.mark.parametrize(
    ("subject", "value", "reason"),
    [
        (point("u16"), 65536, "it is outside 0..65535"),
        (point("u16"), -1, "it is outside 0..65535"),
        (point("i16", scale="0.1"), 3276.8, "it is outside -32768..32767"),
        (point("u16"), math.nan, "it is not a finite number"),
        (point("f32"), 1e39, "it is too large for f32"),
        (point("f64"), 10**400, "it is too large for f64"),
        (point("str2"), "12345", "it holds 4 bytes"),
        (point("u16"), "1", "it holds a number"),
        (point("str2"), 1, "it holds text"),
    ],
)
def test_what_does_not_fit_is_refused(subject, value, reason):
    with pytest.raises(CodecError, match=f"cannot be put into point 'p' .*{reason}"):
        encode(subject, value)


@pytest.mark.parametrize(
    ("subject", "raw", "reason"),
    [
        (point("i16"), 32768, "it is outside -32768..32767"),
        (point("str1"), 1, "it holds text"),
        (point("f32", unit="V"), 1, "counts for energy and power only"),
    ],
)
def test_a_count_that_does_not_fit_is_refused(subject, raw, reason):
    with pytest.raises(CodecError, match=reason):
        encode_raw(subject, raw)


@pytest.mark.parametrize(
    ("subject", "data", "text"),
    [
        (point("str4"), b"AB12\0\0\0\0", "AB12"),
        (point("str4"), b" AB12   ", "AB12"),
        (point("str4"), b"AB\0trash", "AB"),
        (point("str4", byte_order="little"), b"BA21\0\0\0\0", "AB12"),
        (point("str4"), "宏力".encode() + b"\0\0", "宏力"),
        (point("str4"), b"\0" * 8, ""),
        (point("str4"), b"\xff" * 8, ""),
        (point("str4"), b" " * 8, ""),
    ],
)
def test_texts(subject, data, text):
    assert decode_text(subject, data) == text
    if text:
        assert decode_text(subject, struct.pack(">4H", *encode(subject, text))) == text


def test_a_text_that_is_none_is_told():
    with pytest.raises(CodecError, match="c3286162, which is not UTF-8"):
        decode_text(point("str2"), b"\xc3\x28ab")


@pytest.mark.parametrize("data", [b"\x1b]0;pwned\x07", b"SN\n12", b"\xe2\x80\xaetxt", b"\xc2\x9b2Jab"])
def test_a_text_that_would_command_a_terminal_is_none(data):
    with pytest.raises(CodecError, match="control characters"):
        decode_text(point("str5"), data.ljust(10, b"\0"))
