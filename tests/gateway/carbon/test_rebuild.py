"""Rebuild: the ledger from its intervals and the factor table alone, byte for byte."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import date

import pytest

from gateway.carbon.booking.close import close
from gateway.carbon.booking.restate import Order, restated, write
from gateway.carbon.factors.factor_set import FactorSet
from gateway.carbon.intervals import Intervals, RegisterName
from gateway.carbon.metering.sweep import Sweep
from gateway.carbon.proof.rebuild import Rebuilder
from gateway.store import outbox, totals
from gateway.store.errors import StoreError
from gateway.store.ledger import pages as ledger
from gateway.store.ledger.day_index import DayIndex
from gateway.store.ledger.entry_text import csv_lines
from gateway.store.ledger.live_day import LiveDay
from gateway.store.ledger.pages import Rebuild
from gateway.store.pruning import prune
from tests.gateway.carbon.small_site import AS_OF, BOOKS, FACTORS, new_store

HOUR = 3_600_000
NEW_YEAR_2023 = 1_672_502_400_000  # of the site's region
ONLY_2021_MS, ONLY_2022_MS = 1_717_200_000_000, 1_738_368_000_000  # values published by June 2024, by February 2025
TAMPERED = "CAST(replace(body, '12550000000', '12550000001') AS BLOB)"


def exported(conn: sqlite3.Connection, rebuild: Rebuild | None = None) -> bytes:
    text = b""
    step = ledger.after(conn, 0, rebuild)
    while step is not None:
        text += csv_lines(step[1])
        step = ledger.after(conn, step[0], rebuild)
    return text


def test_a_rebuilt_ledger_is_the_same_to_the_byte(everything: sqlite3.Connection) -> None:
    assert exported(everything, Rebuilder(FACTORS)) == exported(everything)


def test_a_changed_amount_is_not_rebuilt(conn: sqlite3.Connection, gateway: Callable[..., object]) -> None:
    """The control: what is compared is computed, not copied."""
    gateway(conn).sweep(0, [1])
    conn.execute(f"UPDATE record SET body = {TAMPERED} WHERE kind = 'entries'")
    stored, rebuilt = exported(conn), exported(conn, Rebuilder(FACTORS))
    assert b"12550000001" in stored
    assert stored.replace(b"12550000001", b"12550000000") == rebuilt


def test_a_restatement_of_changed_amounts_is_refused(everything: sqlite3.Connection) -> None:
    everything.execute(f"UPDATE record SET body = {TAMPERED} WHERE kind = 'entries'")
    with pytest.raises(StoreError, match=r"record 17 of the ledger cannot be rebuilt: the entries of grid/import"):
        exported(everything, Rebuilder(FACTORS))


def test_corrections_of_restated_days_are_rebuilt(conn: sqlite3.Connection, gateway: Callable[..., object]) -> None:
    site = gateway(conn)
    site.sweep(0, [1, 2, 3, None])
    site.restate(date(2024, 12, 10), site.midnight_ms + 60 * 86_400_000)
    site.step(5, 4, rows=2)
    site.step(10, 6, rows=2)
    assert exported(conn, Rebuilder(FACTORS)) == exported(conn)


def test_a_restated_day_with_two_data_years_is_read_again() -> None:
    """The region's year begins at 16:00 of the site's day; a value of the second year comes after one of the first."""
    with closing(new_store()) as conn:
        books = replace(BOOKS, scope=replace(BOOKS.scope, zone="UTC"))
        t0s = [NEW_YEAR_2023 + n * HOUR for n in (-2, -1, 0, 1)]
        rows = Intervals(
            registers=[RegisterName("m", "a", "import")],
            r=[0] * 4,
            epoch=[1] * 4,
            t0_ms=t0s,
            t1_ms=[t0_ms + HOUR for t0_ms in t0s],
            energy_mWh=[1, 10, 100, 1000],
            raw_begin=[None] * 4,
            raw_end=[None] * 4,
            row_class=[0] * 4,
            flags=[0] * 4,
            kind=[0] * 4,
        )
        close(conn, sweep=Sweep(intervals=rows), books=books, now_ms=ONLY_2021_MS)
        assert _amounts(_day(conn)) == {(2021, 1111): 1111 * 125_500}
        assert _restate(conn, ONLY_2022_MS)
        # Both years go over to the same value, for the second as a stand-in.
        assert _amounts(_day(conn)) == {(2022, 1111): 1111 * 140_400}
        assert _restate(conn, AS_OF)
        assert _amounts(_day(conn)) == {(2022, 11): 11 * 140_400, (2023, 1100): 1100 * 156_400}
        assert not _restate(conn, AS_OF)
        assert exported(conn, Rebuilder(FACTORS)) == exported(conn)
        (total,) = totals.by_register(totals.query(conn, "0", "9"))
        assert (total.energy_mWh, total.emitted_ng) == (1111, 11 * 140_400 + 1100 * 156_400)


def _day(conn: sqlite3.Connection) -> LiveDay:
    """The last day of 2022 at the site, read anew."""
    index, found = DayIndex(), LiveDay(date(2022, 12, 31), "UTC")
    while index.read_on(conn):
        pass
    while found.read_on(conn, index):
        pass
    return found


def _restate(conn: sqlite3.Connection, as_of_ms: int) -> bool:
    order = Order(factor_set="cn-grid", run=f"cn-grid@{as_of_ms}", reason="newer values", as_of_ms=as_of_ms)
    block = restated(_day(conn), order, FACTORS)
    if block is not None:
        write(conn, block)
    return block is not None


def _amounts(day: LiveDay) -> dict[tuple[int, int], int]:
    """Emissions in force by data year of the factor and energy."""
    found = {}
    for group, entries in day.groups.items():
        if entries:
            year = int(group.factor.split("/")[2])
            found[year, sum(cells[3] for cells in entries)] = sum(cells[5] for cells in entries)
    return found


def test_a_factor_that_is_gone_is_named(everything: sqlite3.Connection) -> None:
    with pytest.raises(StoreError, match="record 2 of the ledger cannot be rebuilt"):
        exported(everything, Rebuilder(FactorSet([])))


def test_what_rests_on_pruned_records_is_taken_as_it_is(everything: sqlite3.Connection) -> None:
    everything.execute("UPDATE mark SET acked_through = ?", (outbox.head(everything, "ledger").seq,))
    prune(everything, 2**53, 11)
    assert exported(everything, Rebuilder(FACTORS)) == exported(everything)
