"""What devices of real sites do with their counters, from wake-up zeros to torn words: nothing false is booked."""

import random
from collections.abc import Sequence

import pytest

from gateway.carbon.metering.meter import Meter
from gateway.store.flag import Flag
from tests.gateway.carbon.test_meter import COUNTER, MIN, T0, counter, feed, meter, reading

Series = Sequence[tuple[float, int]]


def booked_mWh(m: Meter) -> int:
    """What the closed rows say; the series end at a grid line."""
    swept = m.sweep(T0 + 40 * 60 * MIN)
    assert not swept.corrections
    return sum(energy or 0 for energy in swept.intervals.energy_mWh)


def steady(begin_min: int, end_min: int, raw: int, step: int = 10) -> list[tuple[float, int]]:
    return [(minute, raw + step * (minute - begin_min)) for minute in range(begin_min, end_min)]


@pytest.mark.parametrize("zeros", [1, 2, 10])
def test_f2_a_total_that_is_zero_for_minutes_at_wake_up_is_not_booked(zeros: int) -> None:
    m = meter(counter())
    feed(m, *steady(0, 5, 1_000_000))
    morning = 10 * 60
    feed(m, *((morning + n, 0) for n in range(zeros)))
    feed(m, *steady(morning + zeros, morning + 21, 1_000_040))
    assert booked_mWh(m) == (40 + 10 * (20 - zeros)) * 1000


@pytest.mark.parametrize(
    ("series", "energy_mWh"),
    [
        pytest.param([*steady(0, 5, 5000), (5, 0), *steady(6, 21, 5060)], 200_000, id="one zero by day"),
        pytest.param([*steady(0, 5, 5000), (5, 5_050_000), *steady(6, 21, 5060)], 200_000, id="a spike of 1000"),
        pytest.param([*steady(0, 5, 5000), (5, 5039), *steady(6, 21, 5060)], 200_000, id="jitter of one count"),
        pytest.param([*steady(0, 5, 5000), (5, 0), *steady(6, 21, 10)], 40_000 + 150_000, id="a reboot to zero"),
        pytest.param([*steady(0, 5, 5000), *((n, 0xFFFFFF00) for n in range(5, 21))], 40_000, id="an absurd constant"),
    ],
)
def test_g1_a_counter_that_goes_back_or_jumps_books_what_it_may(series: Series, energy_mWh: int) -> None:
    m = meter(counter())
    feed(m, *series)
    assert booked_mWh(m) == energy_mWh


@pytest.mark.parametrize("modulus", [2**16, 2**32, 1_000_000], ids=["2^16", "2^32", "9999.99 kWh"])
def test_g2_a_turn_over_is_exact(modulus: int) -> None:
    m = meter(counter(COUNTER._replace(modulus=modulus)))
    feed(m, *((n, (modulus - 30 + 10 * n) % modulus) for n in range(11)))
    swept = m.sweep(T0 + 10 * MIN).intervals
    assert sum(energy or 0 for energy in swept.energy_mWh) == 100_000
    assert any(Flag.WRAP in Flag(flags) for flags in swept.flags)


@pytest.mark.parametrize("seed", range(20))
def test_g3_a_device_that_tears_its_words_books_no_wrong_energy(seed: int) -> None:
    """It moves on to the next 65536 between the two words of one read: the high word is old, or the low one."""
    chance = random.Random(seed)
    m = meter(counter())
    true = 3 * 65_536 - 500
    for minute in range(201):
        before, true = true, true + chance.randrange(1, 12)
        torn = (before & 0xFFFF0000) | (true & 0xFFFF) if seed % 2 else (true & 0xFFFF0000) | (before & 0xFFFF)
        has_torn = before >> 16 != true >> 16
        feed(m, (minute, torn if has_torn else true))
        if minute == 0:
            begin = true
    assert true > 3 * 65_536
    assert booked_mWh(m) == (true - begin) * 1000


@pytest.mark.parametrize("exponent", [-1, 1, 3])
def test_g4_a_scale_factor_that_changes_at_run_time_books_no_wrong_energy(exponent: int) -> None:
    m = meter(counter())
    feed(m, *steady(0, 5, 5000))
    raw = int(5050 * 10.0**-exponent)
    for minute in range(5, 21):
        m.feed(reading(raw + minute - 5, exponent=exponent), T0 + minute * MIN)
    # A counter of another scale is another one: the minute of the change is missing, and told.
    assert booked_mWh(m) == 40_000 + 15 * int(1000 * 10.0**exponent)
