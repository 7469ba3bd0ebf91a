"""The ledger line by line: kinds, links, sums, and ids that follow from what was booked."""

import sqlite3
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.store import totals
from gateway.store.database import SCHEMA_VERSION
from gateway.store.errors import StoreError
from gateway.store.ledger import pages as ledger
from gateway.store.ledger.ledger_entry import LedgerEntry
from gateway.store.migrations import migrate
from gateway.store.totals import DayTotal


def all_days(conn: sqlite3.Connection) -> list[DayTotal]:
    return totals.query(conn, "0001-01-01", "9999-12-31")


def sums(entries: list[LedgerEntry]) -> dict[tuple[str, str, str, str], tuple[int, int]]:
    found: dict[tuple[str, str, str, str], tuple[int, int]] = {}
    for entry in entries:
        key = (entry.device, entry.register, entry.lens, entry.account)
        energy_mWh, emitted_ng = found.get(key, (0, 0))
        found[key] = energy_mWh + (entry.energy_mWh or 0), emitted_ng + entry.emitted_ng
    return found


def stored_sums(conn: sqlite3.Connection) -> dict[tuple[str, str, str, str], tuple[int, int]]:
    return {
        (total.device, total.register, total.lens, total.account): (total.energy_mWh, total.emitted_ng)
        for total in totals.by_register(all_days(conn))
    }


def test_every_kind_of_line_says_where_it_comes_from(everything: sqlite3.Connection) -> None:
    entries = list(ledger.iter_entries(everything))
    kinds = Counter((entry.kind, entry.reason, entry.epoch is None) for entry in entries if entry.device == "grid")
    assert kinds == {
        ("normal", None, False): 8,
        ("reversal", "step", False): 2,
        ("restatement", "step", False): 2,
        ("reversal", "newer values", True): 2,
        ("restatement", "newer values", True): 2,
    }
    suspect = next(entry for entry in entries if entry.row_class == 5 and entry.epoch is not None)
    assert (suspect.lo_mWh, suspect.hi_mWh, suspect.energy_mWh) == (0, 900_000_000, 0)


def test_a_reversal_names_the_entry_that_it_takes_back(everything: sqlite3.Connection) -> None:
    entries = list(ledger.iter_entries(everything))
    by_id = {entry.entry_id: entry for entry in entries}
    for entry in entries:
        if entry.kind == "reversal" and entry.epoch is not None:
            taken = by_id[entry.reverses]
            assert (taken.t0_ms, taken.t1_ms, taken.account) == (entry.t0_ms, entry.t1_ms, entry.account)
            assert (taken.energy_mWh, taken.emitted_ng) == (-(entry.energy_mWh or 0), -entry.emitted_ng)


def test_the_sums_of_the_lines_are_the_totals(everything: sqlite3.Connection) -> None:
    entries = list(ledger.iter_entries(everything))
    assert sums(entries) == stored_sums(everything)
    assert sum(total.rows for total in all_days(everything)) == len(entries)
    missing_ms = sum(total.missing_ms for total in totals.by_register(all_days(everything)))
    assert missing_ms == 300_000


def test_pages_give_the_same_lines_as_an_export(everything: sqlite3.Connection) -> None:
    found: list[LedgerEntry] = []
    before: int | None = None
    while True:
        page = ledger.page(everything, 1, before)
        found += page.entries
        before = page.next_before_seq
        if before is None:
            break
    assert page.pruned_through == 0
    assert sorted(found, key=lambda e: (e.seq, e.row)) == list(ledger.iter_entries(everything))


def test_a_damaged_record_is_named(everything: sqlite3.Connection) -> None:
    everything.execute("UPDATE record SET body = x'7b7d' WHERE stream = 'ledger' AND seq = 3")
    with pytest.raises(StoreError, match=r"record 3 of the ledger cannot be read .* run `huxi ledger verify`"):
        list(ledger.iter_entries(everything))


steps = st.lists(
    st.one_of(
        st.tuples(st.just("sweep"), st.lists(st.one_of(st.none(), st.integers(0, 9)), min_size=1, max_size=4)),
        st.tuples(st.just("step"), st.integers(1, 3)),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(steps=steps, split=st.booleans())
def test_ids_are_unique_and_the_same_wherever_the_same_was_booked(
    gateway: Callable[..., object], steps: list[tuple[str, object]], split: bool
) -> None:
    """Corrections of corrections included; in how many records rows lie does not matter."""
    found = [_booked(gateway, steps, split=False), _booked(gateway, steps, split=split)]
    ids = [sorted(str(entry.entry_id) for entry in entries) for entries in found]
    assert len(set(ids[0])) == len(ids[0])
    assert ids[0] == ids[1]


def _booked(gateway: Callable[..., object], steps: list[tuple[str, object]], *, split: bool) -> list[LedgerEntry]:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    try:
        migrate(conn, SCHEMA_VERSION)
        site = gateway(conn)
        minute = 0
        for what, argument in steps:
            if what == "sweep":
                for part in [[count] for count in argument] if split else [argument]:
                    site.sweep(minute, part)
                    minute += 5 * len(part)
            elif minute >= 5 * argument:
                site.step(minute - 5 * argument, 6, rows=argument)
                minute += 5  # another reading finds the next step
                site.sweep(minute - 5, [0])
        return list(ledger.iter_entries(conn))
    finally:
        conn.close()
