"""As reported on a day: what was booked by its end in the site's zone, whatever came to be known later."""

import sqlite3
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from gateway.store import totals
from gateway.store.ledger.as_reported import AsReported
from gateway.store.site_day import around, day_of, end_ms

ZONE = ZoneInfo("Asia/Shanghai")
TENTH, ELEVENTH = date(2024, 12, 10), date(2024, 12, 11)


def reported(conn: sqlite3.Connection, first: date, last: date, as_of: date) -> list[tuple[str, str, str, int, int]]:
    walk = AsReported(first, last, end_ms(as_of, ZONE))
    while walk.advance(conn):
        pass
    return [(sums.day, sums.device, sums.account, sums.energy_mWh, sums.emitted_ng) for sums in walk.sums]


def test_before_during_and_after_a_restatement(everything: sqlite3.Connection) -> None:
    grid = ("2024-12-10", "grid", "inventory", 1_600_000)
    assert reported(everything, TENTH, TENTH, date(2024, 12, 9)) == []
    assert reported(everything, TENTH, TENTH, TENTH)[0] == (*grid, 1_600_000 * 125_500)
    assert reported(everything, TENTH, TENTH, date(2025, 2, 7))[0] == (*grid, 1_600_000 * 125_500)
    assert reported(everything, TENTH, TENTH, date(2025, 2, 8))[0] == (*grid, 1_600_000 * 140_400)


def test_at_last_it_is_what_is_known_today(everything: sqlite3.Connection) -> None:
    walk = AsReported(date.min, date.max, 2**53)
    while walk.advance(everything):
        pass
    assert walk.sums == totals.query(everything, "0001-01-01", "9999-12-31")


def test_only_the_days_asked_for(everything: sqlite3.Connection) -> None:
    assert {day for day, *_ in reported(everything, ELEVENTH, ELEVENTH, date(2026, 1, 1))} == {"2024-12-11"}
    assert reported(everything, date(2023, 1, 1), date(2023, 12, 31), date(2026, 1, 1)) == []


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "UTC"])
@pytest.mark.parametrize("day", [date(2025, 3, 9), date(2025, 11, 2), date(2024, 2, 29)])
def test_a_day_of_the_site_ends_at_its_midnight(zone: str, day: date) -> None:
    """Also on days of 23 and 25 hours."""
    end = end_ms(day, ZoneInfo(zone))
    assert (day_of(end - 1, ZoneInfo(zone)), day_of(end, ZoneInfo(zone))) == (
        day,
        date.fromordinal(day.toordinal() + 1),
    )
    first, last = around(day, day)
    assert first <= end - 25 * 3_600_000 < end <= last


def test_the_ends_of_the_calendar_are_no_error() -> None:
    assert end_ms(date.max, ZONE) > end_ms(date.min, ZONE)
    assert around(date.min, date.max)[0] < around(date.max, date.max)[0]
