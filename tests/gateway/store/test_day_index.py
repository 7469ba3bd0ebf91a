"""DayIndex: the records of a day are found, and little is kept."""

import sqlite3
from datetime import date
from zoneinfo import ZoneInfo

from gateway.store import outbox
from gateway.store.ledger.day_index import DayIndex

HOUR, DAY = 3_600_000, 86_400_000
UTC, SHANGHAI = ZoneInfo("UTC"), ZoneInfo("Asia/Shanghai")


def noted(*spans: tuple[int, int]) -> DayIndex:
    index = DayIndex()
    for seq, (begin_h, end_h) in enumerate(spans, 1):
        index.note(seq, begin_h * HOUR, end_h * HOUR)
    return index


def test_neighbours_are_one_range() -> None:
    index = noted((0, 1), (1, 2), (23, 24), (24, 25), (2, 3), (47, 49))
    assert index.ranges(0, DAY) == [(1, 3), (5, 5)]
    assert index.ranges(DAY, 2 * DAY) == [(4, 4), (6, 6)]
    assert index.ranges(0, 3 * DAY) == [(1, 6)]
    assert index.ranges(3 * DAY, 4 * DAY) == []


def test_a_record_over_many_days_is_in_each() -> None:
    index = noted((5, 80), (30, 31))
    assert [index.ranges(n * DAY, (n + 1) * DAY) for n in range(4)] == [[(1, 1)], [(1, 2)], [(1, 1)], [(1, 1)]]


def test_days_are_those_of_the_zone() -> None:
    index = noted((15, 16), (40, 41))
    assert index.days(UTC) == [date(1970, 1, 1), date(1970, 1, 2)]
    assert index.days(SHANGHAI) == [date(1970, 1, 1), date(1970, 1, 3)]
    assert DayIndex().days(UTC) == []


def test_it_reads_on_in_steps(conn: sqlite3.Connection) -> None:
    index = DayIndex()
    assert not index.read_on(conn)
    for n in range(5):
        outbox.append(conn, "ledger", "intervals", n * HOUR, (n + 1) * HOUR, b"{}")
        outbox.append(conn, "events", "alarm", n * HOUR, n * HOUR, b"{}")
    assert [index.read_on(conn, 2) for _ in range(3)] == [True, True, False]
    assert index.ranges(0, DAY) == [(1, 5)]
    outbox.append(conn, "ledger", "intervals", 5 * HOUR, 6 * HOUR, b"{}")
    assert not index.read_on(conn)
    assert index.ranges(0, DAY) == [(1, 6)]
