"""Contracts: the first energy of a year is covered, whatever is corrected later; the books know how much is used."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.carbon.booking.close import Books, close, correct
from gateway.carbon.booking.contracts import (
    Allowance,
    Matching,
    RegisterYear,
    caps_of,
    match,
    matched_annual,
    matched_hourly,
)
from gateway.carbon.booking.entries import Scope
from gateway.carbon.booking.rules import Declaration, lines_of
from gateway.carbon.factors.factor import year_start_ms
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.intervals import Intervals, RegisterName
from gateway.carbon.metering.correction import RECOVERED, Correction, Piece
from gateway.carbon.metering.span import Span
from gateway.carbon.metering.sweep import Sweep
from gateway.carbon.proof.auditor import Auditor
from gateway.carbon.proof.recheck import recheck
from gateway.store import contract_use, totals
from gateway.store.audit.verification import verify
from gateway.store.contract_use import ContractWalk, ContractYear
from gateway.store.database import SCHEMA_VERSION
from gateway.store.ledger.live import LiveEntry, of_register
from gateway.store.migrations import migrate
from gateway.store.row_class import RowKind
from sync.wire import Block, decode_block

FACTORS = FactorSet.load(shipped())
YEAR_OF = partial(FACTORS.year_of, "CN")
NEW_YEAR = year_start_ms(2026, 8 * 3_600_000)
NOW = NEW_YEAR + 30 * 86_400_000
MIN = 60_000
KWH = 1_000_000
NAME = RegisterName("grid", "import", "import")
BOOKS = Books(
    scope=Scope(lenses={"location": "CN-SC", "market": "CN"}, zone="Asia/Shanghai"),
    factors=FACTORS,
    devices={
        "grid": Declaration(role="grid", contract_mWh=10 * KWH),
        "load": Declaration(role="load"),
    },
)
LINES = [lines_of(BOOKS.devices["grid"], "import", BOOKS.scope.lenses)]


def test_i13_annual_and_hourly_matching() -> None:
    load, supply = [100 * KWH, 50 * KWH, 80 * KWH, 20 * KWH], [60 * KWH] * 4
    assert matched_hourly(load, supply) == 190 * KWH
    assert matched_annual(load, supply) == 240 * KWH


def rows(*energies: int | None, t0_ms: int = NEW_YEAR, kinds: list[int] | None = None) -> Intervals:
    """Rows of the grid meter, five minutes each."""
    count = len(energies)
    t0s = [t0_ms + 5 * MIN * n for n in range(count)]
    return Intervals(
        registers=[NAME],
        r=[0] * count,
        epoch=[1] * count,
        t0_ms=t0s,
        t1_ms=[t0 + 5 * MIN for t0 in t0s],
        energy_mWh=list(energies),
        raw_begin=[None] * count,
        raw_end=[None] * count,
        row_class=[0 if energy is not None else 4 for energy in energies],
        flags=[0] * count,
        kind=kinds or [0] * count,
    )


def covered(matched_mWh: int) -> LiveEntry:
    return LiveEntry(
        lens="market",
        account="inventory",
        method="electricity.contract-residual/1",
        factor=None,
        emitted_ng=0,
        baseline_ng=None,
        matched_mWh=matched_mWh,
        flags=0,
    )


def matched(intervals: Intervals, cap: int, used: int = 0, **taken_back: int) -> Matching:
    """`taken_back` tells what each reversal row had covered, as row_N = mWh."""
    entries = {int(row.removeprefix("row_")): [covered(mWh)] for row, mWh in taken_back.items()}
    return match(intervals, {RegisterYear(0, 2026): Allowance(cap, used)}, YEAR_OF, entries)


def test_the_first_energy_of_the_year_is_covered() -> None:
    found = matched(rows(40, None, 50, 30, 20), 100)
    assert found.rows == {0: 40, 2: 50, 3: 10, 4: 0}
    assert found.used_mWh == {(0, 2026): 100}
    assert matched(rows(40, 50), 100, used=95).rows == {0: 5, 1: 0}


def test_a_contract_that_was_made_smaller_covers_nothing_more_and_takes_nothing_back() -> None:
    found = matched(rows(40), 100, used=120)
    assert (found.rows, found.used_mWh) == ({0: 0}, {(0, 2026): 120})


def test_each_year_of_the_region_has_its_own_allowance() -> None:
    intervals = rows(80, 80, t0_ms=NEW_YEAR - 5 * MIN)
    caps = caps_of(intervals, LINES, [100], YEAR_OF, {})
    assert caps == {(0, 2025): 100, (0, 2026): 100}
    found = match(intervals, {key: Allowance(cap, 50) for key, cap in caps.items()}, YEAR_OF, {})
    assert found.rows == {0: 50, 1: 50}


def test_what_is_taken_back_can_be_used_again_by_the_same_correction() -> None:
    reversal, restatement = int(RowKind.REVERSAL), int(RowKind.RESTATEMENT)
    # Stated before the other row is taken back: the order of rows in a correction decides nothing.
    found = matched(rows(100, -100, kinds=[restatement, reversal]), 100, used=100, row_1=100)
    assert found.rows == {0: 100}
    assert found.used_mWh == {(0, 2026): 100}


def test_a_contract_that_ended_still_gets_back_what_is_reversed() -> None:
    intervals = rows(-30, kinds=[int(RowKind.REVERSAL)])
    without = [lines_of(Declaration(role="grid"), "import", ["location"])]
    caps = caps_of(intervals, without, [None], YEAR_OF, {0: [covered(30)]})
    assert caps == {(0, 2026): 0}
    assert matched(intervals, 0, used=40, row_0=30).used_mWh == {(0, 2026): 10}
    assert caps_of(intervals, without, [None], YEAR_OF, {0: [covered(0)]}) == {}


energies = st.integers(0, 60)


@given(st.lists(st.lists(energies, max_size=6), max_size=6), st.integers(0, 200), st.randoms())
def test_total_matched_is_the_lesser_of_cap_and_energy_whatever_the_order_and_the_cut_into_blocks(
    blocks: list[list[int]], cap: int, random: object
) -> None:
    random.shuffle(blocks)  # type: ignore[attr-defined]
    used = 0
    for block in blocks:
        found = matched(rows(*block), cap, used)
        assert all(0 <= found.rows[row] <= energy for row, energy in enumerate(block))
        assert found.used_mWh[RegisterYear(0, 2026)] == used + sum(found.rows.values())
        used = found.used_mWh[RegisterYear(0, 2026)]
    assert used == min(cap, sum(map(sum, blocks)))


steps = st.lists(st.tuples(energies, st.none() | st.tuples(st.integers(0, 9), energies)), min_size=1, max_size=20)


@given(steps, st.integers(0, 300))
def test_total_matched_with_reversals(history: list[tuple[int, tuple[int, int] | None]], cap: int) -> None:
    """Rows come in; now and then one of them is taken back and stated anew with any energy."""
    live: list[tuple[int, int]] = []  # energy, covered
    used = left_over = 0
    for energy, corrected in history:
        found = matched(rows(energy), cap, used)
        live.append((energy, found.rows[0]))
        used += found.rows[0]
        if corrected is not None:
            at, after = corrected[0] % len(live), corrected[1]
            before, had = live[at]
            kinds = [int(RowKind.REVERSAL), int(RowKind.RESTATEMENT)]
            found = matched(rows(-before, after, kinds=kinds), cap, used, row_0=had)
            live[at] = after, found.rows[1]
            used = found.used_mWh[RegisterYear(0, 2026)]
        total = sum(energy for energy, _ in live)
        assert used == sum(part for _, part in live) <= min(cap, total)
        assert all(0 <= part <= energy for energy, part in live)
        # What a smaller restatement gives back goes to energy that is booked later, never to older rows.
        left_over = min(cap, total) - used
    more = matched(rows(left_over), cap, used)
    assert more.rows == {0: left_over}
    assert used + left_over == min(cap, sum(energy for energy, _ in live))


@given(st.lists(energies, min_size=1, max_size=8), st.integers(0, 200), st.data())
def test_a_correction_that_brings_as_much_as_it_takes_leaves_nothing_over(
    booked: list[int], cap: int, data: st.DataObject
) -> None:
    first = matched(rows(*booked), cap)
    used = first.used_mWh[RegisterYear(0, 2026)]
    fallen = data.draw(st.lists(st.sampled_from(range(len(booked))), unique=True))
    before = [booked[at] for at in fallen]
    after = [energy + data.draw(energies) for energy in data.draw(st.permutations(before))]
    kinds = [int(RowKind.REVERSAL)] * len(fallen) + [int(RowKind.RESTATEMENT)] * len(after)
    taken_back = {f"row_{row}": first.rows[at] for row, at in enumerate(fallen)}
    found = matched(rows(*(-energy for energy in before), *after, kinds=kinds), cap, used, **taken_back)
    total = sum(booked) - sum(before) + sum(after)
    assert found.used_mWh[RegisterYear(0, 2026)] == min(cap, total)


# In the store


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, SCHEMA_VERSION)
    yield connection
    connection.close()


def write(conn: sqlite3.Connection, intervals: Intervals, books: Books = BOOKS) -> None:
    close(conn, sweep=Sweep(intervals=intervals), books=books, now_ms=NOW)


def entry_blocks(conn: sqlite3.Connection) -> list[tuple[Block, Block]]:
    """Every block of intervals with its entries."""
    bodies = conn.execute("SELECT body FROM record WHERE stream = 'ledger' ORDER BY seq").fetchall()
    blocks = [decode_block(body) for (body,) in bodies]
    return list(zip(blocks[::2], blocks[1::2], strict=True))


def test_a_close_books_location_and_market_and_remembers_what_is_used(conn: sqlite3.Connection) -> None:
    write(conn, rows(6 * KWH))
    write(conn, rows(6 * KWH, 1 * KWH, t0_ms=NEW_YEAR + 5 * MIN))
    sums = {
        (total.lens, total.account): (total.energy_mWh, total.emitted_ng)
        for total in totals.query(conn, "0000-00-00", "9999-99-99")
    }
    assert sums == {  # 13 kWh at 0.1564; 10 of them by contract, 3 at the residual 0.6096 kg/kWh
        ("location", "inventory"): (13 * KWH, 13 * KWH * 156_400),
        ("market", "inventory"): (13 * KWH, 3 * KWH * 609_600),
    }
    assert contract_use.used_mWh(conn, ContractYear("grid", "import", 2026)) == 10 * KWH
    contracts = [entries.meta["contracts"] for _, entries in entry_blocks(conn)]
    assert contracts == [[[0, 2026, 10 * KWH, 0, 6 * KWH]], [[0, 2026, 10 * KWH, 6 * KWH, 10 * KWH]]]
    assert [recheck(*blocks, factors=FACTORS) for blocks in entry_blocks(conn)] == [None, None]


@pytest.mark.parametrize(
    ("after_kWh", "used_kWh", "emitted_kWh"),
    [
        (8, 10, 4),  # more than before: 8 and 6 kWh, 10 covered
        (1, 5, 2),  # less, after the contract was used up: what it gives back waits for later energy
    ],
)
def test_a_correction_gives_back_what_its_rows_had_covered(
    conn: sqlite3.Connection, after_kWh: int, used_kWh: int, emitted_kWh: int
) -> None:
    write(conn, rows(6 * KWH, 6 * KWH))
    span = Span(NEW_YEAR, NEW_YEAR + 5 * MIN, after_kWh * KWH)
    finding = Correction(NAME, RECOVERED, span, [Piece(*span[:3])])
    correct(conn, finding, of_register(conn, *NAME[:2], NEW_YEAR), books=BOOKS, now_ms=NOW)
    assert contract_use.used_mWh(conn, ContractYear(*NAME[:2], 2026)) == used_kWh * KWH
    market = next(t for t in totals.query(conn, "0000-00-00", "9999-99-99") if t.lens == "market")
    assert market.energy_mWh == (6 + after_kWh) * KWH
    assert market.emitted_ng == emitted_kWh * KWH * 609_600
    _, entries = entry_blocks(conn)[-1]
    assert entries.meta["contracts"] == [[0, 2026, 10 * KWH, 10 * KWH, used_kWh * KWH]]
    assert entries.ints("matched_mWh")[:2] == [0, -6 * KWH]
    assert verify(conn, Auditor(FACTORS)) == []
    write(conn, rows(9 * KWH, t0_ms=NEW_YEAR + 10 * MIN))
    assert contract_use.used_mWh(conn, ContractYear(*NAME[:2], 2026)) == 10 * KWH
    assert verify(conn, Auditor(FACTORS)) == []


def test_a_site_that_gives_up_the_market_lens_can_still_correct_what_it_booked(conn: sqlite3.Connection) -> None:
    write(conn, rows(6 * KWH))
    plain = replace(
        BOOKS,
        scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"),
        devices={"grid": Declaration(role="grid")},
    )
    span = Span(NEW_YEAR, NEW_YEAR + 5 * MIN, 7 * KWH)
    finding = Correction(NAME, RECOVERED, span, [Piece(*span[:3])])
    correct(conn, finding, of_register(conn, *NAME[:2], NEW_YEAR), books=plain, now_ms=NOW)
    assert contract_use.used_mWh(conn, ContractYear(*NAME[:2], 2026)) == 0
    sums = {(t.lens, t.energy_mWh, t.emitted_ng) for t in totals.query(conn, "0000-00-00", "9999-99-99")}
    assert sums == {("location", 7 * KWH, 7 * KWH * 156_400), ("market", 0, 0)}
    assert verify(conn, Auditor(FACTORS)) == []


def test_a_site_without_contracts_says_nothing_of_them(conn: sqlite3.Connection) -> None:
    intervals = rows(5)
    intervals.registers[0] = RegisterName("load", "import", "import")
    write(conn, intervals)
    ((_, entries),) = entry_blocks(conn)
    assert entries.meta["contracts"] == []
    assert "matched_mWh" not in entries.columns
    assert entries.ints("emitted_ng") == [5 * 156_400, 5 * 609_600]


def walk(conn: sqlite3.Connection) -> list[str]:
    found = ContractWalk()
    faults = [found.take(entries) for _, entries in entry_blocks(conn)]
    return [fault for fault in faults if fault is not None] + found.finish(conn)


def test_a_walk_finds_a_contract_that_does_not_go_on(conn: sqlite3.Connection) -> None:
    write(conn, rows(6 * KWH))
    write(conn, rows(1 * KWH, t0_ms=NEW_YEAR + 5 * MIN))
    assert walk(conn) == []
    conn.execute("UPDATE contract_use SET used_mWh = 1")
    assert walk(conn) == [f"contract use of grid/import in 2026: stored is 1 mWh, the records used {7 * KWH} mWh"]
    write(conn, rows(1 * KWH, t0_ms=NEW_YEAR + 10 * MIN))
    assert walk(conn) == [
        f"its contract of grid/import for 2026 begins with 1 mWh used, the records before it used {7 * KWH} mWh"
    ]
    conn.execute("INSERT INTO contract_use VALUES ('x', 'y', 2026, 5)")
    assert walk(conn)[1:] == ["contract use of x/y in 2026: stored is 5 mWh, the records used 0 mWh"]


def test_a_walk_that_begins_after_pruned_records_believes_the_first_it_meets(conn: sqlite3.Connection) -> None:
    write(conn, rows(6 * KWH))
    write(conn, rows(1 * KWH, t0_ms=NEW_YEAR + 5 * MIN))
    found = ContractWalk()
    found.skip()
    assert found.take(entry_blocks(conn)[1][1]) is None
    assert found.finish(conn) == []
