"""Columns of values: every bit comes back, whatever the values are, and those of meters take few bytes."""

import random
import struct
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.series.columns import Shape, pack, pack_whole, unpack, unpack_whole

FINITE = st.floats(allow_nan=False, allow_infinity=False)
F32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
DECIMAL = st.builds(lambda whole, digits: whole / 10**digits, st.integers(-(10**9), 10**9), st.integers(0, 6))
WHOLE = st.integers(-(2**62), 2**62)


@given(st.lists(FINITE | F32 | DECIMAL | WHOLE.map(float), min_size=1, max_size=80))
def test_values_come_back(values: list[float]) -> None:
    shape, body = pack(values)
    assert unpack(shape, len(values), body) == values


@given(st.lists(DECIMAL, min_size=2, max_size=80))
def test_decimals_are_kept_as_whole_numbers(values: list[float]) -> None:
    assert pack(values)[0].kind >= 0


@given(st.lists(WHOLE, min_size=1, max_size=80))
def test_whole_numbers_come_back(numbers: list[int]) -> None:
    shape, body = pack_whole(numbers)
    assert unpack_whole(shape, len(numbers), body) == numbers
    assert len(body) == shape.size(len(numbers))


def test_a_column_takes_what_its_differences_take() -> None:
    noise = random.Random(1)
    assert pack([230.0] * 60)[0].width == 0
    assert pack([float(1000 + noise.randrange(40)) for _ in range(60)])[0].width == 1
    assert pack([noise.randrange(40_000) / 100 for _ in range(60)])[0].width == 4
    floats = list(struct.unpack("60f", struct.pack("60f", *(230 + noise.gauss(0, 0.001) for _ in range(60)))))
    assert pack(floats)[0].width == 2
    assert pack([noise.gauss(100, 1) for _ in range(60)])[0].width == 8


def test_what_is_cut_off_is_refused() -> None:
    shape, body = pack_whole(array("q", [1, 5, 300]))
    with pytest.raises(ValueError, match="no column of 3 numbers"):
        unpack_whole(shape, 3, body[:-1])
    with pytest.raises(ValueError, match="no column of 2 numbers of width 2"):
        unpack_whole(Shape(0, 1, 0, 2), 2, b"abc")
