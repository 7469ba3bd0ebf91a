"""Close and verify: what is written together, and every kind of damage that is found."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from gateway.carbon.booking.close import MAX_ROWS, Books, close
from gateway.carbon.booking.entries import Scope
from gateway.carbon.booking.rules import Declaration
from gateway.carbon.errors import CarbonError
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.intervals import Intervals, RegisterName
from gateway.carbon.metering.sweep import Sweep
from gateway.carbon.proof.auditor import Auditor
from gateway.store import outbox, totals
from gateway.store.audit.verification import Verification, verify
from gateway.store.database import SCHEMA_VERSION
from gateway.store.errors import StoreError
from gateway.store.ledger import pages as ledger
from gateway.store.migrations import migrate
from gateway.store.row_class import RowClass
from sync.messages import chain
from sync.wire import decode_block, encode_block
from tests.day_totals import tamper

FIVE_MIN = 300_000
T0 = 1_790_000_100_000 // FIVE_MIN * FIVE_MIN  # September 2026: factors are provisional
NOW = T0 + 10 * FIVE_MIN
FACTORS = FactorSet.load(shipped())
BOOKS = Books(
    scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"),
    factors=FACTORS,
    devices={
        "grid": Declaration(role="grid"),
        "pv": Declaration(role="pv", baseline="grid"),
    },
)
NAMES = [RegisterName("grid", "import", "import"), RegisterName("pv", "yield", "generation")]


def sweep(energies: list[int | None], begin: int = T0) -> Intervals:
    """Both registers, the same energies in rows of five minutes."""
    count = len(energies)
    t0s = [begin + n * FIVE_MIN for n in range(count)]
    return Intervals(
        registers=NAMES,
        r=[0] * count + [1] * count,
        epoch=[1] * 2 * count,
        t0_ms=2 * t0s,
        t1_ms=[t0 + FIVE_MIN for t0 in 2 * t0s],
        energy_mWh=2 * energies,
        raw_begin=[2**60] * 2 * count,
        raw_end=[2**60 + 1] * 2 * count,
        row_class=[int(RowClass.MEASURED if e is not None else RowClass.MISSING) for e in 2 * energies],
        flags=[0] * 2 * count,
        kind=[0] * 2 * count,
    )


def write(conn: sqlite3.Connection, intervals: Intervals, books: Books = BOOKS) -> int:
    return close(conn, sweep=Sweep(intervals=intervals), books=books, now_ms=NOW).records


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    """A store with three closes and an alarm: records 1 to 6 of the ledger, 1 of the events."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, SCHEMA_VERSION)
    write(connection, sweep([1000, None]))
    write(connection, sweep([2000], T0 + 2 * FIVE_MIN))
    write(connection, sweep([3000], T0 + 3 * FIVE_MIN))
    outbox.append(connection, "events", "alarm", NOW, NOW, b'{"columns":{},"kind":"alarm","meta":{}}')
    yield connection
    connection.close()


def problems(conn: sqlite3.Connection) -> list[str]:
    return verify(conn, Auditor(FACTORS))


def test_a_close_writes_blocks_and_totals(conn: sqlite3.Connection) -> None:
    kinds = [kind for (kind,) in conn.execute("SELECT kind FROM record WHERE stream = 'ledger' ORDER BY seq")]
    assert kinds == 3 * ["intervals", "entries"]
    found = [
        (total.device, total.account, total.energy_mWh, total.emitted_ng, total.baseline_ng, total.missing_ms)
        for total in totals.by_register(totals.query(conn, "2026-01-01", "2026-12-31"))
    ]
    assert found == [
        ("grid", "inventory", 6000, 6000 * 156_400, None, FIVE_MIN),
        ("pv", "memo", 6000, 0, None, FIVE_MIN),
        ("pv", "project", 6000, 0, 6000 * 156_400, FIVE_MIN),
    ]
    assert problems(conn) == []


def test_an_empty_sweep_writes_nothing(conn: sqlite3.Connection) -> None:
    assert write(conn, Intervals(registers=NAMES)) == 0
    assert outbox.head(conn, "ledger").seq == 6


def test_what_comes_back_after_a_long_outage_is_cut_into_records(conn: sqlite3.Connection) -> None:
    rows = MAX_ROWS + 10
    assert write(conn, sweep([1] * rows, T0 + 10 * FIVE_MIN)) == 6
    sizes = [len(body) for (body,) in conn.execute("SELECT body FROM record WHERE stream = 'ledger' AND seq > 6")]
    assert max(sizes) < 400_000
    assert sum(1 for _ in ledger.iter_entries(conn)) == 9 + 3 * rows
    assert problems(conn) == []


def test_a_close_that_fails_takes_everything_back(conn: sqlite3.Connection) -> None:
    before = outbox.head(conn, "ledger")
    conn.execute("BEGIN")
    with pytest.raises(CarbonError):
        write(conn, sweep([1], T0 + 4 * FIVE_MIN), replace(BOOKS, factors=FactorSet([])))
    conn.execute("ROLLBACK")
    assert outbox.head(conn, "ledger") == before
    assert problems(conn) == []


def test_entries_are_read_with_their_evidence(conn: sqlite3.Connection) -> None:
    entries = list(ledger.iter_entries(conn))
    assert [(entry.seq, entry.row) for entry in entries] == [
        *((2, row) for row in range(3)),
        *((4, row) for row in range(3)),
        *((6, row) for row in range(3)),
    ]
    last = entries[-1]
    assert (last.device, last.register, last.flow, last.account) == ("pv", "yield", "generation", "project")
    assert (last.t0_ms, last.t1_ms, last.energy_mWh) == (T0 + 3 * FIVE_MIN, T0 + 4 * FIVE_MIN, 3000)
    assert (last.raw_begin, last.raw_end) == (2**60, 2**60 + 1)
    assert (last.factor, last.emitted_ng, last.baseline_ng) == (
        "cn-grid/CN-SC/2023/location@1",
        0,
        3000 * 156_400,
    )
    assert (last.method, last.row_class, last.flags) == (
        "electricity.grid-displaced/1",
        RowClass.MEASURED,
        ["provisional"],
    )


def test_pages_go_back_record_by_record(conn: sqlite3.Connection) -> None:
    newest = ledger.page(conn, 4)
    assert ([entry.seq for entry in newest.entries], newest.next_before_seq) == ([6, 6, 6, 4, 4, 4], 4)
    oldest = ledger.page(conn, 4, newest.next_before_seq)
    assert ([entry.seq for entry in oldest.entries], oldest.next_before_seq) == ([2, 2, 2], None)
    assert ledger.page(conn, 3, 2) == ([], None, 0)
    step = ledger.after(conn, 2)
    assert step is not None
    assert (step[0], [entry.seq for entry in step[1]]) == (6, [4, 4, 4, 6, 6, 6])
    assert ledger.after(conn, 6) is None


def test_a_verification_goes_in_steps_beside_the_writer(conn: sqlite3.Connection) -> None:
    walk = Verification(Auditor(FACTORS))
    begin = T0 + 10 * FIVE_MIN
    while walk.advance(conn, 2):
        if begin < T0 + 13 * FIVE_MIN:
            write(conn, sweep([5], begin))
            begin += FIVE_MIN
    assert (walk.records, walk.problems) == (13, [])


def flip(conn: sqlite3.Connection, seq: int, old: bytes, new: bytes, stream: str = "ledger") -> None:
    (body,) = conn.execute("SELECT body FROM record WHERE stream = ? AND seq = ?", (stream, seq)).fetchone()
    assert old in body
    changed = body.replace(old, new, 1)
    conn.execute("UPDATE record SET body = ? WHERE stream = ? AND seq = ?", (changed, stream, seq))


def chain_again(conn: sqlite3.Connection, first: int) -> None:
    """What a forger who knows the format does: all hashes after a change made anew."""
    (h,) = conn.execute("SELECT hash FROM record WHERE stream = 'ledger' AND seq = ?", (first - 1,)).fetchone()
    for seq, body in conn.execute(
        "SELECT seq, body FROM record WHERE stream = 'ledger' AND seq >= ? ORDER BY seq", (first,)
    ).fetchall():
        h = chain(h, seq, body)
        conn.execute("UPDATE record SET hash = ? WHERE stream = 'ledger' AND seq = ?", (h, seq))
    conn.execute("UPDATE mark SET head_hash = ? WHERE stream = 'ledger'", (h,))


def change(conn: sqlite3.Connection, seq: int, edit: Callable[[dict[str, list[int]]], None]) -> None:
    """Edits the columns of a record, and forges the chain to fit."""
    (body,) = conn.execute("SELECT body FROM record WHERE stream = 'ledger' AND seq = ?", (seq,)).fetchone()
    block = decode_block(body)
    edit(block.columns)  # type: ignore[arg-type]
    body = encode_block(block.kind, block.meta, block.columns)
    conn.execute("UPDATE record SET body = ? WHERE stream = 'ledger' AND seq = ?", (body, seq))
    chain_again(conn, seq)


def test_a_flipped_byte_is_found(conn: sqlite3.Connection) -> None:
    flip(conn, 3, b"2000", b"2001")
    assert problems(conn)[0] == (
        "stream ledger, record 3: its bytes do not match its hash"
        " (intervals, 2026-09-21 14:25:00Z to 2026-09-21 14:30:00Z)"
    )


def test_a_flipped_byte_of_an_event_is_found(conn: sqlite3.Connection) -> None:
    flip(conn, 1, b"alarm", b"alert", stream="events")
    (problem,) = problems(conn)
    assert problem.startswith("stream events, record 1: its bytes do not match its hash (alarm, ")


def test_text_in_place_of_bytes_is_found(conn: sqlite3.Connection) -> None:
    conn.execute("UPDATE record SET body = CAST(body AS TEXT) WHERE stream = 'events'")
    (problem,) = problems(conn)
    assert problem.startswith("stream events, record 1: its bytes do not match its hash (alarm, ")


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("seq = 3", "stream ledger: record 3 is missing"),
        ("seq IN (3, 4)", "stream ledger: records 3 to 4 are missing"),
        ("seq = 6", "stream ledger: record 6 is missing"),
        ("seq > 2", "stream ledger: records 3 to 6 are missing"),
    ],
)
def test_a_removed_record_is_found(conn: sqlite3.Connection, where: str, says: str) -> None:
    conn.execute(f"DELETE FROM record WHERE stream = 'ledger' AND {where}")
    assert says in problems(conn)


def test_a_changed_total_is_found(conn: sqlite3.Connection) -> None:
    tamper(conn, of_device="grid", emitted_ng=1)
    (problem,) = problems(conn)
    assert problem.startswith("day total of 2026-09-21, grid/import, location, inventory: stored is 6000 mWh, 1 ng,")
    assert problem.endswith(f"add up to 6000 mWh, {6000 * 156_400} ng, {FIVE_MIN} ms missing, 3 rows")


@pytest.mark.parametrize("statement", ["DELETE FROM day_total", "UPDATE day_total SET day = '2026-09-22'"])
def test_lost_and_moved_totals_are_found(conn: sqlite3.Connection, statement: str) -> None:
    conn.execute(statement)
    assert len(problems(conn)) >= 3


def test_a_forged_amount_is_found_by_computing_it_again(conn: sqlite3.Connection) -> None:
    def smaller(columns: dict[str, list[int]]) -> None:
        columns["emitted_ng"][0] -= 1

    change(conn, 4, smaller)
    emitted = 2000 * 156_400
    where = "stream ledger, record 4: row 0 (grid/import, 2026-09-21 14:25:00Z)"
    assert problems(conn) == [f"{where}: emitted_ng is {emitted - 1}, computed {emitted}"]


def test_a_forged_energy_is_found_by_its_entries(conn: sqlite3.Connection) -> None:
    def larger(columns: dict[str, list[int]]) -> None:
        columns["energy_mWh"][1] += 1

    change(conn, 5, larger)
    (problem,) = problems(conn)
    assert problem.startswith("stream ledger, record 6: row 2 (pv/yield, 2026-09-21 14:30:00Z): baseline_ng is ")


def test_nonsense_in_a_sound_chain_is_a_problem_and_not_a_crash(conn: sqlite3.Connection) -> None:
    conn.execute("UPDATE record SET body = ? WHERE stream = 'ledger' AND seq = 4", (b"{}",))
    chain_again(conn, 4)
    assert problems(conn) == [
        'stream ledger, record 4: a block has exactly "columns" (object), "kind" (string) and "meta" (object)'
    ]
    with pytest.raises(StoreError, match="record 4 of the ledger cannot be read"):
        list(ledger.iter_entries(conn))


def test_verify_finds_an_interval_that_was_booked_twice(conn: sqlite3.Connection) -> None:
    """The mistake of a writer that repeats a sweep: every hash, entry and sum is right, and the energy is not."""
    assert verify(conn, Auditor(FACTORS)) == []
    write(conn, sweep([3000], T0 + 3 * FIVE_MIN))
    problems = verify(conn, Auditor(FACTORS))
    assert ["an interval of grid/import overlaps" in problem for problem in problems] == [True, False]
    assert "pv/yield" in problems[1]
