"""Dates come from the monotonic clock and from who vouches for the wall clock; they never go back by themselves."""

import pytest

from gateway.clock import EARLIEST_MS, Anchor, Dating
from tests.hand_clock import HandClock

YEAR = 365 * 86_400_000


def dating_of(clock: HandClock) -> Dating:
    return Dating(clock, [clock.witness])


@pytest.mark.parametrize("wall_ms", [0, EARLIEST_MS - 14 * 86_400_000, EARLIEST_MS + YEAR])
def test_nothing_is_dated_until_somebody_vouches_for_the_clock_however_plausible_it_is(wall_ms: int) -> None:
    clock = HandClock(wall_ms, vouched=False)
    dating = dating_of(clock)
    stamp = clock.mono_ns()
    for _ in range(100):
        assert dating.observe() is None
        clock.pass_ms(1_000)
    assert (dating.trusted, dating.date_ms(stamp)) == (False, None)
    clock.wall, clock.vouched = EARLIEST_MS + 100_000, True
    step = dating.observe()
    assert step is not None
    assert not step.adopted
    assert dating.date_ms(stamp) == EARLIEST_MS


def test_slow_drift_is_followed_without_a_step() -> None:
    clock = HandClock(EARLIEST_MS)
    dating = dating_of(clock)
    for ahead_ms in (2, -2):
        for _ in range(100):
            clock.pass_ms(1_000)
            clock.wall += ahead_ms
            assert dating.observe() is None
        assert dating.now_ms() == clock.wall


def test_half_a_second_back_is_caught_up_with_while_dates_go_on() -> None:
    clock = HandClock(EARLIEST_MS)
    dating = dating_of(clock)
    dating.observe()
    clock.wall -= 500
    before = dating.now_ms()
    for _ in range(6):
        assert dating.observe() is None
        clock.pass_ms(200)  # the shortest period of a device
        assert dating.now_ms() > before
        before = dating.now_ms()
    assert dating.now_ms() == clock.wall


@pytest.mark.parametrize("by_ms", [3_600_000, -3_600_000])
def test_a_step_that_is_vouched_for_is_reported_and_adopted(by_ms: int) -> None:
    clock = HandClock(EARLIEST_MS)
    dating = dating_of(clock)
    dating.observe()
    clock.wall += by_ms
    step = dating.observe()
    assert step is not None
    assert (step.by_ms, step.adopted, step.told) == (by_ms, True, False)
    assert (dating.now_ms(), dating.astray_ms) == (clock.wall, 0)
    assert dating.observe() is None


@pytest.mark.parametrize("by_ms", [3_600_000, -3_600_000, YEAR])
def test_a_step_that_nobody_vouches_for_is_reported_once_and_not_followed(by_ms: int) -> None:
    clock = HandClock(EARLIEST_MS)
    dating = dating_of(clock)
    dating.observe()
    clock.vouched = False
    clock.wall += by_ms
    step = dating.observe()
    assert step is not None
    assert (step.by_ms, step.adopted, step.told) == (by_ms, False, False)
    for second in range(1, 700):
        clock.pass_ms(1_000)
        assert dating.observe() is None
        assert dating.now_ms() == EARLIEST_MS + second * 1_000
    assert (dating.trusted, dating.vouched, dating.astray_ms) == (True, False, by_ms)
    clock.wall -= by_ms
    assert dating.observe() is None
    assert dating.astray_ms == 0


@pytest.mark.parametrize("by_ms", [YEAR, -2 * 86_400_000])
def test_a_leap_is_told_at_once_and_believed_only_when_it_holds(by_ms: int) -> None:
    clock = HandClock(EARLIEST_MS + 10 * 86_400_000)
    dating = dating_of(clock)
    dating.observe()
    clock.wall += by_ms
    step = dating.observe()
    assert step is not None
    assert (step.by_ms, step.adopted, step.told) == (by_ms, False, False)
    for _ in range(599):
        clock.pass_ms(1_000)
        assert dating.observe() is None
    assert dating.now_ms() == clock.wall - by_ms
    clock.pass_ms(1_000)
    step = dating.observe()
    assert step is not None
    assert (step.by_ms, step.adopted, step.told) == (by_ms, True, True)
    assert dating.now_ms() == clock.wall
    assert dating.observe() is None


def test_a_leap_that_shrinks_to_a_step_is_adopted_as_that() -> None:
    clock = HandClock(EARLIEST_MS)
    dating = dating_of(clock)
    dating.observe()
    clock.wall += YEAR
    dating.observe()
    clock.wall -= YEAR - 3_600_000
    step = dating.observe()
    assert step is not None
    assert (step.by_ms, step.adopted, step.told) == (3_600_000, True, False)
    assert dating.now_ms() == clock.wall


def test_a_leap_that_is_taken_back_changes_no_date() -> None:
    clock = HandClock(EARLIEST_MS)
    dating = dating_of(clock)
    dating.observe()
    clock.wall += 12 * YEAR
    dating.observe()
    clock.wall -= 12 * YEAR
    clock.pass_ms(700_000)
    assert dating.observe() is None
    assert dating.now_ms() == EARLIEST_MS + 700_000


def test_what_somebody_says_once_counts_at_the_next_look_and_dates_go_on_from_it() -> None:
    clock = HandClock(0, vouched=False)
    dating = dating_of(clock)
    dating.hear(Anchor(offset_ms=EARLIEST_MS, source="receiver"))
    dating.observe()
    assert dating.anchor == Anchor(offset_ms=EARLIEST_MS, source="receiver")
    clock.pass_ms(60_000)
    dating.observe()
    assert dating.now_ms() == EARLIEST_MS + 65_000
    assert dating.now_ms() + dating.astray_ms == clock.wall  # which still says 1970


def test_a_restart_in_the_same_boot_goes_on_with_the_date_that_was_stored() -> None:
    clock = HandClock(0, mono_ms=60_000, vouched=False)
    dating = Dating(clock, [clock.witness], Anchor(offset_ms=EARLIEST_MS, source="kernel"))
    assert (dating.trusted, dating.now_ms()) == (True, EARLIEST_MS + 60_000)
