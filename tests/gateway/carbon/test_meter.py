"""The meter: what readings become, and what is known again after a restart."""

import json
from array import array
from collections.abc import Sequence

import pytest

from drivers.device import Reading
from ext import CounterSpec, Policy, Quality
from gateway.carbon.errors import StateError
from gateway.carbon.intervals import Intervals
from gateway.carbon.metering.meter import Meter
from gateway.carbon.metering.register_spec import RegisterSpec
from gateway.carbon.metering.sweep import Lateness
from gateway.store.flag import Flag
from gateway.store.registers import RegisterState
from gateway.store.row_class import RowClass

MIN = 60_000
T0 = 1_790_000_100_000 // (5 * MIN) * (5 * MIN)
COUNTER = CounterSpec(modulus=2**32, scale_num=1000, scale_den=1, p_max_W=50_000, refresh_s=60, jitter=1, policy=0)


def counter(spec: CounterSpec = COUNTER, point: int = 0) -> RegisterSpec:
    return RegisterSpec(
        device="m", register=f"energy{point}", flow="import", point=point, max_gap_ms=3 * MIN, counter=spec
    )


def power(flow: str = "import", num: int = 1000, den: int = 1) -> RegisterSpec:
    return RegisterSpec(
        device="m", register="power", flow=flow, point=0, max_gap_ms=3 * MIN, power_num=num, power_den=den
    )


def meter(*specs: RegisterSpec) -> Meter:
    return Meter(specs, 5 * MIN, lambda t0, t1: [])


def reading(*raws: int, exponent: int = 0, ulp: int = 0, quality: Quality = Quality.OK, device: str = "m") -> Reading:
    count = len(raws)
    return Reading(
        device=device,
        mono_ns=0,
        values=array("d", [0.0]) * count,
        raws=array("q", raws),
        exponents=array("b", [exponent]) * count,
        ulps=array("q", [ulp]) * count,
        quality=array("B", [quality]) * count,
        texts={},
    )


def feed(to: Meter, *readings: tuple[float, int]) -> None:
    """Readings of one point: minutes after T0 and counts."""
    for minutes, raw in readings:
        to.feed(reading(raw), T0 + int(minutes * MIN))


def rows(intervals: Intervals) -> list[tuple[float, float, int | None]]:
    times = zip(intervals.t0_ms, intervals.t1_ms, intervals.energy_mWh, strict=True)
    return [((t0 - T0) / MIN, (t1 - T0) / MIN, energy) for t0, t1, energy in times]


def taken(m: Meter) -> Intervals:
    return m.sweep(m.newest_ms).intervals


def restarted(before: Meter, *specs: RegisterSpec) -> Meter:
    after = meter(*specs)
    after.load(before.states())
    return after


def test_a_row_closes_when_a_reading_at_or_after_its_end_is_there() -> None:
    m = meter(counter())
    feed(m, (0, 100), (2, 110), (4, 120))
    assert len(taken(m)) == 0
    feed(m, (6, 140))
    closed = taken(m)
    assert rows(closed) == [(0, 5, 30_000)]
    assert (closed.raw_begin, closed.raw_end) == ([100], [120])
    assert [tuple(name) for name in closed.registers] == [("m", "energy0", "import")]
    assert len(taken(m)) == 0
    feed(m, (10, 150))
    assert rows(taken(m)) == [(5, 10, 20_000)]


def test_only_ok_values_count_and_other_devices_are_none_of_its_business() -> None:
    m = meter(counter())
    feed(m, (0, 100))
    for quality in Quality:
        if quality != Quality.OK:
            m.feed(reading(0, quality=quality), T0 + MIN)
    m.feed(reading(0, device="stranger"), T0 + MIN)
    feed(m, (5, 130))
    assert rows(taken(m)) == [(0, 5, 30_000)]


def test_a_reading_that_is_not_later_changes_nothing() -> None:
    m = meter(counter())
    feed(m, (0, 100), (4, 120), (3, 119), (4, 121), (5, 130))
    assert rows(taken(m)) == [(0, 5, 30_000)]


def test_a_held_reading_closes_nothing() -> None:
    m = meter(counter())
    feed(m, (0, 100), (4, 120), (11, 0))
    assert len(taken(m)) == 0
    feed(m, (12, 0), (16, 5))  # it was a reset: 5 counts since, the rest is lost
    closed = taken(m)
    assert rows(closed) == [(0, 4, 20_000), (4, 5, 416), (5, 10, 2084), (10, 15, 2083)]
    assert closed.epoch[0] + 1 == closed.epoch[1]
    assert closed.flags[1] == Flag.RESET | Flag.LOWER_BOUND | Flag.INTERP_PROFILE


def test_what_a_gap_hides_is_measured_in_total_and_flagged() -> None:
    m = meter(counter())
    feed(m, (0, 100), (1, 101), (11, 201), (12, 210))
    closed = taken(m)
    assert [(row[2], Flag.INTERP_PROFILE & flags) for row, flags in zip(rows(closed), closed.flags, strict=True)] == [
        (1_000 + 40_000, Flag.INTERP_PROFILE),
        (50_000, Flag.INTERP_PROFILE),
    ]


def test_a_wrap_is_flagged_and_exact() -> None:
    m = meter(counter(COUNTER._replace(modulus=1_000_000)))
    feed(m, (0, 999_990), (5, 7))
    closed = taken(m)
    assert (rows(closed), closed.flags) == ([(0, 5, 17_000)], [Flag.WRAP | Flag.INTERP_PROFILE])


def test_an_impossible_rise_that_stays_is_suspect_with_bounds() -> None:
    m = meter(counter())
    feed(m, (0, 100))
    notices = [notice for minute in range(1, 6) for notice in m.feed(reading(10_000_000 + minute), T0 + minute * MIN)]
    closed = taken(m)
    assert closed.row_class == [RowClass.SUSPECT, RowClass.MEASURED]
    assert rows(closed)[0][2] == 0
    ((row, bounds),) = closed.bounds
    assert (row, bounds.lo_mWh, bounds.hi_mWh) == (0, 0, 9_999_901_000)
    assert [(notice.what, notice.device) for notice in notices] == [("jump_rebased", "m")]


def test_another_device_under_the_same_name() -> None:
    m = meter(counter())
    m.note_identity("m", "A")
    feed(m, (0, 100), (1, 110))
    m.note_identity("m", None)
    m.note_identity("m", "A")
    feed(m, (2, 120))
    m.saved()
    m.states()
    m.saved()
    assert not m.needs_checkpoint
    m.note_identity("m", "B")
    feed(m, (3, 90_000), (5, 90_010))
    assert m.needs_checkpoint
    closed = taken(m)
    assert rows(closed) == [(0, 2, 20_000), (2, 3, None), (3, 5, 10_000)]
    assert (closed.row_class[1], closed.flags[1]) == (RowClass.MISSING, Flag.SWAP)
    assert closed.epoch[0] < closed.epoch[1] == closed.epoch[2]


def test_the_identity_survives_a_restart() -> None:
    m = meter(counter())
    m.note_identity("m", "A")
    feed(m, (0, 100), (1, 110))
    m = restarted(m, counter())
    m.note_identity("m", "B")
    feed(m, (2, 120), (5, 130))
    assert rows(taken(m)) == [(0, 1, 10_000), (1, 2, None), (2, 5, 10_000)]


def test_the_power_of_ten_scales_and_its_change_is_a_swap() -> None:
    m = meter(counter(), counter(point=1))
    for minute, exponent, raw in ((0, 1, 100), (1, 1, 101), (2, 0, 1020), (5, 0, 1025)):
        m.feed(reading(raw, raw, exponent=exponent), T0 + minute * MIN)
    closed = taken(m)
    assert rows(closed) == 2 * [(0, 1, 10_000), (1, 2, None), (2, 5, 5_000)]
    assert closed.r == [0, 0, 0, 1, 1, 1]


def test_an_exponent_that_no_counter_has_is_not_a_value() -> None:
    m = meter(counter())
    feed(m, (0, 100))
    m.feed(reading(101, exponent=10), T0 + MIN)
    feed(m, (5, 105))
    assert rows(taken(m)) == [(0, 5, 5_000)]


def test_power_is_integrated_and_its_other_direction_is_another_register() -> None:
    m = meter(power("import"))
    feed(m, (0, 600), (1.5, -300), (4, -300), (5, -300), (10, -300), (11, 0))  # vector I10, then export
    closed = taken(m)
    assert [tuple(name) for name in closed.registers] == [
        ("m", "power", "import"),
        ("m", "power_reverse", "export"),
    ]
    by_register = list(zip(closed.r, rows(closed), strict=True))
    assert by_register == [
        (0, (0, 5, 5_000)),
        (0, (5, 10, None)),  # five minutes without a sample
        (1, (0, 5, 1_250 + 17_500)),
        (1, (5, 10, None)),  # nor is the other way known
    ]
    assert set(closed.raw_begin) == {None}


def test_power_scales_exactly() -> None:
    m = meter(power(num=1, den=3))
    m.feed(reading(10_000, exponent=3), T0)
    m.feed(reading(10_000, exponent=3), T0 + 2 * MIN)
    feed(m, (5, 0))
    # 10^7 / 3 mW for two minutes, then down to nothing in three (a gap is longer than three).
    assert rows(taken(m)) == [(0, 5, 111_111 + 83_333)]


def test_a_sample_beyond_all_measure_is_set_aside() -> None:
    m = meter(power())
    feed(m, (0, 1000))
    notices = m.feed(reading(2**62), T0 + MIN) + m.feed(reading(2 * 10**9), T0 + 2 * MIN)
    assert [(notice.what, notice.device) for notice in notices] == 2 * [("overflow", "m")]
    feed(m, (3, 1000), (5, 1000))
    assert rows(taken(m)) == [(0, 5, 83_333)]


def test_first_readings_must_be_stored_at_once() -> None:
    m = meter(counter())
    assert not m.needs_checkpoint
    feed(m, (0, 100))
    assert m.needs_checkpoint
    assert len(m.states()) == 1
    assert m.needs_checkpoint  # not durable yet
    m.saved()
    assert not m.needs_checkpoint
    feed(m, (1, 101))
    assert not m.needs_checkpoint
    assert [state[:2] for state in m.states()] == [("m", "energy0")]


def test_states_are_given_again_until_they_are_saved() -> None:
    m = meter(counter(), counter(point=1))
    m.feed(reading(1, 1), T0)
    first = m.states()
    assert m.states() == first
    m.feed(reading(2, 2), T0 + MIN)
    m.saved()
    assert [state[1] for state in m.states()] == ["energy0", "energy1"]
    m.saved()
    assert m.states() == []


def test_a_reload_goes_on_exactly() -> None:
    specs = (counter(), counter(point=1))
    history = [(0, 100), (1.5, 110), (4, 130), (7, 0), (8, 3), (11, 8), (16, 40)]
    straight = meter(*specs)
    broken = meter(*specs)
    for minutes, raw in history:
        for each in (straight, broken):
            each.feed(reading(raw, 2 * raw), T0 + int(minutes * MIN))
        broken = restarted(broken, *specs)
    assert broken.newest_ms == straight.newest_ms == T0 + 16 * MIN
    assert taken(broken) == taken(straight)


def test_a_register_of_a_device_that_is_gone_is_left_alone() -> None:
    m = meter(counter())
    feed(m, (0, 100))
    assert restarted(m, power()).newest_ms == 0


def test_a_register_that_is_measured_another_way_begins_anew() -> None:
    m = meter(counter())
    feed(m, (0, 100), (4, 200))
    same_name = RegisterSpec(device="m", register="energy0", flow="import", point=0, max_gap_ms=3 * MIN)
    m = restarted(m, same_name)
    feed(m, (6, 50), (8, 50), (10, 50))
    assert rows(taken(m))[0] == (0, 4, 100_000)


@pytest.mark.parametrize("text", ["", "{}", "[9,null,null,null,null]", '[1,"counter",[0,1,2],"",[0,[]]]'])
def test_a_state_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(StateError, match="register energy0 of device m cannot be read"):
        meter(counter()).load([("m", "energy0", text)])


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


def test_a_device_that_never_answers_is_late_after_a_while() -> None:
    m = meter(counter())
    assert not m.sweep(T0).late
    assert not m.sweep(T0 + 5 * MIN).late
    assert [tuple(late)[1:] for late in m.sweep(T0 + 10 * MIN).late] == [(None, Lateness.SILENT)]


def test_the_clock_step_marks_what_is_booked_next() -> None:
    m = meter(counter())
    feed(m, (0, 100), (1, 101))
    m.note_clock_step()
    feed(m, (5, 103), (10, 110))
    assert taken(m).flags == [Flag.CLOCK_STEP | Flag.INTERP_PROFILE, Flag.INTERP_PROFILE]


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


def test_a_state_of_the_version_before_is_taken_over() -> None:
    m = meter(counter())
    feed(m, (0, 100), (4, 120))
    ((device, register, text),) = m.states()
    _, kind, table, identity, (closed_until, open_rows, _), *_ = json.loads(text)
    before = json.dumps([1, kind, table, identity, [closed_until, [row[:-1] for row in open_rows]]])
    m = meter(counter())
    m.load([(device, register, before)])
    feed(m, (5, 130))
    assert rows(taken(m)) == [(0, 5, 30_000)]
