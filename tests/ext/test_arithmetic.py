"""Exact integer helpers: shares, ratios, canonical floats."""

import math
import struct
from array import array
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

TOP = 2**63 - 1


def bits_of(number: float, width: int) -> int:
    return int.from_bytes(struct.pack(">f" if width == 32 else ">d", number), "big")


def test_a_negative_energy_is_cut_like_its_amount(core):
    assert core.apportion(-1000, 0, 1_800_000, [600_000]) == [-333, -667]


def test_the_largest_energy_is_cut_without_overflow(core):
    assert core.apportion(TOP, 0, 2**53 - 1, [2**53 - 2]) == [TOP - 1025, 1025]
    assert sum(core.apportion(-(2**63), 5, 9, [6, 7, 8])) == -(2**63)


@pytest.mark.parametrize(
    ("t0", "t1", "cuts"), [(5, 5, []), (-1, 5, []), (0, 2**53, []), (0, 5, [0]), (0, 5, [5]), (0, 9, [4, 4])]
)
def test_wrong_cuts_are_refused(core, t0, t1, cuts):
    with pytest.raises(ValueError, match=r"cut|apportion"):
        core.apportion(1, t0, t1, cuts)


@pytest.mark.parametrize(
    ("amount", "weights", "shares"),
    [
        (10, [1, 1, 1], [3, 3, 4]),
        (-10, [1, 1, 1], [-3, -3, -4]),
        (10, [0, 3, 0, 1, 0], [0, 7, 0, 3, 0]),
        (0, [4, 5], [0, 0]),
        (1, [TOP - 1, 1], [0, 1]),
        (TOP, [TOP], [TOP]),
        (-(2**63), [0, 7], [0, -(2**63)]),
        (-(2**63), [2**62, 2**62 - 1], [-(2**62), -(2**62)]),
    ],
)
def test_an_amount_is_allocated_by_cumulative_floor(core, amount, weights, shares):
    assert core.allocate(amount, weights) == core.allocate(amount, array("q", weights)) == shares


def test_an_allocation_without_weights_is_refused(core):
    for weights in ([], [0, 0]):
        with pytest.raises(ValueError, match="nobody to share with"):
            core.allocate(5, weights)
    with pytest.raises(ValueError, match="weight 1 is negative: -1"):
        core.allocate(5, [3, -1])
    for arguments in ((2**63, [1]), (1, [TOP, 1]), (1, [2**63])):
        with pytest.raises(OverflowError):
            core.allocate(*arguments)


@pytest.mark.parametrize(
    ("amount", "num", "den", "expected"),
    [
        (5, 1, 2, 2),
        (7, 1, 2, 4),
        (-5, 1, 2, -2),
        (-7, 1, 2, -4),
        (7, -1, 2, -4),
        (10, 1, 3, 3),
        (11, 1, 3, 4),
    ],
)
def test_ratios_round_half_to_even(core, amount, num, den, expected):
    assert core.ratio(amount, num, den) == expected


def test_ratios_keep_128_bits_and_refuse_more_than_64(core):
    assert core.ratio(TOP, TOP, TOP) == TOP
    assert core.ratio(-(2**63), TOP, TOP) == -(2**63)
    for arguments in ((TOP, 2, 1), (-(2**63), -1, 1), (2**63, 1, 2)):
        with pytest.raises(OverflowError):
            core.ratio(*arguments)
    for den in (0, -1):
        with pytest.raises(ValueError, match="denominator"):
            core.ratio(1, 1, den)


def test_a_float32_energy_total_and_its_last_place(core):
    # 200,000 kWh in a float32 move in steps of 1/64 kWh = 15.625 Wh (carbon-method.md, section 3.3).
    assert core.float_canonical(bits_of(200_000.0, 32), 32, 10**6, 1) == (200_000 * 10**6, 15_625)
    assert core.float_canonical(bits_of(-1.5, 32), 32, 1000, 1) == (-1500, 1)
    assert core.float_canonical(bits_of(1.5, 64), 64, -1000, 1) == (-1500, 1)
    assert core.float_canonical(0, 32, 10**6, 1) == (0, 1)
    assert core.float_canonical(1, 64, 10**12, 1) == (0, 1)  # the smallest number there is
    assert core.float_canonical(bits_of(2.5, 32), 32, 1, 1) == (2, 1)
    assert core.float_canonical(bits_of(3.5, 32), 32, 1, 1) == (4, 1)


def test_floats_without_a_canonical_value_are_refused(core):
    for number in (math.nan, math.inf, -math.inf):
        for width in (32, 64):
            with pytest.raises(ValueError, match="finite"):
                core.float_canonical(bits_of(number, width), width, 1, 1)
    for arguments in (
        (0, 16, 1, 1),
        (2**32, 32, 1, 1),
        (-1, 32, 1, 1),
        (0, 32, 0, 1),
        (0, 32, 1, 10**12 + 1),
    ):
        with pytest.raises(ValueError, match=r"float|fraction"):
            core.float_canonical(*arguments)
    with pytest.raises(OverflowError):
        core.float_canonical(bits_of(2.0**63, 64), 64, 1, 1)
    assert core.float_canonical(bits_of(-(2.0**63), 64), 64, 1, 1) == (-(2**63), 2048)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.integers(1, 10**12), st.integers(1, 10**12))
def test_canonical_values_are_the_exact_fraction_rounded_once(core, number, num, den):
    exact = Fraction(number) * num / den
    if abs(exact) < 2**62:
        value, ulp = core.float_canonical(bits_of(number, 32), 32, num, den)
        assert value == round(exact)
        exponent = max(math.frexp(number)[1] - 24, -149) if number else -149
        assert ulp == math.ceil(Fraction(2) ** exponent * num / den)
