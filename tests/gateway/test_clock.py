"""Dates come from the monotonic clock, follow the wall clock and never go back."""

from gateway.clock import EARLIEST_MS, Dating


class HandClock:
    """Two clocks moved by hand."""

    def __init__(self, wall_ms: int) -> None:
        self.mono_ms, self.wall = 5_000, wall_ms

    def pass_ms(self, ms: int) -> None:
        self.mono_ms += ms
        self.wall += ms

    def mono_ns(self) -> int:
        return self.mono_ms * 1_000_000

    def wall_ms(self) -> int:
        return self.wall


def test_a_board_that_boots_in_1970_dates_nothing_until_its_clock_is_set() -> None:
    clock = HandClock(wall_ms=0)
    dating = Dating(clock, newest_ms=0)
    stamp = clock.mono_ns()
    assert dating.observe() is None
    assert (dating.trusted, dating.date_ms(stamp)) == (False, None)
    clock.pass_ms(60_000)
    clock.wall = EARLIEST_MS + 60_000
    dating.observe()
    assert dating.date_ms(stamp) == EARLIEST_MS


def test_a_clock_older_than_what_is_stored_is_not_trusted() -> None:
    clock = HandClock(wall_ms=EARLIEST_MS + 1_000)
    dating = Dating(clock, newest_ms=EARLIEST_MS + 2_000)
    dating.observe()
    assert not dating.trusted
    clock.pass_ms(1_000)
    dating.observe()
    assert dating.trusted


def test_slow_drift_is_followed_without_a_step() -> None:
    clock = HandClock(wall_ms=EARLIEST_MS)
    dating = Dating(clock, newest_ms=0)
    dating.observe()
    for _ in range(100):
        clock.pass_ms(1_000)
        clock.wall += 2
        assert dating.observe() is None
    assert dating.now_ms() == clock.wall


def test_a_step_forward_is_reported_and_adopted() -> None:
    clock = HandClock(wall_ms=EARLIEST_MS)
    dating = Dating(clock, newest_ms=0)
    dating.observe()
    clock.wall += 3_600_000
    step = dating.observe()
    assert step is not None
    assert (step.by_ms, step.adopted, step.told) == (3_600_000, True, False)
    assert dating.now_ms() == clock.wall
    assert dating.observe() is None


def test_a_step_back_is_reported_once_and_dates_never_go_back() -> None:
    clock = HandClock(wall_ms=EARLIEST_MS)
    dating = Dating(clock, newest_ms=0)
    dating.observe()
    before = dating.now_ms()
    clock.wall -= 3_600_000
    step = dating.observe()
    assert step is not None
    assert (step.by_ms, step.adopted, step.told) == (-3_600_000, False, False)
    for _ in range(10):
        clock.pass_ms(1_000)
        assert dating.observe() is None
        assert dating.now_ms() > before
        before = dating.now_ms()
    assert dating.behind_ms > 3_000_000


def test_a_leap_forward_is_told_at_once_and_believed_only_when_it_holds() -> None:
    clock = HandClock(wall_ms=EARLIEST_MS)
    dating = Dating(clock, newest_ms=0)
    dating.observe()
    clock.wall += 365 * 86_400_000
    step = dating.observe()
    assert step is not None
    assert (step.by_ms, step.adopted, step.told) == (365 * 86_400_000, False, False)
    for _ in range(599):
        clock.pass_ms(1_000)
        assert dating.observe() is None
    assert dating.now_ms() == EARLIEST_MS + 599_000
    clock.pass_ms(1_000)
    step = dating.observe()
    assert step is not None
    assert (step.at_ms, step.by_ms) == (EARLIEST_MS + 600_000, 365 * 86_400_000)
    assert (step.adopted, step.told) == (True, True)
    assert dating.now_ms() == clock.wall
    assert dating.observe() is None


def test_a_leap_that_shrinks_to_a_step_is_adopted_as_that() -> None:
    clock = HandClock(wall_ms=EARLIEST_MS)
    dating = Dating(clock, newest_ms=0)
    dating.observe()
    clock.wall += 365 * 86_400_000
    dating.observe()
    clock.wall -= 365 * 86_400_000 - 3_600_000
    step = dating.observe()
    assert step is not None
    assert (step.by_ms, step.adopted, step.told) == (3_600_000, True, False)
    assert dating.now_ms() == clock.wall


def test_a_leap_that_is_taken_back_changes_no_date() -> None:
    clock = HandClock(wall_ms=EARLIEST_MS)
    dating = Dating(clock, newest_ms=0)
    dating.observe()
    clock.wall += 12 * 365 * 86_400_000
    dating.observe()
    clock.wall -= 12 * 365 * 86_400_000
    clock.pass_ms(700_000)
    assert dating.observe() is None
    assert dating.now_ms() == EARLIEST_MS + 700_000
