"""The decision table of carbon-method.md, section 3, row by row."""

import pytest

from ext.event_kind import EventKind as K
from ext.policy import Policy

HOUR = 3600
DAY = 86_400


def test_first_books_nothing_and_names_its_epoch(meter):
    m = meter()
    assert not m.table.has_state(0)
    assert m.table.settled_ms(0) == -1
    (event,) = m.read(10, 77)
    assert event == (K.FIRST, 10_000, 10_000, 0, 77, 77, 0, 0, 1)
    assert m.table.has_state(0)
    assert m.table.settled_ms(0) == 10_000


def test_emax_is_compared_exactly(meter):
    # 30 W over (40 + 60) s times 6/5 is 1000 mWh, plus two counts: 1002 counts of 1 mWh and not one more.
    assert meter(scale_num=1, p_max_W=30).read_each(40, [0, 1002]).kinds == [K.FIRST, K.OK]
    assert meter(scale_num=1, p_max_W=30).read_each(40, [0, 1003]).kinds == [K.FIRST]
    # The same in thirds of a mWh.
    assert meter(scale_num=1, scale_den=3, p_max_W=30).read_each(40, [0, 3002]).kinds == [K.FIRST, K.OK]
    assert meter(scale_num=1, scale_den=3, p_max_W=30).read_each(40, [0, 3003]).kinds == [K.FIRST]


def test_fractions_of_a_mwh_are_carried(meter):
    m = meter(scale_num=1, scale_den=3).read_each(60, range(8))
    assert [e.energy_mWh for e in m.events] == [0, 0, 0, 1, 0, 0, 1, 0]


def test_a_step_is_held_until_the_next_reading_confirms_it(meter):
    m = meter().read_each(300, [1000] * 5)
    assert m.read(1500, 1200) == []  # 20 kWh in five minutes: too fast, unless it piled up for 25
    assert m.table.held(0)
    assert m.table.settled_ms(0) == 1_200_000
    step, after = m.read(1800, 1201)
    assert step == (K.STEP, 0, 1_500_000, 20_000_000, 1000, 1200, 20_000_000, 20_000_000, 1)
    assert after == (K.OK, 1_500_000, 1_800_000, 100_000, 1200, 1201, 100_000, 100_000, 1)
    assert not m.table.held(0)


def test_a_step_that_is_not_confirmed_is_a_glitch(meter):
    m = meter().read_each(300, [1000] * 5 + [1200, 1001])
    assert m.kinds[-1] == K.GLITCH
    assert m.total_mWh == 100_000


def test_a_held_reading_may_be_withdrawn_by_jitter(meter):
    m = meter().read_each(300, [1000, 9000, 999])
    assert m.kinds == [K.FIRST, K.GLITCH]
    assert m.total_mWh == 0
    assert not m.table.held(0)


def test_jitter_moves_the_time_and_not_the_counts(meter):
    m = meter().read_each(300, [100, 99])
    assert m.events[-1] == (K.JITTER, 0, 300_000, 0, 100, 100, 0, 0, 1)
    assert m.table.settled_ms(0) == 300_000
    assert m.read(600, 101)[0] == (K.OK, 300_000, 600_000, 100_000, 100, 101, 100_000, 100_000, 1)
    assert meter(jitter=2).read_each(300, [100, 98]).kinds == [K.FIRST, K.JITTER]
    assert meter().read_each(300, [100, 98]).kinds == [K.FIRST]  # two counts are pending


def test_a_wrap_books_the_way_round(meter):
    # 16 bits: 6 counts up to the turn and 5 from it; 12 more after it.
    m = meter(modulus=65_536).read_each(300, [65_530, 5, 17])
    assert m.events[1] == (K.WRAP, 0, 300_000, 1_100_000, 65_530, 5, 1_100_000, 1_100_000, 1)
    assert m.events[2] == (K.OK, 300_000, 600_000, 1_200_000, 5, 17, 1_200_000, 1_200_000, 1)
    # As far round as 6 kWh in five minutes and one of refresh, and not one count more.
    assert meter(modulus=65_536).read_each(300, [65_530, 56]).kinds == [K.FIRST, K.WRAP]
    assert meter(modulus=65_536).read_each(300, [65_530, 57]).kinds == [K.FIRST]


def test_a_reset_is_a_lower_bound_from_zero(meter):
    m = meter().read_each(300, [100_000, 3, 8])
    assert m.events[1:] == [(K.RESET, 0, 600_000, 800_000, 100_000, 8, 800_000, 800_000, 2)]


def test_a_possible_turn_begins_at_its_exact_time(meter):
    # 50 kW with refresh_s 0: (65,536 - 2) counts of 100,000 mWh take 393,204 s at 6/5 of it.
    for t_ms, kind in ((393_203_999, K.OK), (393_204_000, K.AMBIGUOUS_WRAP)):
        m = meter(modulus=65_536, refresh_s=0)
        m.read(0, 10)
        assert [event.kind for event in m.read(t_ms / 1000, 11)] == [kind]


def test_a_late_large_rise_is_plain_once_time_has_made_it_plausible(meter):
    m = meter().read_each(300, [1000, 1200])
    assert m.table.held(0)
    (event,) = m.read(HOUR, 1200)
    assert (event.kind, event.energy_mWh, event.t0_ms) == (K.OK, 20_000_000, 0)


def test_three_readings_turn_a_jump_into_a_suspect_base(meter):
    m = meter().read_each(10, [1000, 9000, 9000, 9001])
    assert m.kinds == [K.FIRST]
    assert m.table.held(0)
    rebased, after = m.read(40, 9001)
    assert rebased == (K.JUMP_REBASED, 0, 10_000, 0, 1000, 9000, 0, 800_000_000, 1)
    assert after == (K.OK, 10_000, 40_000, 100_000, 9000, 9001, 100_000, 100_000, 1)
    assert m.read(50, 9002)[0].energy_mWh == 100_000


def test_a_jump_after_a_jump_begins_counting_anew(meter):
    m = meter().read_each(10, [1000, 9000, 9000, 70_000, 70_000, 70_000])
    assert m.kinds == [K.FIRST]
    rebased, _ = m.read(60, 70_000)
    assert (rebased.raw_end, rebased.t1_ms) == (70_000, 30_000)


def test_a_possible_whole_turn_is_suspect_whatever_the_sign(meter):
    for raw, counts in ((65_000, 5000), (100, 65_536 - 60_000 + 100)):
        m = meter(modulus=65_536)
        m.read(0, 60_000)
        (event,) = m.read(200 * HOUR, raw)
        assert (event.kind, event.energy_mWh, event.lo_mWh) == (K.AMBIGUOUS_WRAP, 0, counts * 100_000)
        # 50 kW over 200 h and the 60 s of refresh, times 6/5, plus two counts.
        assert event.hi_mWh == 50_000 * (200 * HOUR + 60) * 6 // 18 + 200_000
        assert m.read(200 * HOUR + 60, raw + 1)[0].energy_mWh == 100_000


def test_a_wrap_is_asked_before_a_reset(meter):
    m = meter(modulus=65_536)
    m.read(0, 65_530)
    m.table.reset_hint(0)
    (event,) = m.read(300, 5)
    assert (event.kind, event.energy_mWh) == (K.RESET, 500_000)  # boot evidence is the exception
    assert meter(modulus=65_536).read_each(300, [65_530, 5]).kinds[-1] == K.WRAP


def test_boot_evidence_resets_at_once_and_serves_one_reading(meter):
    m = meter().read_each(300, [100_000])
    m.table.reset_hint(0)
    assert [e.kind for e in m.read(300, 3)] == [K.RESET]
    assert m.events[-1].epoch == 2
    assert m.read(600, 1) == []  # no hint any more: pending


def test_a_zero_that_stays_zero_stays_pending(meter):
    m = meter().read_each(300, [100_000, 0, 0, 0, 0])
    assert m.kinds == [K.FIRST]
    assert m.table.held(0)
    assert m.table.settled_ms(0) == 0
    assert m.read(1500, 100_001)[0].kind == K.GLITCH


def test_boot_evidence_settles_a_pending_zero(meter):
    m = meter().read_each(300, [100_000, 0])
    m.table.reset_hint(0)
    (event,) = m.read(600, 0)
    assert (event.kind, event.energy_mWh) == (K.RESET, 0)


def test_glitch_or_reset_books_the_smaller_and_disputes_the_rest(meter):
    m = meter().read_each(300, [20, 3, 25])
    event = m.events[-1]
    assert event == (K.AMBIGUOUS, 0, 600_000, 500_000, 20, 25, 500_000, 2_500_000, 1)


def test_progress_from_an_impossible_value_is_a_swap(meter):
    m = meter().read_each(300, [100_000, 50_000, 50_002])
    assert [(e.kind, e.energy_mWh, e.t0_ms, e.t1_ms, e.epoch) for e in m.events[1:]] == [
        (K.SWAP, 0, 0, 300_000, 2),
        (K.OK, 200_000, 300_000, 600_000, 2),
    ]


def test_nothing_fits_and_the_new_reading_is_pending(meter):
    m = meter().read_each(300, [100_000, 50_000, 7])
    assert m.kinds == [K.FIRST]
    assert m.read(900, 8)[0].kind == K.RESET


def test_a_swap_opens_an_epoch_and_drops_what_was_held(meter):
    m = meter().read_each(10, [1000, 9000])
    m.table.swap(0)
    (event,) = m.read(20, 4)
    assert event == (K.SWAP, 0, 20_000, 0, 1000, 4, 0, 0, 2)
    assert m.read(30, 5)[0].kind == K.OK


def test_swap_and_hint_before_the_first_reading_change_nothing(meter):
    m = meter()
    m.table.swap(0)
    m.table.reset_hint(0)
    assert m.read_each(10, [5, 6]).kinds == [K.FIRST, K.OK]


def test_a_false_reset_is_recovered(meter):
    m = meter().read_each(300, [50_000, 0, 1, 3, 50_006])
    assert m.kinds == [K.FIRST, K.RESET, K.OK, K.RECOVERED]
    # 0.6 kWh since the last good reading, 0.3 kWh of it booked already as counts from zero.
    assert m.events[-1] == (K.RECOVERED, 0, 1_200_000, 300_000, 50_000, 50_006, 600_000, 600_000, 3)
    assert m.total_mWh == 600_000
    assert m.read(1500, 50_007)[0].kind == K.OK


def test_a_recovery_can_be_negative(meter):
    m = meter().read_each(300, [50_000, 0, 1, 3, 50_001])
    assert (m.events[-1].energy_mWh, m.events[-1].lo_mWh, m.events[-1].hi_mWh) == (-200_000, 100_000, 100_000)
    assert m.total_mWh == 100_000


def test_recovery_restores_the_carry_of_the_old_epoch(meter):
    thirds = {"scale_num": 100, "scale_den": 3, "p_max_W": 1, "modulus": 2**31}
    m = meter(**thirds).read_each(10, [50_000, 50_001, 0, 1, 50_002])
    assert m.kinds[-1] == K.RECOVERED
    assert m.total_mWh == 66
    undisturbed = meter(**thirds).read_each(10, [50_000, 50_001, 50_001, 50_001, 50_002])
    carry = 10
    assert m.table.state(0)[carry] == undisturbed.table.state(0)[carry] == 2


def test_the_old_epoch_is_forgotten_after_a_day(meter):
    m = meter().read_each(300, [500_000, 0, 1])
    m.read(600 + DAY + 1, 2)
    assert m.read(900 + DAY, 500_001) == []
    assert m.table.held(0)


def test_time_that_stands_still_or_goes_back_is_refused(meter):
    m = meter().read_each(10, [100, 101])
    for t in (10, 5):
        assert m.read(t, 105) == [(K.TURNED_BACK, 10_000, 10_000, 0, 101, 101, 0, 0, 1)]
    assert m.read(20, 105)[0].energy_mWh == 400_000


def test_a_held_reading_counts_for_the_order_of_time(meter):
    m = meter().read_each(10, [100, 9000])
    assert m.read(10, 9000)[0].kind == K.TURNED_BACK


@pytest.mark.parametrize("raw", [-1, 65_536, 2**63 - 1])
def test_counts_outside_the_modulus_are_refused(meter, raw):
    m = meter(modulus=65_536)
    assert m.read(0, raw) == [(K.INVALID, 0, 0, 0, 0, 0, 0, 0, 0)]
    assert not m.table.has_state(0)
    m.read(1, 100)
    assert m.read(2, raw) == [(K.INVALID, 1000, 1000, 0, 100, 100, 0, 0, 1)]


# --- Daily counters (3.1) ---

DAILY = {"policy": Policy.DAILY, "modulus": 65_536}


def test_a_daily_counter_that_falls_began_a_new_cycle(meter):
    m = meter(**DAILY).read_each(300, [200, 201, 2, 4])
    assert m.kinds == [K.FIRST, K.OK, K.CYCLE_END, K.OK]
    assert m.events[2].energy_mWh == 200_000
    assert m.events[2].t0_ms == 300_000


def test_a_daily_blip_is_jitter_and_not_a_day(meter):
    # 215.6 kWh that show 215.5 once (grott issue 99).
    m = meter(**DAILY).read_each(300, [2155, 2156, 2155, 2156])
    assert m.total_mWh == 100_000


def test_a_daily_dip_is_recovered(meter):
    m = meter(**DAILY).read_each(300, [2155, 0, 2156])
    assert m.kinds == [K.FIRST, K.CYCLE_END, K.RECOVERED]
    assert m.total_mWh == 100_000


def test_a_daily_counter_does_not_wrap_and_its_top_bit_is_an_underflow(meter):
    m = meter(**DAILY)
    m.read(0, 32_767)
    assert m.read(300, 32_768)[0].kind == K.INVALID
    assert m.read(600, 1)[0].kind == K.CYCLE_END
    assert meter(policy=Policy.DAILY, modulus=10**5).read_each(300, [60_000]).kinds == [K.FIRST]


def test_an_implausible_fall_of_a_daily_counter_is_pending(meter):
    m = meter(**DAILY).read_each(300, [20_000, 12_000, 20_001])
    assert m.kinds == [K.FIRST, K.GLITCH]


def test_yesterdays_value_is_stale_until_it_falls(meter):
    m = meter(**DAILY, cycle_start_s=57_600)  # 16:00 UTC is midnight in Shanghai
    for t, raw in ((57_000, 200), (57_500, 201), (57_700, 201), (58_000, 202), (58_300, 1), (58_600, 3)):
        m.read(t, raw)
    assert m.kinds == [K.FIRST, K.OK, K.STALE_DAY, K.STALE_DAY, K.CYCLE_END, K.OK]
    assert m.total_mWh == 100_000 + 100_000 + 200_000


def test_a_cycle_begins_at_the_devices_midnight_when_that_is_known(meter):
    for t_before, t0_ms in ((57_000, 57_600_000), (57_700, 57_700_000)):
        m = meter(**DAILY, cycle_start_s=57_600)
        m.read(t_before, 200)
        (event,) = m.read(58_000, 2)
        assert (event.kind, event.t0_ms) == (K.CYCLE_END, t0_ms)


def test_a_day_that_ended_with_nothing_is_not_stale(meter):
    m = meter(**DAILY, cycle_start_s=0)
    for t, raw in ((DAY - 300, 0), (DAY, 0), (DAY + 300, 4), (DAY + 600, 6)):
        m.read(t, raw)
    assert m.kinds == [K.FIRST, K.OK, K.OK, K.OK]
    assert m.total_mWh == 600_000


# --- Session counters (3.2) ---


def test_a_new_session_is_a_clean_reset_even_of_one_count(meter):
    m = meter(policy=Policy.SESSION).read_each(300, [1])
    m.table.reset_hint(0)
    assert [e.kind for e in m.read(300, 0)] == [K.RESET]
    assert m.read(600, 4)[0].energy_mWh == 400_000


def test_a_new_session_is_never_taken_back(meter):
    m = meter(policy=Policy.SESSION).read_each(300, [5000])
    m.table.reset_hint(0)
    m.read(300, 0)
    assert m.read(600, 5001) == []
    assert m.table.held(0)


def test_the_same_session_follows_the_table(meter):
    m = meter(policy=Policy.SESSION).read_each(300, [500, 0, 501])
    assert m.kinds == [K.FIRST, K.GLITCH]


# --- Float counters (3.3) ---

FLOAT = {"modulus": 0, "scale_num": 1, "p_max_W": 100, "refresh_s": 1, "jitter": 1}


def test_one_unit_in_the_last_place_is_always_accepted(meter):
    ulp = 15_625  # of a float32 near 200,000 kWh
    m = meter(**FLOAT)
    m.read(0, 200_000_000_000, ulp)
    assert m.read(1, 200_000_000_000 + ulp, ulp)[0].kind == K.OK
    assert m.read(2, 200_000_000_000, ulp)[0].kind == K.JITTER
    assert m.read(3, 200_000_000_000 + 3 * ulp, ulp) == []
    assert m.total_mWh == ulp


def test_a_float_counter_never_wraps_and_refuses_negative_values(meter):
    m = meter(**FLOAT)
    m.read(0, 5_000_000, 1)
    assert m.read(1000 * HOUR, 10, 1) == []
    assert m.read(1001 * HOUR, -10, 1)[0].kind == K.INVALID
