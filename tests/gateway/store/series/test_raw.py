"""Raw series: every reading comes back, no value stays no value, the budget holds, old rows go as a whole."""

import math
import sqlite3
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.quality import Quality
from gateway.store.series import raw
from gateway.store.series.channels import ChannelName, number_of
from gateway.store.series.raw import Readings, decode, encode
from gateway.store.series.rollups import DAY_MS

T0 = 1_790_000_000_000
CELL = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(lambda value: (value, int(Quality.OK))),
    st.sampled_from([Quality.NO_VALUE, Quality.TIMEOUT, Quality.FROZEN]).map(lambda why: (math.nan, int(why))),
)


def readings(t0_ms: int, rows: list[list[tuple[float, int]]], channels: list[int]) -> Readings:
    cells = [cell for row in rows for cell in row]
    times = array("q", [t0_ms + 1000 * number for number in range(len(rows))])
    return Readings(channels, times, array("d", [c[0] for c in cells]), array("B", [c[1] for c in cells]))


def same(one: Readings, other: Readings) -> bool:
    values = zip(one.values, other.values, strict=True)
    return (
        list(one.channels) == list(other.channels)
        and (one.t_ms, one.quality) == (other.t_ms, other.quality)
        and all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in values)
    )


@settings(deadline=None)
@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1)))
def test_every_reading_comes_back(rows: list[list[tuple[float, int]]]) -> None:
    before = readings(T0, rows, list(range(7, 7 + len(rows[0]))))
    assert same(decode(encode(before)), before)


def minute(t0_ms: int, channels: list[int]) -> Readings:
    return readings(t0_ms, [[(float(1000 + n % 7), 0) for _ in channels] for n in range(60)], channels)


@pytest.fixture
def two(conn: sqlite3.Connection) -> list[int]:
    return number_of(conn, [ChannelName(device, "power", "W", False) for device in ("a", "b")])


def test_each_device_has_its_own_rows(conn: sqlite3.Connection, two: list[int]) -> None:
    series = [minute(T0 + 60_000 * n, [channel]) for n in range(3) for channel in two]
    day = raw.save(conn, T0, series, 10**6)
    assert day.written_bytes == conn.execute("SELECT sum(length(body)) FROM series_raw").fetchone()[0]
    found = list(raw.read(conn, "b", T0 + 60_000, T0 + 180_000))
    assert [rows.t_ms[0] for rows in found] == [T0 + 60_000, T0 + 120_000]
    assert all(same(rows, minute(rows.t_ms[0], [two[1]])) for rows in found)


def test_a_day_over_its_budget_writes_no_more_until_the_next(conn: sqlite3.Connection, two: list[int]) -> None:
    size = len(encode(minute(T0, two)))
    for n in range(4):
        day = raw.save(conn, T0, [minute(T0 + 60_000 * n, two)], 2 * size + 20)
    assert (day.is_over, conn.execute("SELECT count(*) FROM series_raw").fetchone()) == (True, (2,))
    day = raw.save(conn, T0 + DAY_MS, [minute(T0 + DAY_MS, two)], 2 * size + 20)
    assert (day.is_over, conn.execute("SELECT count(*) FROM series_raw").fetchone()) == (False, (3,))


def test_old_rows_go(conn: sqlite3.Connection, two: list[int]) -> None:
    raw.save(conn, T0, [minute(T0 + 60_000 * n, two) for n in range(60)], 10**7)
    for n in range(60, 80):
        raw.expire(conn, T0 + 60_000 * n, 3_600_000)
    oldest = next(raw.read(conn, "a", T0 - DAY_MS, T0 + DAY_MS)).t_ms[0]
    assert T0 + 15 * 60_000 <= oldest + 5 * 60_000 <= T0 + 25 * 60_000
