"""Placing: boots without a date keep their length and order, lie inside their bounds, and are judged generously."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.carbon.metering.placing import LONGEST_MS, place
from gateway.carbon.metering.span import Span
from gateway.store.flag import Flag
from gateway.store.row_class import RowClass

NOW = 1_790_000_000_000
EARLIEST = NOW - 200 * 86_400_000
HOUR = 3_600_000


@given(
    st.lists(st.integers(0, 50 * HOUR), max_size=6),
    st.integers(0, 3_000 * HOUR),
    st.integers(1, HOUR),
    st.booleans(),
    st.lists(st.integers(-100 * HOUR, 500 * HOUR), max_size=20),
)
def test_boots_lie_in_order_between_their_bounds_and_the_two_lines_mirror_each_other(
    past: list[int], before_ms: int, first_ms: int, is_new: bool, times: list[int]
) -> None:
    newest_ms = 0 if is_new else NOW - sum(past) - before_ms
    placing = place(past, newest_ms=newest_ms, earliest_ms=EARLIEST, boot_ms=NOW, first_ms=NOW + first_ms)
    assert placing.back_ms == 0
    assert len(placing.offsets_ms) == len(past)
    end_ms = placing.window[0]
    for offset_ms, length_ms in zip(placing.offsets_ms, past, strict=True):
        assert end_ms <= offset_ms
        end_ms = offset_ms + length_ms
    assert end_ms <= NOW
    sure = [*placing.offsets_ms, *placing.borders_ms, NOW, NOW + first_ms, *(NOW + t_ms for t_ms in times if t_ms > 0)]
    for t_ms in sure:  # times that a state can have: at a border, inside a boot, or later
        assert placing.true(placing.virtual(t_ms)) == t_ms
    assert sorted(map(placing.virtual, sorted(sure))) == [placing.virtual(t_ms) for t_ms in sorted(sure)]
    begins = [*placing.offsets_ms, NOW] if past else []
    for border_ms, begin_ms in zip(placing.borders_ms, begins, strict=True):
        if not is_new and border_ms < begin_ms:
            longest_ms = placing.virtual(begin_ms) - placing.virtual(border_ms)
            assert longest_ms in (before_ms, begin_ms - border_ms + placing.stretch_ms)


def test_without_a_boot_in_between_nothing_is_estimated() -> None:
    placing = place([], newest_ms=NOW - HOUR, earliest_ms=EARLIEST, boot_ms=NOW, first_ms=NOW + 20_000)
    span = Span(NOW - HOUR, NOW + 20_000, 500)
    assert placing.placed(span) == span
    assert (placing.offsets_ms, placing.borders_ms, placing.back_ms) == ((), (), 0)


def test_a_newest_date_of_this_very_boot_is_no_contradiction() -> None:
    placing = place([], newest_ms=NOW + 10_000, earliest_ms=EARLIEST, boot_ms=NOW, first_ms=NOW + 20_000)
    assert placing.back_ms == 0


def test_a_newest_date_that_cannot_be_true_is_gone_back_from() -> None:
    for past in ([], [HOUR]):
        newest_ms = NOW + 5 * HOUR
        placing = place(past, newest_ms=newest_ms, earliest_ms=EARLIEST, boot_ms=NOW, first_ms=NOW + 20_000)
        assert newest_ms - placing.back_ms == NOW - sum(past)
        assert placing.window == (EARLIEST, NOW + 20_000)
        assert placing.stretch_ms == LONGEST_MS


def test_what_is_told_of_a_step_between_two_boots() -> None:
    placing = place([HOUR], newest_ms=NOW - 5 * HOUR, earliest_ms=EARLIEST, boot_ms=NOW, first_ms=NOW + 20_000)
    (begin_ms,) = placing.offsets_ms
    crossing = placing.told(Span(NOW - 5 * HOUR, begin_ms + 60_000, 700))
    assert (crossing.row_class, crossing.flags) == (RowClass.ESTIMATED, Flag.SPAN_UNKNOWN)
    assert crossing.window == (NOW - 5 * HOUR, NOW + 20_000)
    assert crossing.bounds is not None
    assert crossing.bounds[2:] == (0, 700)
    inside = placing.told(Span(begin_ms + 60_000, begin_ms + 120_000, 700))
    assert (inside.row_class, inside.bounds) == (RowClass.ESTIMATED, None)
    missing = placing.told(Span(begin_ms + 60_000, begin_ms + 120_000, 0, row_class=RowClass.MISSING))
    assert (missing.row_class, missing.flags) == (RowClass.MISSING, Flag.SPAN_UNKNOWN)
    dated = Span(NOW + 20_000, NOW + 80_000, 700)
    assert placing.told(dated) == dated
