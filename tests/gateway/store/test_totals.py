"""Day totals: exact beyond 64 bits, unknown stays unknown, days are the site's."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.store import totals
from gateway.store.database import SCHEMA_VERSION
from gateway.store.migrations import migrate
from gateway.store.totals import DayTotal
from sync.wire import Block, decode_block

ONE = DayTotal(
    day="2026-03-01",
    device="pv",
    register="yield",
    flow="generation",
    lens="location",
    account="project",
    energy_mWh=5,
    emitted_ng=2**63 - 1,
    baseline_ng=7,
    missing_ms=10,
    rows=1,
)


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, SCHEMA_VERSION)
    yield connection
    connection.close()


def test_sums_leave_64_bits_and_stay_exact(conn: sqlite3.Connection) -> None:
    for _ in range(3):
        totals.add(conn, [ONE])
    (stored,) = totals.query(conn, "2026-03-01", "2026-03-01")
    assert stored == replace(ONE, energy_mWh=15, emitted_ng=3 * (2**63 - 1), baseline_ng=21, missing_ms=30, rows=3)


def test_a_baseline_is_unknown_as_soon_as_a_part_of_it_is(conn: sqlite3.Connection) -> None:
    totals.add(conn, [ONE, replace(ONE, baseline_ng=None)])
    assert totals.query(conn, "2026-03-01", "2026-03-01")[0].baseline_ng is None


def test_missing_time_says_nothing_about_the_baseline(conn: sqlite3.Connection) -> None:
    silence = replace(ONE, energy_mWh=0, emitted_ng=0, baseline_ng=None, missing_ms=300, rows=0)
    totals.add(conn, [silence, ONE, silence])
    (stored,) = totals.query(conn, "2026-03-01", "2026-03-01")
    assert (stored.baseline_ng, stored.missing_ms, stored.rows) == (7, 610, 1)


def test_query_has_both_ends_and_by_register_adds_the_days(conn: sqlite3.Connection) -> None:
    days = ["2026-02-28", "2026-03-01", "2026-03-02", "2026-03-03"]
    totals.add(conn, [replace(ONE, day=day) for day in days])
    found = totals.query(conn, "2026-03-01", "2026-03-02")
    assert [total.day for total in found] == days[1:3]
    (sums,) = totals.by_register(found)
    assert sums == replace(found[0].plus(found[1]), day="")


def test_a_row_counts_on_the_sites_day_in_which_it_begins() -> None:
    midnight_ms = int(datetime(2026, 3, 2, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)
    t0s = [midnight_ms - 300_000, midnight_ms, midnight_ms + 300_000]
    intervals = Block(
        kind="intervals",
        meta={},
        columns={
            "r": [0, 0, 0],
            "t0": [*t0s],
            "t1": [t0 + 300_000 for t0 in t0s],
            "energy_mWh": [1, 2, None],
            "class": [0, 0, 4],
            "kind": [0, 0, 0],
        },
    )
    entries = Block(
        kind="entries",
        meta={
            "zone": "Asia/Shanghai",
            "registers": [["d", "r", "import", "mWh"]],
            "lenses": ["location"],
            "accounts": ["inventory"],
            "lines": [[[0, 0, 0]]],
        },
        columns={
            "i": [0, 1],
            "lens": [0, 0],
            "account": [0, 0],
            "emitted_ng": [10, 20],
            "baseline_ng": [None, None],
        },
    )
    found = totals.from_blocks(intervals, entries)
    assert sorted((t.day, t.energy_mWh, t.emitted_ng, t.baseline_ng, t.missing_ms, t.rows) for t in found) == [
        ("2026-03-01", 1, 10, None, 0, 1),
        ("2026-03-02", 2, 20, None, 300_000, 1),
    ]


def test_missing_time_that_is_taken_back_is_missing_no_more(conn: sqlite3.Connection, gateway: type) -> None:
    site = gateway(conn)
    site.sweep(0, [1, None])
    before = totals.query(conn, "2024-12-10", "2024-12-10")[0]
    site.step(5, 3)
    after = totals.query(conn, "2024-12-10", "2024-12-10")[0]
    assert (before.missing_ms, before.energy_mWh) == (300_000, 100_000)
    assert (after.missing_ms, after.energy_mWh) == (0, 400_000)


def test_a_restatement_changes_carbon_and_no_energy(conn: sqlite3.Connection, gateway: type) -> None:
    site = gateway(conn)
    site.sweep(0, [1, 2])
    assert site.restate(date(2024, 12, 10), site.midnight_ms + 60 * 86_400_000)
    (body,) = conn.execute("SELECT body FROM record WHERE kind = 'restatement'").fetchone()
    (gain,) = totals.from_restatement(decode_block(body))
    assert (gain.energy_mWh, gain.emitted_ng, gain.rows) == (0, 300_000 * (140_400 - 125_500), 2)
    assert totals.query(conn, "2024-12-10", "2024-12-10")[0].emitted_ng == 300_000 * 140_400


@pytest.mark.parametrize("baseline_ng", [None, 2**70])
def test_a_header_keeps_a_sum_exactly(baseline_ng: int | None) -> None:
    total = replace(ONE, emitted_ng=-(2**70), baseline_ng=baseline_ng)
    assert totals.from_meta(json.loads(json.dumps(totals.to_meta(total)))) == total


def test_sums_of_two_lenses_are_never_in_one_answer() -> None:
    market = replace(ONE, lens="market", emitted_ng=11)
    days = {"first": date(2026, 3, 1), "last": date(2026, 3, 1), "as_of": None}
    answer = totals.answer([ONE, market], lens="market", **days)
    assert (answer["lens"], [row["emitted_ng"] for row in answer["registers"]]) == ("market", ["11"])
