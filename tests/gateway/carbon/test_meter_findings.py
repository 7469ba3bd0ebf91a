"""The meter: late findings, lateness, evidence of a new begin, and steps of the clock."""

from collections.abc import Sequence

import pytest

from ext import Policy
from gateway.carbon.metering.meter import Meter
from gateway.carbon.metering.register_spec import RegisterSpec
from gateway.carbon.metering.sweep import Lateness
from gateway.store.flag import Flag
from gateway.store.registers import RegisterState
from tests.gateway.carbon.test_meter import (
    COUNTER,
    MIN,
    T0,
    counter,
    feed,
    meter,
    power,
    reading,
    restarted,
    rows,
    taken,
)

FALSE_RESET: Sequence[tuple[float, int]] = [(0, 100_000), (1, 0), (2, 3_000), (3, 5_000), (5, 5_001)]


def recovering() -> Meter:
    return meter(counter(COUNTER._replace(p_max_W=500_000)))


def test_a_false_reset_over_open_rows_leaves_no_trace_of_what_was_booked_since() -> None:
    m = recovering()
    feed(m, *FALSE_RESET[:-1], (4.5, 100_010), (5, 100_020))
    swept = m.sweep(T0 + 5 * MIN)
    assert rows(swept.intervals) == [(0, 5, 20_000)]
    assert swept.intervals.flags == [Flag.RECOVERED | Flag.INTERP_PROFILE]
    assert not swept.corrections


def test_a_false_reset_over_closed_rows_is_a_correction_that_replaces_them() -> None:
    m = recovering()
    feed(m, *FALSE_RESET, (6, 100_012), (10, 100_020))
    swept = m.sweep(T0 + 10 * MIN)
    # The reset was found at minute 3; what is closed stays as it was found.
    assert rows(swept.intervals) == [(0, 5, 5_001_000), (5, 10, 2_000 + 8_000)]
    (correction,) = swept.corrections
    assert correction.replaces
    assert [((t0 - T0) / MIN, (t1 - T0) / MIN, energy) for t0, t1, energy in correction.pieces] == [(0, 5, 10_000)]
    assert correction.run == f"recovered/m/energy0/{T0 + 6 * MIN}"
    assert not m.sweep(T0 + 10 * MIN)


def test_a_late_step_is_shared_with_closed_rows() -> None:
    m = meter(counter(COUNTER._replace(p_max_W=12_000)))
    feed(m, *((minute, 100) for minute in range(13)), (13, 3_000), (14, 3_000), (15, 3_000))
    swept = m.sweep(T0 + 15 * MIN)
    # 2900 Wh in 13 minutes, of which the last three were open: cumulative floor over the grid.
    assert rows(swept.intervals) == [(0, 5, 0), (5, 10, 0), (10, 15, 2_900_000 - 2_230_769)]
    (correction,) = swept.corrections
    assert not correction.replaces
    assert [energy for _, _, energy in correction.pieces] == [1_115_384, 1_115_385]


def test_findings_do_not_depend_on_when_rows_are_swept_nor_on_restarts() -> None:
    history = [*FALSE_RESET, (6, 100_012), (8, 100_014), (9, 100_010), (12, 100_020), (16, 100_040), (21, 100_060)]
    whole = recovering()
    feed(whole, *history)
    at_once = whole.sweep(T0 + 21 * MIN)
    broken, found, corrections = recovering(), [], []
    stored: list[RegisterState] = []
    for minutes, raw in history:
        feed(broken, (minutes, raw))
        swept = broken.sweep(T0 + int(minutes * MIN))
        found += rows(swept.intervals)
        corrections += swept.corrections
        stored = broken.states() or stored
        broken = recovering()
        broken.load(stored)
    assert found == rows(at_once.intervals)
    assert corrections == list(at_once.corrections)


def test_silent_and_held_registers_are_late_and_come_back() -> None:
    m = meter(counter(), counter(point=1))
    m.feed(reading(100, 100), T0)
    m.feed(reading(110, 110), T0 + 5 * MIN)
    assert not m.sweep(T0 + 5 * MIN).late
    assert not m.sweep(T0 + 6 * MIN).late
    for minute in range(6, 31):
        m.feed(reading(0, 110 + minute), T0 + minute * MIN)  # the first may have been reset, or may come back
    assert [tuple(late) for late in m.sweep(T0 + 30 * MIN).late] == [
        (("m", "energy0", "import"), T0 + 5 * MIN, Lateness.HELD)
    ]
    assert not m.sweep(T0 + 31 * MIN).late
    assert [(late.name.register, late.state) for late in m.sweep(T0 + 60 * MIN).late] == [("energy1", Lateness.SILENT)]
    stored = m.states()
    m = meter(counter(), counter(point=1))
    m.load(stored)
    assert not m.sweep(T0 + 61 * MIN).late
    m.feed(reading(140, 200), T0 + 62 * MIN)
    m.feed(reading(141, 201), T0 + 65 * MIN)
    assert [(late.name.register, late.state) for late in m.sweep(T0 + 66 * MIN).late] == [
        ("energy0", Lateness.NONE),
        ("energy1", Lateness.NONE),
    ]


def test_a_device_that_never_answers_is_late_after_a_while() -> None:
    m = meter(counter())
    assert not m.sweep(T0).late
    assert not m.sweep(T0 + 5 * MIN).late
    assert [tuple(late)[1:] for late in m.sweep(T0 + 10 * MIN).late] == [(None, Lateness.SILENT)]


def test_the_clock_step_marks_what_is_booked_next() -> None:
    m = meter(counter())
    feed(m, (0, 100), (1, 101))
    m.note_clock_step(0)
    m = restarted(m, counter())
    feed(m, (5, 103), (10, 110))
    assert taken(m).flags == [Flag.CLOCK_STEP | Flag.INTERP_PROFILE, Flag.INTERP_PROFILE]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_step_forward_is_missing_and_no_energy_is_spread_over_it(is_restarted: bool) -> None:
    m = meter(counter(), power())
    m.feed(reading(100), T0)
    m.feed(reading(110), T0 + 2 * MIN)
    m.note_clock_step(10 * MIN)
    assert m.newest_ms == T0 + 12 * MIN
    if is_restarted:
        m = restarted(m, counter(), power())
        assert m.newest_ms == T0 + 12 * MIN
    m.feed(reading(115), T0 + 13 * MIN)
    m.feed(reading(125), T0 + 15 * MIN)
    closed = taken(m)
    shape = [(0, 2), (2, 5), (5, 10), (10, 12), (12, 15)]
    assert [(begin, end) for begin, end, _ in rows(closed)] == 2 * shape
    by_counter, by_power = closed.energy_mWh[:5], closed.energy_mWh[5:]
    assert by_counter == [10_000, None, None, None, 15_000]
    # 105 W, then 112.5 W and 120 W, and the fraction of a mWh that was carried over the step.
    assert by_power == [3_500, None, None, None, 1_875 + 4_000]
    assert closed.flags == 2 * [0, *4 * [Flag.CLOCK_STEP]]


def test_a_rise_is_judged_by_the_time_that_passed_and_not_by_the_step() -> None:
    m = meter(counter())
    feed(m, (0, 100), (1, 101))
    m.note_clock_step(360 * MIN)
    feed(m, (362, 300_101), (363, 103), (365, 105))
    assert sum(energy or 0 for energy in taken(m).energy_mWh) == 5_000


def test_what_is_held_over_a_step_settles_after_it() -> None:
    m = meter(counter())
    feed(m, (0, 100), (4, 120), (6, 0))
    m.note_clock_step(60 * MIN)
    feed(m, (67, 0), (69, 5), (70, 6))  # it was a reset
    closed = taken(m)
    assert sum(energy or 0 for energy in closed.energy_mWh) == 20_000 + 6_000
    missing = [row[:2] for row in rows(closed) if row[2] is None]
    assert (missing[0][0], missing[-1][1]) == (4, 64)


@pytest.mark.parametrize("minutes", [2, 360])
def test_a_false_reset_is_undone_over_a_step(minutes: int) -> None:
    m = recovering()
    feed(m, *FALSE_RESET[:-1])
    m.note_clock_step(minutes * MIN)
    m = restarted(m, counter(COUNTER._replace(p_max_W=500_000)))
    feed(m, (4.5 + minutes, 100_010), (10 + minutes - minutes % 5, 100_020))
    swept = m.sweep(m.newest_ms)
    assert not swept.corrections
    assert all(energy is not None for energy in swept.intervals.energy_mWh)
    assert sum(energy or 0 for energy in swept.intervals.energy_mWh) == 20_000
    assert swept.intervals.flags[0] & Flag.CLOCK_STEP


def test_a_false_reset_over_closed_rows_is_undone_over_a_step() -> None:
    m = recovering()
    feed(m, *FALSE_RESET)
    m.note_clock_step(5 * MIN)
    feed(m, (11, 100_012), (15, 100_020))
    swept = m.sweep(T0 + 15 * MIN)
    (correction,) = swept.corrections
    assert correction.replaces
    open_mWh = sum(energy or 0 for (begin, _, energy) in rows(swept.intervals) if begin >= 5)
    assert sum(piece.energy_mWh for piece in correction.pieces) + open_mWh == 20_000


def test_a_step_before_a_reset_is_not_part_of_its_recovery() -> None:
    m = recovering()
    feed(m, (0, 100_000), (1, 100_000))
    m.note_clock_step(5 * MIN)
    feed(m, *((minutes + 6, raw) for minutes, raw in FALSE_RESET[1:-1]), (10.5, 100_010), (15, 100_020))
    closed = taken(m)
    assert sum(energy or 0 for energy in closed.energy_mWh) == 20_000
    assert [row[:2] for row in rows(closed) if row[2] is None] == [(1, 5), (5, 6)]


def test_a_gap_of_more_than_a_day_is_named() -> None:
    m = meter(counter())
    feed(m, (0, 100), (5, 101), (5 + 1441, 2_000), (1450, 2_001))
    closed = taken(m)
    (begin, end), count = (T0 + 5 * MIN, T0 + 1446 * MIN), len(closed)
    assert closed.gaps == [(row, begin, end) for row in range(1, count)]


def test_power_that_went_both_ways_has_rows_both_ways_from_then_on() -> None:
    m = meter(power("import"))
    feed(m, *((minute, 600) for minute in range(0, 6)), *((minute, -600) for minute in range(6, 11, 2)), (12, 600))
    feed(m, (14, 600), (15, 600), (20, 600))
    closed = taken(m)
    assert [row for r, row in zip(closed.r, rows(closed), strict=True) if r == 1] == [
        (5, 10, 42_500),
        (10, 15, 5_000),
        (15, 20, None),
    ]


def test_a_new_session_is_a_clean_reset_at_once() -> None:
    spec = RegisterSpec(
        device="m",
        register="session_energy",
        flow="consumption",
        point=0,
        max_gap_ms=3 * MIN,
        counter=COUNTER._replace(policy=Policy.SESSION),
        session=1,
    )
    m = meter(spec)
    m.feed(reading(500, 7), T0)
    m.feed(reading(510, 7), T0 + MIN)
    m = restarted(m, spec)
    m.feed(reading(4, 8), T0 + 2 * MIN)  # no second reading is needed to know
    m.feed(reading(10, 8), T0 + 5 * MIN)
    closed = taken(m)
    assert rows(closed) == [(0, 1, 10_000), (1, 5, 10_000)]
    assert closed.flags[1] & Flag.RESET


def test_an_uptime_that_fell_tells_a_reset_from_a_wrap() -> None:
    spec = counter(COUNTER._replace(modulus=1_000_000))
    with_uptime = RegisterSpec(
        device="m", register="energy0", flow="import", point=0, max_gap_ms=3 * MIN, counter=spec.counter, uptime=1
    )
    for each, energy in ((spec, 17_000), (with_uptime, 7_000)):
        m = meter(each)
        m.feed(reading(999_990, 86_400), T0)
        m.feed(reading(7, 12), T0 + 5 * MIN)
        assert rows(taken(m)) == [(0, 5, energy)]


def test_a_register_of_a_sleeping_device_is_late_as_asleep_until_that_is_no_sleep_any_more() -> None:
    m = meter(counter())
    feed(m, (0, 100), (5, 110))
    m.sweep(T0 + 5 * MIN)
    told = [
        [late.state for late in m.sweep(T0 + minute * MIN, asleep).late]
        for minute, asleep in ((30, {"m"}), (60, {"m"}), (90, set()), (120, {"other"}))
    ]
    assert told == [[Lateness.ASLEEP], [], [Lateness.SILENT], []]
    assert m.held() == {}


def test_sleep_is_known_after_a_restart() -> None:
    m = meter(counter())
    feed(m, (0, 100), (5, 110))
    m.sweep(T0 + 5 * MIN)
    m.sweep(T0 + 30 * MIN, {"m"})
    stored = m.states()
    m = meter(counter())
    assert m.asleep() == set()
    m.load(stored)
    assert m.asleep() == {"m"}


def test_the_registers_that_are_held_are_named_while_they_are() -> None:
    m = meter(counter(), counter(point=1))
    m.feed(reading(100, 100), T0)
    m.feed(reading(0, 101), T0 + MIN)
    assert m.held() == {"m": ["energy0"]}
