"""Energy times factor in columns: exact, in any order of time, and never wrapped."""

from array import array
from itertools import pairwise

import pytest

from ext.overflow import ProductOverflow

TOP = 2**63 - 1
STARTS = array("q", [0, 1000, 5000])
VALUES = array("q", [140_400, 156_400, -3])


def q(*numbers: int) -> array:
    return array("q", numbers)


def test_each_row_takes_the_factor_in_force_at_its_begin(core):
    times = q(0, 999, 1000, 4999, 5000, TOP)
    assert list(core.carbon(q(1, 1, 1, 1, 1, 1), times, STARTS, VALUES)) == [140_400, 140_400, 156_400, 156_400, -3, -3]


def test_times_may_go_back_and_leap(core):
    times = q(5000, 0, 4999, 1, 1000, 999, 7000, 3)
    assert list(core.carbon(q(*[1] * 8), times, STARTS, VALUES)) == [
        -3,
        140_400,
        156_400,
        140_400,
        156_400,
        140_400,
        -3,
        140_400,
    ]


def test_a_series_is_booked_by_its_rises(core):
    # 5 mWh begun at 500 under the first factor, 7 begun at 1000 under the second, a fall of 2.
    assert list(core.deltas(q(10, 15, 22, 20), q(500, 1000, 1500, 9000), STARTS, VALUES)) == [
        5 * 140_400,
        7 * 156_400,
        -2 * 156_400,
    ]


def test_a_series_of_less_than_two_readings_has_no_rise(core):
    assert core.deltas(q(), q(), STARTS, VALUES) == q()
    assert core.deltas(q(7), q(-1), STARTS, VALUES) == q()
    assert core.carbon(q(), q(), q(), q()) == q()


def test_what_is_given_is_left_alone(core):
    energy, times = q(3, 4), q(0, 1)
    core.carbon(energy, times, STARTS, VALUES)
    core.deltas(energy, times, STARTS, VALUES)
    assert (energy, times, STARTS) == (q(3, 4), q(0, 1), q(0, 1000, 5000))


@pytest.mark.parametrize("name", ["carbon", "deltas"])
def test_a_time_before_the_first_factor_is_refused_by_its_row(core, name):
    with pytest.raises(ValueError, match="row 1: no factor is in force at -1 ms"):
        getattr(core, name)(q(1, 2, 3), q(0, -1, -2), STARTS, VALUES)
    with pytest.raises(ValueError, match="row 0: no factor is in force at 5 ms"):
        getattr(core, name)(q(1, 2), q(5, 6), q(), q())


def test_a_missing_factor_comes_before_an_overflow(core):
    with pytest.raises(ValueError, match="row 1"):
        core.carbon(q(TOP, 1), q(0, -1), STARTS, VALUES)


def test_a_product_never_wraps(core):
    amounts = array("q", [1, -(2**62), 0])
    assert list(core.multiply(amounts, 2)) == [2, -(2**63), 0]
    assert list(amounts) == [1, -(2**62), 0]
    assert core.multiply(array("q"), 3) == array("q")
    for amount, factor in ((2**62, 2), (-(2**62), 3), (-(2**63), -1), (1, 2**63)):
        with pytest.raises(OverflowError):
            core.multiply(array("q", [amount]), factor)
    with pytest.raises(TypeError):
        core.multiply(array("d", [1.0]), 2)


@pytest.mark.parametrize(
    ("amounts", "row"), [((1, TOP // 140_400 + 1), 1), ((-(2**63), 0), 0), ((0, TOP // 140_400, -TOP, TOP), 2)]
)
def test_an_overflow_names_its_row(core, amounts, row):
    with pytest.raises(ProductOverflow, match=f"row {row}: .* does not fit 64 bits") as caught:
        core.carbon(q(*amounts), q(*[0] * len(amounts)), STARTS, VALUES)
    assert caught.value.row == row
    with pytest.raises(ProductOverflow) as caught:
        core.multiply(q(*amounts), 140_400)
    assert caught.value.row == row


def test_a_difference_that_leaves_64_bits_is_an_overflow_too(core):
    with pytest.raises(ProductOverflow, match=rf"row 1: {-TOP - 5} \* 1 does not") as caught:
        core.deltas(q(0, 5, -TOP), q(0, 0, 0), q(0), q(1))
    assert caught.value.row == 1
    with pytest.raises(ProductOverflow, match="row 0"):
        core.deltas(q(-1, TOP), q(0, 0), q(0), q(0))


def test_the_largest_products_fit(core):
    assert list(core.carbon(q(TOP, -(2**63), 2**62), q(0, 1, 2), q(0, 2), q(1, -2))) == [TOP, -(2**63), -(2**63)]


def test_wrong_columns_are_refused(core):
    good = (q(1), q(0), STARTS, VALUES)
    for place in range(4):
        for wrong in (array("i", [1]), array("d", [1.0])):
            with pytest.raises(TypeError):
                core.carbon(*good[:place], wrong, *good[place + 1 :])
        with pytest.raises(ValueError, match="differ in length"):
            core.carbon(*good[:place], q(1, 2), *good[place + 1 :])
    for starts in (q(0, 0, 5), q(5, 4, 6)):
        with pytest.raises(ValueError, match="factor 1 starts at"):
            core.carbon(q(1), q(9), starts, VALUES)


def test_long_columns_give_the_same_as_short_ones(core):
    # More rows than it takes to let other threads run meanwhile.
    count = 12_000
    amounts = array("q", (k * 7919 % 100_003 for k in range(count)))
    times = array("q", (k * 31 % 9000 for k in range(count)))
    whole = core.carbon(amounts, times, STARTS, VALUES)
    pieces = [core.carbon(amounts[at : at + 50], times[at : at + 50], STARTS, VALUES) for at in range(0, count, 50)]
    assert list(whole) == [product for piece in pieces for product in piece]
    assert list(core.multiply(amounts, 3)) == [3 * amount for amount in amounts]
    rises = array("q", (after - before for before, after in pairwise(amounts)))
    assert core.deltas(amounts, times, STARTS, VALUES) == core.carbon(rises, times[:-1], STARTS, VALUES)
    amounts[count - 2] = TOP
    with pytest.raises(ProductOverflow) as caught:
        core.carbon(amounts, times, STARTS, VALUES)
    assert caught.value.row == count - 2
