"""Register decoding, in bytes: every type, order, scale, sentinel and exponent."""

import math
import struct
from array import array

import pytest

from ext.point_spec import PointSpec
from ext.point_type import PointType as T
from ext.quality import Quality as Q


def point(type_: T, **changes) -> PointSpec:
    known = {
        "index": 0,
        "offset": 0,
        "type": type_,
        "little_words": False,
        "little_bytes": False,
        "absolute": False,
        "scale_num": 1,
        "scale_den": 1,
        "add_num": 0,
        "add_den": 1,
        "sentinels": (),
        "valid_min": -math.inf,
        "valid_max": math.inf,
        "exponent_offset": -1,
        "canon_num": 0,
        "canon_den": 1,
    }
    return PointSpec(**(known | changes))


@pytest.fixture
def decode(core):
    """Decodes one point; gives (quality, value, raw, exponent, ulp)."""

    def run(spec: PointSpec, data: bytes):
        cells = values, raws, exponents, ulps, quality = [array(code, [9]) for code in "dqbqB"]
        core.BlockDecoder([spec], len(data) // 2).decode(data, *cells)
        return Q(quality[0]), values[0], raws[0], exponents[0], ulps[0]

    return run


NUMBERS = [
    (T.U16, ">H", 0xFFFE),
    (T.I16, ">h", -2),
    (T.U32, ">I", 0xFFFFFFFE),
    (T.I32, ">i", -70_000),
    (T.U64, ">Q", 2**63 - 1),
    (T.I64, ">q", -(2**63)),
    (T.F32, ">f", -1234.5),
    (T.F64, ">d", 1e300),
    (T.BITS16, ">H", 0x8001),
    (T.BITS32, ">I", 0x80000001),
]


@pytest.mark.parametrize(("type_", "form", "number"), NUMBERS)
@pytest.mark.parametrize("little_words", [False, True])
@pytest.mark.parametrize("little_bytes", [False, True])
def test_every_type_in_every_order(decode, type_, form, number, little_words, little_bytes):
    data = struct.pack(form, number)
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if little_words:
        words.reverse()
    if little_bytes:
        words = [word[::-1] for word in words]
    quality, value, raw, exponent, ulp = decode(
        point(type_, little_words=little_words, little_bytes=little_bytes), b"".join(words)
    )
    assert (quality, value, exponent, ulp) == (Q.OK, float(number), 0, 0)
    assert raw == (0 if type_.is_float else number)


def test_the_offset_is_counted_in_registers(decode):
    assert decode(point(T.U16, offset=2), bytes.fromhex("000100020003"))[1] == 3


@pytest.mark.parametrize(
    ("changes", "data", "value"),
    [
        ({"scale_den": 100}, "3039", 123.45),
        ({"scale_num": 1, "scale_den": 10, "add_num": -40}, "01f5", 501 / 10 - 40),
        ({"scale_num": -1}, "0005", -5.0),
        ({"add_num": 1, "add_den": 2}, "0001", 1.5),
        ({"scale_num": 1000, "scale_den": 3}, "0003", 1000.0),
    ],
)
def test_scale_comes_before_the_offset(decode, changes, data, value):
    quality, shown, raw, _, _ = decode(point(T.U16, **changes), bytes.fromhex(data))
    assert (quality, shown, raw) == (Q.OK, value, int(data, 16))


def test_absolute_drops_the_sign(decode):
    assert decode(point(T.I16, absolute=True), b"\xff\xfb")[1:3] == (5.0, 5)
    assert decode(point(T.F32, absolute=True, canon_num=1000), struct.pack(">f", -1.5))[1:3] == (1.5, 1500)
    assert decode(point(T.I64, absolute=True), b"\x80" + bytes(7))[0] == Q.BAD


def same(got, quality):
    """Not OK: no value anywhere."""
    return got[0] == quality and math.isnan(got[1]) and got[2:] == (0, 0, 0)


@pytest.mark.parametrize(
    ("type_", "sentinels", "data"),
    [
        (T.U16, (0xFFFE, 0xFFFF), "ffff"),
        (T.I16, (0x7FFF,), "7fff"),
        (T.I16, (0x8000,), "8000"),
        (T.U32, (0xFFFFFFFF,), "ffffffff"),
        (T.U64, (2**64 - 1,), "ffffffffffffffff"),
        (T.F32, (0xFF7FFFFF,), "ff7fffff"),
        (T.F32, (0x7FC00001,), "7fc00001"),
    ],
)
def test_a_sentinel_is_no_value(decode, type_, sentinels, data):
    assert same(decode(point(type_, sentinels=sentinels), bytes.fromhex(data)), Q.NO_VALUE)


def test_a_sentinel_is_the_pattern_after_the_words_are_put_in_order(decode):
    spec = point(T.U32, sentinels=(0x80000000,), little_words=True)
    assert decode(spec, bytes.fromhex("00008000"))[0] == Q.NO_VALUE
    assert decode(spec, bytes.fromhex("80000000"))[0] == Q.OK


def test_nan_is_no_value_and_infinity_is_bad(decode):
    for type_, form in ((T.F32, ">f"), (T.F64, ">d")):
        assert same(decode(point(type_), struct.pack(form, math.nan)), Q.NO_VALUE)
        assert same(decode(point(type_), struct.pack(form, math.inf)), Q.BAD)
        assert same(decode(point(type_), struct.pack(form, -math.inf)), Q.BAD)
    assert same(decode(point(T.F32), bytes.fromhex("7f800001")), Q.NO_VALUE)  # a signalling NaN


def test_what_does_not_fit_is_bad(decode):
    assert same(decode(point(T.U64), b"\x80" + bytes(7)), Q.BAD)
    assert same(decode(point(T.F64, canon_num=1000), struct.pack(">d", 1e17)), Q.BAD)
    assert same(decode(point(T.F64, scale_num=1000), struct.pack(">d", 1e306)), Q.BAD)


def test_the_valid_range_is_in_display_units_and_inclusive(decode):
    spec = point(T.U16, scale_den=10, valid_min=1.0, valid_max=2.0)
    assert [decode(spec, bytes([0, raw]))[0] for raw in (9, 10, 20, 21)] == [
        Q.OUT_OF_RANGE,
        Q.OK,
        Q.OK,
        Q.OUT_OF_RANGE,
    ]
    assert same(decode(spec, b"\x00\x09"), Q.OUT_OF_RANGE)


@pytest.mark.parametrize(("factor", "value"), [(-2, 123.45), (0, 12345.0), (3, 12_345_000.0), (10, 123450000000000.0)])
def test_an_exponent_register_moves_the_point(decode, factor, value):
    data = struct.pack(">Hh", 12345, factor)
    assert decode(point(T.U16, exponent_offset=1), data) == (Q.OK, value, 12345, factor, 0)


def test_an_exponent_joins_the_scale(decode):
    assert decode(point(T.U16, exponent_offset=1, scale_den=10), struct.pack(">Hh", 12345, -1))[1] == 123.45


def test_a_register_of_decimals_moves_the_point_the_other_way(decode):
    data = struct.pack(">Hh", 12345, 2)
    assert decode(point(T.U16, exponent_offset=1, decimals=True), data) == (Q.OK, 123.45, 12345, -2, 0)
    for decimals, quality in ((-0x8000, Q.NO_VALUE), (11, Q.BAD), (-1, Q.OK)):
        data = struct.pack(">Hh", 12345, decimals)
        assert decode(point(T.U16, exponent_offset=1, decimals=True), data)[0] == quality


@pytest.mark.parametrize(
    ("type_", "tail", "data", "value"),
    [
        # A low word with the grid frequency between it and its high word.
        (T.U32, {"offset": 0, "tail_offset": 2, "little_words": True}, "0002138800010000", 0x0001_0002),
        (T.I32, {"offset": 3, "tail_offset": 0}, "fffe00000000ffff", -2),
        (T.F32, {"offset": 0, "tail_offset": 2}, "3fc0777700008888", 1.5),
        (T.U64, {"offset": 2, "tail_offset": 0}, "0003000400010002", 0x0001_0002_0003_0004),
    ],
)
def test_a_split_value_is_put_together(decode, type_, tail, data, value):
    assert decode(point(type_, **tail), bytes.fromhex(data))[:2] == (Q.OK, float(value))


@pytest.mark.parametrize(("factor", "quality"), [(-0x8000, Q.NO_VALUE), (11, Q.BAD), (-11, Q.BAD), (-10, Q.OK)])
def test_an_impossible_exponent_leaves_no_value(decode, factor, quality):
    assert decode(point(T.U16, exponent_offset=0, offset=1), struct.pack(">hH", factor, 7))[0] == quality


def test_floats_come_with_canonical_units_and_their_last_place(decode):
    spec = point(T.F32, canon_num=10**6, canon_den=1)
    assert decode(spec, struct.pack(">f", 200_000.0)) == (Q.OK, 200_000.0, 200_000_000_000, 0, 15_625)
    assert decode(spec, struct.pack(">f", -2.5))[2] == -2_500_000


def test_a_block_fills_its_own_cells_only(core):
    specs = [point(T.U16, index=3), point(T.I16, index=1, offset=1)]
    cells = values, raws, _, _, quality = [array(code, [9] * 5) for code in "dqbqB"]
    core.BlockDecoder(specs, 3).decode(bytes.fromhex("0007fffe0000"), *cells)
    assert list(values) == [9.0, -2.0, 9.0, 7.0, 9.0]
    assert list(raws) == [9, -2, 9, 7, 9]
    assert list(quality) == [9, 0, 9, 0, 9]


def test_wrong_blocks_and_columns_are_refused(core):
    decoder = core.BlockDecoder([point(T.U16, index=1)], 1)
    good = [array(code, [0, 0]) for code in "dqbqB"]
    for data in (b"", b"\x00", b"\x00" * 3):
        with pytest.raises(ValueError, match="block of 1 registers"):
            decoder.decode(data, *good)
    for place in range(5):
        with pytest.raises(TypeError):
            decoder.decode(b"\x00\x01", *good[:place], array("h", [0, 0]), *good[place + 1 :])
        short = good[place][:1]
        with pytest.raises(ValueError, match="too short"):
            decoder.decode(b"\x00\x01", *good[:place], short, *good[place + 1 :])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"offset": 1}, "outside the block"),
        ({"offset": -1}, "outside the block"),
        ({"exponent_offset": 2}, "exponent register"),
        ({"index": -1}, "index"),
        ({"scale_den": 0}, "scale"),
        ({"add_den": -1}, "offset"),
        ({"canon_num": 10**13}, "canonical"),
        ({"sentinels": (-1,)}, "sentinels"),
        ({"sentinels": (2**32,)}, "sentinels"),
        ({"type": 10}, "unknown type"),
        ({"tail_offset": 2}, "outside the block"),
        ({"tail_offset": -2}, "no second half"),
        ({"type": T.I16, "tail_offset": 0}, "no second half"),
    ],
)
def test_a_spec_that_does_not_fit_is_refused(core, changes, words):
    with pytest.raises(ValueError, match=f"point spec 1: .*{words}"):
        core.BlockDecoder([point(T.U16), point(T.U32, **changes)], 2)
