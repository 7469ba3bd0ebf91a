"""Rollups: what a minute and a quarter of an hour say, over restarts, days and damage; a gap stays a gap."""

import math
import random
import sqlite3
from statistics import fmean

import pytest

from gateway.store.series import rollups
from gateway.store.series.channels import ChannelName, number_of
from gateway.store.series.rollups import DAY_MS, MINUTE_MS, QUARTER_MS, WINDOW_MS
from gateway.store.series.sample import Sample, Samples, from_text, of_values, to_text

DAY = 20_700
T0 = DAY * DAY_MS


def test_a_sample_counts_what_has_a_value() -> None:
    assert of_values([math.nan, 3.0, math.nan, 1.0, 2.0]) == Sample(3, 2.0, 1.0, 2.0, 3.0)
    assert of_values([math.nan]) is None
    assert of_values([]) is None


def test_two_stretches_together_are_as_one() -> None:
    values = [random.Random(3).randrange(1000) / 4 for _ in range(50)]
    one, other, both = of_values(values[:20]), of_values(values[20:]), of_values(values)
    assert one and other and both
    assert tuple(one.plus(other)) == pytest.approx(tuple(both))


def test_text_keeps_gaps_and_whole_numbers() -> None:
    samples = {0: Sample(60, 9_007_199_254_740_991.0, 1.0, 2.5, 3.0), 3: Sample(2, -5.0, -7.25, -6.0, -5.0)}
    assert from_text(to_text(samples, 5, is_counter=False)) == samples
    assert from_text(to_text({}, 5, is_counter=False)) == {}
    counter = from_text(to_text(samples, 5, is_counter=True))
    assert [(number, sample.readings, sample.last) for number, sample in counter.items()] == [
        (0, 60, 9_007_199_254_740_991.0),
        (3, 2, -5.0),
    ]


@pytest.fixture
def channels(conn: sqlite3.Connection) -> list[int]:
    return number_of(conn, [ChannelName("meter", f"p{n}", "W", n == 0) for n in range(40)])


def fill(conn: sqlite3.Connection, channels: list[int], windows: range, value: float = 100.0) -> None:
    """Five minutes of each channel, the third without a value."""
    for window in windows:
        samples: dict[int, Samples] = {
            channel: {m: Sample(60, value + m, value, value + m / 2, value + m) for m in (0, 1, 3, 4)}
            for channel in channels
        }
        rollups.save(conn, window * WINDOW_MS, samples)


def shown(conn: sqlite3.Connection, channel: int, t0_ms: int, t1_ms: int, step_ms: int) -> Samples:
    return rollups.read(conn, channel, t0_ms, t1_ms, step_ms).samples(step_ms)


def test_minutes_come_back_with_their_gaps(conn: sqlite3.Connection, channels: list[int]) -> None:
    fill(conn, channels, range(T0 // WINDOW_MS, T0 // WINDOW_MS + 2))
    found = shown(conn, channels[7], T0, T0 + WINDOW_MS, MINUTE_MS)
    first = T0 // MINUTE_MS
    assert sorted(found) == [first, first + 1, first + 3, first + 4]
    assert found[first + 3] == Sample(60, 103.0, 100.0, 101.5, 103.0)
    assert shown(conn, channels[7], T0 - DAY_MS, T0, MINUTE_MS) == {}


def test_a_restart_in_a_window_adds_to_it(conn: sqlite3.Connection, channels: list[int]) -> None:
    before, after = (
        {0: Sample(60, 5.0, 1.0, 3.0, 9.0), 1: Sample(10, 2.0, 2.0, 2.0, 2.0)},
        {1: Sample(30, 6.0, 6.0, 6.0, 6.0)},
    )
    rollups.save(conn, T0, {channels[1]: before})
    rollups.save(conn, T0, {channels[1]: after, channels[2]: after})
    assert shown(conn, channels[1], T0, T0 + WINDOW_MS, MINUTE_MS) == {
        T0 // MINUTE_MS: before[0],
        T0 // MINUTE_MS + 1: Sample(40, 6.0, 2.0, 5.0, 6.0),
    }
    assert len(shown(conn, channels[2], T0, T0 + WINDOW_MS, MINUTE_MS)) == 1


def test_a_day_is_folded_when_it_is_over_and_says_the_same(conn: sqlite3.Connection, channels: list[int]) -> None:
    fill(conn, channels, range(T0 // WINDOW_MS, (T0 + DAY_MS) // WINDOW_MS + 3))
    before = [shown(conn, channel, T0, T0 + DAY_MS, QUARTER_MS) for channel in channels[1:]]
    assert not rollups.fold(conn, T0 + DAY_MS)
    steps = 0
    while rollups.fold(conn, T0 + DAY_MS + 3 * WINDOW_MS):
        steps += 1
        assert [shown(conn, channel, T0, T0 + DAY_MS, QUARTER_MS) for channel in channels[1:]] == before
    assert steps == 3
    assert conn.execute("SELECT count(*) FROM series_quarter").fetchone() == (40,)
    quarter = before[5][T0 // QUARTER_MS]
    assert quarter == Sample(720, 104.0, 100.0, 100 + fmean((0, 0.5, 1.5, 2)), 104.0)


def test_old_minutes_go_by_the_hour_and_never_before_they_are_folded(
    conn: sqlite3.Connection, channels: list[int]
) -> None:
    fill(conn, channels[:2], range(T0 // WINDOW_MS, (T0 + 2 * DAY_MS) // WINDOW_MS))
    now_ms = T0 + 10 * DAY_MS

    def expire() -> int:
        for _ in range(60):
            rollups.expire(conn, now_ms, minutes_kept_ms=DAY_MS, quarters_kept_ms=100 * DAY_MS)
        return int(conn.execute("SELECT count(*) FROM series_minute").fetchone()[0])

    assert expire() == 2 * 288
    while rollups.fold(conn, T0 + DAY_MS + 3 * WINDOW_MS):
        pass
    assert expire() == 288
    while rollups.fold(conn, now_ms):
        pass
    assert expire() == 0
    assert len(shown(conn, channels[1], T0, T0 + 2 * DAY_MS, QUARTER_MS)) == 2 * 96
    rollups.expire(conn, now_ms + 200 * DAY_MS, minutes_kept_ms=DAY_MS, quarters_kept_ms=100 * DAY_MS)
    assert len(shown(conn, channels[1], T0, T0 + 2 * DAY_MS, QUARTER_MS)) == 96


@pytest.mark.parametrize("body", [b"", b"\x00", b"x\x9c"])
def test_a_damaged_row_is_a_gap_and_stops_nothing(
    conn: sqlite3.Connection, channels: list[int], body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    fill(conn, channels, range(T0 // WINDOW_MS, T0 // WINDOW_MS + 3))
    conn.execute("UPDATE series_minute SET body = ? WHERE id = (SELECT min(id) FROM series_minute)", (body,))
    assert min(shown(conn, channels[3], T0, T0 + DAY_MS, MINUTE_MS)) == (T0 + WINDOW_MS) // MINUTE_MS
    assert "left out" in caplog.text
    fill(conn, channels, range(T0 // WINDOW_MS, T0 // WINDOW_MS + 1))
    assert min(shown(conn, channels[3], T0, T0 + DAY_MS, MINUTE_MS)) == T0 // MINUTE_MS
    while rollups.fold(conn, T0 + 2 * DAY_MS):
        pass
