"""Guards: rules of metering and correction that show only in rare sequences, each with its evidence in the ledger."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext import CounterSpec
from gateway.carbon.booking import close as booking
from gateway.carbon.booking.close import close
from gateway.carbon.intervals import Intervals, RegisterName
from gateway.carbon.metering.correction import RECOVERED, STEP, Correction, Piece, corrected
from gateway.carbon.metering.meter import Meter
from gateway.carbon.metering.register_spec import RegisterSpec
from gateway.carbon.metering.span import Span
from gateway.carbon.metering.sweep import Lateness, Sweep
from gateway.carbon.proof.auditor import Auditor
from gateway.store import totals
from gateway.store.audit.verification import verify
from gateway.store.flag import Flag
from gateway.store.ledger import backwards, live
from gateway.store.ledger import pages as ledger
from gateway.store.ledger.backwards import Backwards
from gateway.store.row_class import RowClass
from sync.messages import GENESIS, chain
from sync.wire import Block, decode_block, encode_block
from tests.gateway.carbon.small_site import AS_OF, BOOKS, FACTORS, MIN, NEW_YEAR, new_store, reading, write

FIVE_MIN, HOUR, DAY = 5 * MIN, 60 * MIN, 1440 * MIN
T0: Final = NEW_YEAR + 8 * HOUR
NEW_YEAR_2023: Final = 1_672_502_400_000
"""Of the site's region: the energy factor changes, and both years are published."""
NAME = RegisterName("m", "a", "import")
COUNTER = CounterSpec(modulus=2**32, scale_num=1000, scale_den=1, p_max_W=500_000, refresh_s=60, jitter=1, policy=0)
AUDITOR = Auditor(FACTORS)


def spec(counter: CounterSpec = COUNTER, uptime: int | None = None) -> RegisterSpec:
    return RegisterSpec(**NAME._asdict(), point=0, max_gap_ms=3 * MIN, counter=counter, uptime=uptime)


def meter(of: RegisterSpec) -> Meter:
    return Meter([of], FIVE_MIN, lambda t0, t1: [])


def feed(to: Meter, *readings: tuple[int, int]) -> None:
    """Minutes after T0 and counts."""
    for minutes, raw in readings:
        to.feed(reading([raw]), T0 + minutes * MIN)


def restarted(before: Meter, of: RegisterSpec) -> Meter:
    after = meter(of)
    after.load(before.states())
    return after


def taken(m: Meter) -> Intervals:
    return m.sweep(m.newest_ms).intervals


def in_force(conn: sqlite3.Connection, name: RegisterName = NAME) -> list[live.LiveRow]:
    return live.of_register(conn, name.device, name.register, 0)


@pytest.fixture
def store() -> Iterator[sqlite3.Connection]:
    with closing(new_store()) as conn:
        yield conn


FALSE_RESET: Final = [(0, 100_000), (1, 0), (2, 3_000), (3, 5_000), (5, 5_001)]


def recovered(conn: sqlite3.Connection, *readings: tuple[int, int]) -> list[live.LiveRow]:
    """What is in force after a reset that was booked, and these readings that show that there was none."""
    m = meter(spec())
    for each in (*FALSE_RESET, *readings):
        feed(m, each)
        write(conn, m, T0 + each[0] * MIN)
    assert sum("run" in block.meta for _, block in blocks(conn, "intervals")) == 1
    assert verify(conn, AUDITOR) == []
    return in_force(conn)


def test_a_recovery_without_energy_takes_the_false_energy_back(store: sqlite3.Connection) -> None:
    rows = recovered(store, (6, 100_000), (10, 100_000))
    assert [(row.t0_ms, row.t1_ms, row.energy_mWh) for row in rows] == [
        (T0, T0 + FIVE_MIN, 0),
        (T0 + FIVE_MIN, T0 + 2 * FIVE_MIN, 0),
    ]
    (total,) = totals.by_register(totals.query(store, "0", "9"))
    assert (total.energy_mWh, total.emitted_ng) == (0, 0)


def test_a_recovered_row_ends_at_the_count_that_was_accepted_by_then(store: sqlite3.Connection) -> None:
    rows = recovered(store, (6, 100_012), (10, 100_020))
    # At minute 5 the last good count was still that of minute 0: 100012 came a minute later.
    assert [(row.raw_begin, row.raw_end) for row in rows] == [(100_000, 100_000), (100_000, 100_020)]


def test_the_last_piece_of_a_finding_ends_at_its_count() -> None:
    pieces = [Piece(T0 + n * FIVE_MIN, T0 + (n + 1) * FIVE_MIN, 1_000) for n in range(3)]
    span = Span(T0, T0 + 3 * FIVE_MIN, 3_000, raw_begin=100, raw_end=103, epoch=1)
    found, _ = corrected(Correction(NAME, RECOVERED, span, pieces), [])
    assert list(zip(found.raw_begin, found.raw_end, strict=True)) == [(100, 100), (100, 100), (100, 103)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 2, 6, 60]),  # minutes later
            st.one_of(st.integers(0, 200), st.sampled_from([3_000, 5_000, 100_000, 100_010, 999_990])),
        ),
        max_size=12,
    )
)
def test_nothing_closes_while_a_reading_is_held(readings: list[tuple[int, int]]) -> None:
    m, minute, lateness = meter(spec(COUNTER._replace(modulus=1_000_000, p_max_W=50_000))), 0, Lateness.NONE
    feed(m, (0, 100_000))
    m.sweep(T0)
    for later, raw in readings:
        minute += later
        feed(m, (minute, raw))
        swept = m.sweep(T0 + minute * MIN + DAY)  # so late that every register is behind
        lateness = next((late.state for late in swept.late), lateness)
        if lateness == Lateness.HELD:
            assert not len(swept.intervals)
            assert not swept.corrections


def test_a_gap_without_energy_is_spread_over_nothing() -> None:
    m = meter(spec())
    feed(m, (0, 100), (20, 100), (40, 110))
    closed = taken(m)
    assert closed.energy_mWh == [0] * 4 + [2_500] * 4
    assert closed.flags == [0] * 4 + [Flag.INTERP_PROFILE] * 4


def test_a_gap_of_more_than_a_day_outlives_a_restart() -> None:
    m = meter(spec())
    feed(m, (0, 100), (1446, 2_000))
    before = taken(m)
    m = restarted(m, spec())
    feed(m, (1450, 2_001))
    after = taken(m)
    gap = (T0, T0 + 1446 * MIN)
    assert before.gaps == [(row, *gap) for row in range(len(before))]
    # The last row was open: one minute of it lies in the gap.
    assert (after.t0_ms, after.gaps) == ([T0 + 1445 * MIN], [(0, *gap)])


def test_an_uptime_is_compared_over_a_restart() -> None:
    """Only the uptime tells that the device was restarted while we were: else its counter would have turned over."""
    of = spec(COUNTER._replace(modulus=1_000_000), uptime=1)
    m = meter(of)
    m.feed(reading([999_990, 86_400]), T0)
    m = restarted(m, of)
    m.feed(reading([7, 12]), T0 + FIVE_MIN)
    closed = taken(m)
    assert closed.energy_mWh == [7_000]
    assert closed.flags[0] & Flag.RESET


def measured(begin_ms: int, energies: Sequence[int]) -> Intervals:
    """Rows of five minutes."""
    count = len(energies)
    t0s = [begin_ms + n * FIVE_MIN for n in range(count)]
    return Intervals(
        registers=[NAME],
        r=[0] * count,
        epoch=[1] * count,
        t0_ms=t0s,
        t1_ms=[t0 + FIVE_MIN for t0 in t0s],
        energy_mWh=[*energies],
        raw_begin=[0] * count,
        raw_end=[0] * count,
        row_class=[int(RowClass.MEASURED)] * count,
        flags=[0] * count,
        kind=[0] * count,
    )


def blocks(conn: sqlite3.Connection, kind: str) -> list[tuple[int, Block]]:
    found = conn.execute("SELECT seq, body FROM record WHERE stream = 'ledger' AND kind = ? ORDER BY seq", (kind,))
    return [(seq, decode_block(body)) for seq, body in found]


@pytest.mark.parametrize("max_rows", [1, 3, 4])
def test_a_correction_larger_than_a_record(
    conn: sqlite3.Connection, gateway: type, monkeypatch: pytest.MonkeyPatch, max_rows: int
) -> None:
    """Each reversal negates the entries of its own row, in whatever part it stands."""
    site = gateway(conn)
    site.sweep(0, [1, 2, 3, 4, 5])
    monkeypatch.setattr(booking, "MAX_ROWS", max_rows)
    site.step(0, 10, rows=5)
    parts = [block for _, block in blocks(conn, "intervals")[1:]]
    assert [block.rows for block in parts] == [min(max_rows, 10 - first) for first in range(0, 10, max_rows)]
    lines = [entry for entry in ledger.iter_entries(conn) if entry.kind != "normal"]
    assert [(entry.kind, entry.energy_mWh) for entry in lines] == [
        said for n in range(1, 6) for said in (("reversal", -n * 100_000), ("restatement", (n + 2) * 100_000))
    ]
    assert all(entry.emitted_ng == (entry.energy_mWh or 0) * 125_500 for entry in lines)
    assert verify(conn, AUDITOR) == []


def test_a_correction_over_more_than_a_day_has_the_bounds_of_its_window(store: sqlite3.Connection) -> None:
    begin_ms = NEW_YEAR_2023 - 12 * HOUR
    rows = measured(begin_ms, [1_000, 2_000])
    close(store, sweep=Sweep(intervals=rows), books=BOOKS, now_ms=AS_OF)
    span = Span(begin_ms, begin_ms + DAY + HOUR, 9_000, raw_begin=0, raw_end=9, epoch=1)
    pieces = [Piece(t0_ms, t1_ms, 500) for t0_ms, t1_ms in zip(rows.t0_ms, rows.t1_ms, strict=True)]
    sweep = Sweep(intervals=Intervals(registers=[]), corrections=[Correction(NAME, STEP, span, pieces)])
    close(store, sweep=sweep, books=BOOKS, now_ms=AS_OF)
    window = [span.t0_ms, span.t1_ms]
    assert blocks(store, "intervals")[-1][1].meta["gaps"] == [[1, *window], [3, *window]]
    found = [(entry.kind, entry.energy_mWh, entry.lo_ng, entry.hi_ng) for entry in ledger.iter_entries(store)]
    assert found[2:] == [
        ("reversal", -1_000, None, None),
        ("restatement", 1_500, 1_500 * 140_400, 1_500 * 156_400),
        ("reversal", -2_000, None, None),
        ("restatement", 2_500, 2_500 * 140_400, 2_500 * 156_400),
    ]
    assert verify(store, AUDITOR) == []


def test_a_correction_over_exactly_a_day_has_no_window() -> None:
    span = Span(T0, T0 + DAY, 1_000, raw_begin=0, raw_end=1, epoch=1)
    found, _ = corrected(Correction(NAME, STEP, span, [Piece(T0, T0 + FIVE_MIN, 3)]), [])
    assert found.gaps == []


def forge(conn: sqlite3.Connection, seq: int, meta: dict[str, Any]) -> None:
    """Another meta, and all hashes made anew."""
    (body,) = conn.execute("SELECT body FROM record WHERE stream = 'ledger' AND seq = ?", (seq,)).fetchone()
    block = decode_block(body)
    body = encode_block(block.kind, dict(block.meta) | meta, block.columns)
    conn.execute("UPDATE record SET body = ? WHERE stream = 'ledger' AND seq = ?", (body, seq))
    after = GENESIS
    for each, body in conn.execute("SELECT seq, body FROM record WHERE stream = 'ledger' ORDER BY seq").fetchall():
        after = chain(after, each, body)
        conn.execute("UPDATE record SET hash = ? WHERE stream = 'ledger' AND seq = ?", (after, each))
    conn.execute("UPDATE mark SET head_hash = ? WHERE stream = 'ledger'", (after,))


@pytest.mark.parametrize(
    ("told", "row"),
    [
        ([[0, 2, None], [2, 0, None]], 0),
        ([[0, 0, "step/grid/import/1"], [2, 0, None]], 0),
        ([[0, 0, None], [2, 0, "step/grid/import/1"]], 2),
        ([[0, 0, None]], 2),
    ],
    ids=["another kind", "another run", "another run of the second", "nothing of the second"],
)
def test_what_a_correction_tells_of_the_rows_that_it_takes_back(
    everything: sqlite3.Connection, told: list[list[object]], row: int
) -> None:
    seq = next(seq for seq, block in blocks(everything, "intervals") if "run" in block.meta)
    forge(everything, seq, {"reversed": [[0, 0, None], [2, 0, None]]})
    assert verify(everything, AUDITOR) == []  # as it was written
    forge(everything, seq, {"reversed": told})
    first = verify(everything, AUDITOR)[0]
    assert first.startswith(f"stream ledger, record {seq}: row {row} (grid/import, 2024-12-09 16:")
    assert "is not the reversal of record" in first


def walked(conn: sqlite3.Connection, t0_ms: int, t1_ms: int) -> list[int]:
    walk, found = Backwards(t0_ms, t1_ms), []
    while (seqs := walk.step(conn)) is not None:
        found += seqs
    return found


def test_a_walk_back_ends_where_bookings_are_older_than_its_time_and_not_before(
    conn: sqlite3.Connection, gateway: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backwards, "_WINDOW", 2)
    site = gateway(conn)
    midnight_ms = site.midnight_ms
    for n in range(3):
        gateway(conn, midnight_ms - 5 * DAY).sweep(10 * n, [1])
    site.sweep(0, [1, 2])
    gateway(conn, midnight_ms - DAY // 2).sweep(0, [3], RegisterName("pv", "yield", "generation"))  # the clock fell
    for n in range(3):
        site.sweep(10 + 10 * n, [4, 5])
    # It comes to the bookings of five days before and looks no further: what is older may even be damaged.
    conn.execute("UPDATE record SET body = x'00' WHERE stream = 'ledger' AND seq <= 4")
    assert walked(conn, midnight_ms, midnight_ms + DAY) == [16, 14, 12, 8]
    assert walked(conn, midnight_ms - DAY, midnight_ms + DAY) == [16, 14, 12, 10, 8]
