"""Verification: whatever a hand changes in the file is found, and the first bad record and row are named."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.proof.auditor import Auditor
from gateway.store import pruning
from gateway.store.audit import sums_check
from gateway.store.audit.verification import Verification, verify
from gateway.store.database import FILE_NAME
from gateway.store.outbox import head
from sync.messages import GENESIS, chain
from sync.wire import Block, decode_block, encode_block
from tests.day_totals import tamper

DAY = 86_400_000
MIDNIGHT = 1_733_760_000_000
"""Begin of the day that the fixtures write, and of its first interval."""
AUDITOR = Auditor(FactorSet.load(shipped()))
FIRST_ROW = "grid/import, 2024-12-09 16:00:00Z"

Edit = Callable[[dict[str, list[Any]]], None]


@pytest.fixture
def file(full_folder: Path) -> Iterator[sqlite3.Connection]:
    """The database of a stopped gateway, opened by somebody who means harm."""
    with closing(sqlite3.connect(full_folder / FILE_NAME, isolation_level=None)) as conn:
        yield conn


def problems(conn: sqlite3.Connection) -> list[str]:
    return verify(conn, AUDITOR)


def records(conn: sqlite3.Connection) -> list[tuple[int, str]]:
    return conn.execute("SELECT seq, kind FROM record WHERE stream = 'ledger' ORDER BY seq").fetchall()


def seq_of(conn: sqlite3.Connection, kind: str, number: int = 0) -> int:
    return [seq for seq, found in records(conn) if found == kind][number]


def block_at(conn: sqlite3.Connection, seq: int) -> Block:
    (body,) = conn.execute("SELECT body FROM record WHERE stream = 'ledger' AND seq = ?", (seq,)).fetchone()
    return decode_block(body)


def put(conn: sqlite3.Connection, seq: int, body: bytes) -> None:
    conn.execute("UPDATE record SET body = ? WHERE stream = 'ledger' AND seq = ?", (body, seq))


def chain_again(conn: sqlite3.Connection) -> None:
    """What a forger does who knows the format: all hashes made anew."""
    after = GENESIS
    for seq, body in conn.execute("SELECT seq, body FROM record WHERE stream = 'ledger' ORDER BY seq").fetchall():
        after = chain(after, seq, body)
        conn.execute("UPDATE record SET hash = ? WHERE stream = 'ledger' AND seq = ?", (after, seq))
    conn.execute("UPDATE mark SET head_hash = ?, head_seq = ? WHERE stream = 'ledger'", (after, seq))


def forge(conn: sqlite3.Connection, seq: int, edit: Edit) -> None:
    """Edits the columns of a record, and the chain to fit."""
    block = block_at(conn, seq)
    edit(block.columns)
    put(conn, seq, encode_block(block.kind, block.meta, block.columns))
    chain_again(conn)


def test_a_ledger_with_everything_in_it_is_sound(file: sqlite3.Connection) -> None:
    walk = Verification(AUDITOR)
    while walk.advance(file):
        pass
    assert walk.problems == []
    assert walk.records == len(records(file)) + 3
    assert walk.heads == {stream: head(file, stream) for stream in ("events", "ledger")}
    assert {"intervals", "entries", "coverage", "restatement"} == {kind for _, kind in records(file)}


def test_every_flipped_bit_is_found_at_its_record(file: sqlite3.Connection) -> None:
    for seq, kind in records(file):
        (body,) = file.execute("SELECT body FROM record WHERE stream = 'ledger' AND seq = ?", (seq,)).fetchone()
        for at in range(0, len(body), 97):
            put(file, seq, body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])
            first = problems(file)[0]
            assert first.startswith(f"stream ledger, record {seq}: its bytes do not match its hash ({kind}, 2024-12-")
        put(file, seq, body)
    assert problems(file) == []


def test_a_flipped_digit_names_the_first_bad_row(file: sqlite3.Connection) -> None:
    (body,) = file.execute("SELECT body FROM record WHERE stream = 'ledger' AND seq = 1").fetchone()
    put(file, 1, body.replace(b'"energy_mWh":[100000', b'"energy_mWh":[100001'))
    first, second, *_ = problems(file)
    assert first.startswith("stream ledger, record 1: its bytes do not match its hash (intervals, 2024-12-09 16:00:00Z")
    assert second.startswith(f"stream ledger, record 2: row 0 ({FIRST_ROW}): emitted_ng is ")


def remove(columns: dict[str, list[Any]]) -> None:
    for values in columns.values():
        del values[0]


def repeat(columns: dict[str, list[Any]]) -> None:
    for values in columns.values():
        values.append(values[-1])


def swap(columns: dict[str, list[Any]]) -> None:
    for values in columns.values():
        values[0], values[1] = values[1], values[0]


def grow(columns: dict[str, list[Any]]) -> None:
    columns["emitted_ng"][1] += 1


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (grow, "row 1 (grid/import, 2024-12-09 16:05:00Z): emitted_ng is"),
        (remove, f"row 0 ({FIRST_ROW}): i is 1, computed 0"),
        (repeat, "row 2 (grid/import, 2024-12-09 16:05:00Z) should not be there"),
        (swap, f"row 0 ({FIRST_ROW}): i is 1, computed 0"),
    ],
)
def test_entries_that_a_forger_changed(file: sqlite3.Connection, edit: Edit, says: str) -> None:
    forge(file, 2, edit)
    assert problems(file)[0].startswith(f"stream ledger, record 2: {says}")


def test_entries_of_which_the_last_one_was_cut_off(file: sqlite3.Connection) -> None:
    def cut(columns: dict[str, list[Any]]) -> None:
        for values in columns.values():
            del values[-1]

    forge(file, 2, cut)
    assert problems(file)[0] == "stream ledger, record 2: row 1 (grid/import, 2024-12-09 16:05:00Z) is missing"


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (remove, "record 1: its times are not those of its rows"),
        (swap, "record 2: row 0 (grid/import, 2024-12-09 16:05:00Z): emitted_ng is"),
        (
            lambda columns: columns["kind"].__setitem__(1, 1),
            "record 1: row 1 (grid/import, 2024-12-09 16:05:00Z) stands",
        ),
    ],
)
def test_intervals_that_a_forger_changed(file: sqlite3.Connection, edit: Edit, says: str) -> None:
    forge(file, 1, edit)
    assert says in "\n".join(problems(file))


def test_a_restatement_that_a_forger_changed(file: sqlite3.Connection) -> None:
    seq = seq_of(file, "restatement")
    forge(file, seq, grow)
    (problem,) = problems(file)
    assert problem.startswith(f"stream ledger, record {seq}: row 1 ({FIRST_ROW}): emitted_ng is ")


def correction(conn: sqlite3.Connection) -> int:
    return next(seq for seq, kind in records(conn) if kind == "intervals" and "run" in block_at(conn, seq).meta)


@pytest.mark.parametrize(
    ("column", "row", "says"),
    [
        ("epoch", 0, "takes back a row that is not in force"),
        ("energy_mWh", 0, "is not the reversal of record"),
        ("raw_end", 2, "is not the reversal of record"),
        ("kind", 1, "takes back a row that is not in force"),
    ],
)
def test_a_correction_takes_back_what_is_in_force(file: sqlite3.Connection, column: str, row: int, says: str) -> None:
    seq = correction(file)
    assert block_at(file, seq).columns["kind"] == [1, 2, 1, 2]

    def edit(columns: dict[str, list[Any]]) -> None:
        columns[column][row] += -1 if column == "kind" else 1

    forge(file, seq, edit)
    first = problems(file)[0]
    assert first.startswith(f"stream ledger, record {seq}: row {row} (grid/import, 2024-12-09 16:")
    assert says in first


def test_a_correction_that_was_written_twice(file: sqlite3.Connection) -> None:
    seq = correction(file)
    copy_to_end(file, seq)
    copy_to_end(file, seq + 1)
    last = records(file)[-2][0]
    assert problems(file)[0].startswith(f"stream ledger, record {last}: row 0 (grid/import, 2024-12-09 16:25:00Z) ")


def copy_to_end(conn: sqlite3.Connection, seq: int) -> None:
    conn.execute(
        "INSERT INTO record SELECT stream, (SELECT max(seq) + 1 FROM record WHERE stream = 'ledger'), kind, t0_ms,"
        " t1_ms, body, hash FROM record WHERE stream = 'ledger' AND seq = ?",
        (seq,),
    )
    chain_again(conn)


def test_rows_in_force_that_hold_the_same_time(file: sqlite3.Connection) -> None:
    """A correction whose new row reaches into the next one: every entry follows from it, and the time is told twice."""
    seq = correction(file)

    def longer(columns: dict[str, list[Any]]) -> None:
        columns["t1"][1] += 60_000

    forge(file, seq, longer)
    assert f"after it, row 3 of record {seq} (grid/import, 2024-12-09 16:30:00Z) overlaps row 1 of record {seq}" in (
        "\n".join(problems(file))
    )


def test_an_interval_that_was_booked_twice(file: sqlite3.Connection) -> None:
    copy_to_end(file, 1)
    last = records(file)[-1][0]
    assert problems(file)[0] == (
        f"stream ledger, record {last}: row 0 ({FIRST_ROW}): an interval of grid/import overlaps the one before it"
    )


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("seq = 3", "stream ledger: record 3 is missing"),
        ("seq IN (3, 4)", "stream ledger: records 3 to 4 are missing"),
        ("seq >= 15", "stream ledger: records 15 to 17 are missing"),
    ],
)
def test_removed_records(file: sqlite3.Connection, where: str, says: str) -> None:
    assert len(records(file)) == 17
    file.execute(f"DELETE FROM record WHERE stream = 'ledger' AND {where}")
    assert problems(file)[0] == says


def test_records_that_changed_places(file: sqlite3.Connection) -> None:
    for old, new in ((3, -1), (1, 3), (-1, 1)):
        file.execute("UPDATE record SET seq = ? WHERE stream = 'ledger' AND seq = ?", (new, old))
    assert problems(file)[0].startswith("stream ledger, record 1: its bytes do not match its hash (intervals, ")
    chain_again(file)
    assert problems(file)[0].startswith(
        "stream ledger, record 2: row 0 (pv/yield, 2024-12-09 16:00:00Z): emitted_ng is "
    )


def test_a_record_that_was_put_between(file: sqlite3.Connection) -> None:
    file.execute("UPDATE record SET seq = -seq - 1 WHERE stream = 'ledger' AND seq > 4")
    file.execute("UPDATE record SET seq = -seq WHERE stream = 'ledger' AND seq < 0")
    file.execute("INSERT INTO record SELECT stream, 5, kind, t0_ms, t1_ms, body, hash FROM record WHERE seq = 6")
    assert problems(file)[0].startswith("stream ledger, record 6: its bytes do not match its hash")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("kind = 'coverage'", "record 1: it is kept as coverage and says that it is intervals"),
        ("kind = 'header'", "record 1: it is kept as header and says that it is intervals"),
        ("t0_ms = t0_ms - 1", "record 1: its times are not those of its rows"),
        ("body = CAST(body AS TEXT)", "record 1: its bytes do not match its hash"),
        ("hash = x'00'", "record 1: its bytes do not match its hash"),
    ],
)
def test_what_stands_beside_the_body(file: sqlite3.Connection, change: str, says: str) -> None:
    file.execute(f"UPDATE record SET {change} WHERE stream = 'ledger' AND seq = 1")
    assert problems(file)[0].startswith(f"stream ledger, {says}")


def test_the_times_of_entries_are_those_of_their_intervals(file: sqlite3.Connection) -> None:
    file.execute("UPDATE record SET t1_ms = t1_ms + 1 WHERE stream = 'ledger' AND seq = 2")
    assert problems(file) == ["stream ledger, record 2: its times are not those of its rows"]


def test_an_event(file: sqlite3.Connection) -> None:
    file.execute("UPDATE record SET body = replace(body, 'alarm', 'alert') WHERE stream = 'events' AND seq = 2")
    (problem,) = problems(file)
    assert problem.startswith("stream events, record 2: its bytes do not match its hash (alarm, 2024-12-09 16:31:00Z")


@pytest.mark.parametrize("at_once", [1, 2000])
def test_sums(file: sqlite3.Connection, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums_check, "_AT_ONCE", at_once)  # every block leaves memory, or none does
    assert problems(file) == []
    tamper(file, of_device="grid", of_day="2024-12-11", emitted_ng=1)
    (problem,) = problems(file)
    assert problem.startswith("day total of 2024-12-11, grid/import, location, inventory: stored is 700000 mWh, 1 ng,")
    file.execute("DELETE FROM day_total WHERE day = '2024-12-11'")
    (problem,) = problems(file)
    assert ": stored is nothing, the entries add up to 700000 mWh, " in problem
    tamper(file, of_device="pv", day="2024-12-12")
    assert len(problems(file)) == 5


def test_a_pruned_ledger_is_sound(file: sqlite3.Connection) -> None:
    file.execute("UPDATE mark SET acked_through = head_seq")
    for limit in range(2, 12):
        pruning.prune(file, MIDNIGHT + 400 * DAY, limit)
        assert problems(file) == []
    assert {kind for _, kind in records(file)} == {"header"}


def test_headers_stand_at_the_begin_only(file: sqlite3.Connection) -> None:
    file.execute("UPDATE mark SET acked_through = head_seq")
    pruning.prune(file, MIDNIGHT + 400 * DAY, 4)
    file.execute(
        "UPDATE record SET kind = 'header', body = (SELECT body FROM record WHERE stream = 'ledger' AND seq = 1)"
        " WHERE stream = 'ledger' AND seq = 7"
    )
    assert problems(file)[0] == "stream ledger, record 7: it is pruned, and records before it are not"


def test_the_sums_of_a_header_count(file: sqlite3.Connection) -> None:
    file.execute("UPDATE mark SET acked_through = head_seq")
    pruning.prune(file, MIDNIGHT + 400 * DAY, 4)
    file.execute(
        "UPDATE record SET body = CAST(replace(body, '\"energy_mWh\":300000', '\"energy_mWh\":300001') AS BLOB)"
        " WHERE kind = 'header'"
    )
    assert [problem.partition(":")[0] for problem in problems(file)] == [
        "day total of 2024-12-10, grid/import, location, inventory"
    ]


def test_a_walk_goes_in_steps_beside_the_writer(conn: sqlite3.Connection, gateway: type) -> None:
    site = gateway(conn)
    site.sweep(0, [1, 2, 3])
    site.sweep(15, [4])
    walk = Verification(AUDITOR)
    written = 0
    while walk.advance(conn, 2):
        if written < 4:
            site.sweep(20 + 5 * written, [5])
        if written == 4:
            site.step(0, 3, rows=3)
        if written == 5:
            assert site.restate(date(2024, 12, 10), MIDNIGHT + 60 * DAY)
        if written == 6:
            gateway(conn, MIDNIGHT + DAY).sweep(0, [7])
        written += 1
    assert (walk.problems, walk.records) == ([], 17)


def test_a_step_ends_at_what_takes_long(everything: sqlite3.Connection) -> None:
    walk = Verification(AUDITOR)
    seen = []
    while walk.advance(everything, 1000):
        seen.append(walk.records)
    restatement, after_correction = 3 + seq_of(everything, "restatement"), 3 + correction(everything)
    assert after_correction in seen
    assert seen.count(restatement) >= 2  # met in one step, judged in the next


def test_a_correction_after_a_restatement_is_sound(everything: sqlite3.Connection, gateway: type) -> None:
    gateway(everything).step(0, 6, rows=2)
    seq = records(everything)[-1][0]
    entries = block_at(everything, seq)
    assert [entries.meta["factors"][factor] for factor in entries.ints("factor")] == 2 * [
        "cn-grid/CN-SC/2022/location@1",  # what is taken back had been restated
        "cn-grid/CN-SC/2021/location@1",
    ]
    assert problems(everything) == []
    assert gateway(everything).restate(date(2024, 12, 10), MIDNIGHT + 61 * DAY)
    assert not gateway(everything).restate(date(2024, 12, 10), MIDNIGHT + 61 * DAY)
    assert problems(everything) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE record SET hash = 'text' WHERE seq = 2",
        "UPDATE record SET t0_ms = 'text' WHERE stream = 'ledger' AND seq = 2",
        "UPDATE record SET t1_ms = 4611686018427387904 WHERE stream = 'ledger' AND seq = 1",
        "UPDATE record SET t0_ms = -9223372036854775808 WHERE stream = 'ledger' AND seq = 1",
        "UPDATE record SET t0_ms = 1.5 WHERE stream = 'ledger' AND seq = 2",
        "UPDATE record SET seq = -7 WHERE stream = 'ledger' AND seq = 1",
        "UPDATE record SET stream = 'lodger' WHERE stream = 'ledger' AND seq = 1",
        "INSERT INTO record SELECT 'zzz', 1, kind, t0_ms, t1_ms, body, hash FROM record WHERE seq = 1 LIMIT 1",
        "UPDATE mark SET head_hash = 'text' WHERE stream = 'ledger'",
        "UPDATE mark SET head_seq = 'text' WHERE stream = 'ledger'",
        "UPDATE mark SET head_seq = head_seq - 1 WHERE stream = 'ledger'",
        "UPDATE mark SET acked_through = 1000000 WHERE stream = 'ledger'",
        "UPDATE mark SET acked_through = -1 WHERE stream = 'ledger'",
        "UPDATE day_total SET body = 'abc'",
        "UPDATE day_total SET body = x'00ff'",
        "UPDATE day_total SET body = substr(body, 1, 100)",
        "DROP TABLE day_total",
        "DELETE FROM record",
    ],
)
def test_cells_that_nothing_ever_wrote_are_a_finding_and_not_a_crash(file: sqlite3.Connection, statement: str) -> None:
    file.execute(statement)
    assert problems(file)
