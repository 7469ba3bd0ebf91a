"""Live rows: what is in force after corrections and restatements, read back from hand-made records."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.store import outbox
from gateway.store.database import SCHEMA_VERSION
from gateway.store.errors import StoreError
from gateway.store.flag import Flag
from gateway.store.ledger.live import LiveRow, of_register
from gateway.store.migrations import migrate
from gateway.store.row_class import RowClass, RowKind
from sync.wire import encode_block

MIN = 60_000
GRID, PV = ["meter", "import", "import", "mWh"], ["pv", "yield", "generation", "mWh"]
OLD, NEW, NEWEST = "cn-grid/CN-SC/2022/location@1", "cn-grid/CN-SC/2023/location@1", "cn-grid/CN-SC/2023/location@2"
VALUES = {OLD: 100, NEW: 200, NEWEST: 250}
ACCOUNTS, METHODS = ["inventory", "project"], ["electricity.grid-average/1", "electricity.grid-displaced/1"]


class Row(NamedTuple):
    """One interval of ten minutes; its entry follows from its energy."""

    begin_min: int
    energy_mWh: int | None
    kind: int = 0
    register: list[str] = GRID
    factor: str = OLD
    matched_mWh: int = 0

    @property
    def t0_ms(self) -> int:
        return self.begin_min * MIN


class Ledger:
    """Writes records by hand."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn

    def append(self, kind: str, t0_ms: int, t1_ms: int, meta: dict[str, Any], columns: dict[str, Any]) -> int:
        body = encode_block(kind, {"zone": "Asia/Shanghai", "booked_ms": 0} | meta, columns)
        return outbox.append(self.conn, "ledger", kind, t0_ms, t1_ms, body)

    def write(self, rows: Sequence[Row], run: str | None = None) -> int:
        """Intervals and their entries; a correction when a run is given. Returns the record of the intervals."""
        registers = [GRID, PV]
        seq = self.append(
            "intervals",
            min(row.t0_ms for row in rows),
            max(row.t0_ms for row in rows) + 10 * MIN,
            {"registers": registers, "bounds": [], "gaps": [], **({"reason": "recovered", "run": run} if run else {})},
            {
                "r": [registers.index(row.register) for row in rows],
                "epoch": [1] * len(rows),
                "t0": [row.t0_ms for row in rows],
                "t1": [row.t0_ms + 10 * MIN for row in rows],
                "energy_mWh": [row.energy_mWh for row in rows],
                "raw_begin": [2**60 + row.begin_min for row in rows],
                "raw_end": [2**60 + row.begin_min + 10 for row in rows],
                "class": [int(RowClass.MISSING if row.energy_mWh is None else RowClass.MEASURED) for row in rows],
                "flags": [int(Flag.WRAP)] * len(rows),
                "kind": [row.kind for row in rows],
            },
        )
        self.write_entries(seq, rows, registers)
        return seq

    def write_entries(self, seq: int, rows: Sequence[Row], registers: list[list[str]]) -> None:
        known = [(i, row) for i, row in enumerate(rows) if row.energy_mWh is not None]
        amounts = [((row.energy_mWh or 0) - row.matched_mWh) * VALUES[row.factor] for _, row in known]
        is_pv = [row.register == PV for _, row in known]
        factors = sorted(VALUES)
        self.append(
            "entries",
            min(row.t0_ms for row in rows),
            max(row.t0_ms for row in rows) + 10 * MIN,
            {
                "registers": registers,
                "lenses": ["location"],
                "regions": ["CN-SC"],
                "accounts": ACCOUNTS,
                "methods": METHODS,
                "factors": factors,
                "intervals_seq": seq,
            },
            {
                "i": [i for i, _ in known],
                "lens": [0] * len(known),
                "account": [int(pv) for pv in is_pv],
                "method": [int(pv) for pv in is_pv],
                "factor": [factors.index(row.factor) for _, row in known],
                "emitted_ng": [0 if pv else amount for pv, amount in zip(is_pv, amounts, strict=True)],
                "baseline_ng": [amount if pv else None for pv, amount in zip(is_pv, amounts, strict=True)],
                "class": [0] * len(known),
                "flags": [int(Flag.WRAP | Flag.PROVISIONAL)] * len(known),
                **({"matched_mWh": [row.matched_mWh for _, row in known]} if any(r.matched_mWh for r in rows) else {}),
            },
        )

    def restate(self, before: str, after: str, begin_min: int, end_min: int, register: list[str] = GRID) -> int:
        """A restatement record of one register; its amounts play no part in what is live."""
        at = int(register == PV)
        pair = {"r": 0, "lens": 0, "account": at, "method": at, "class": 0, "rows": 1, "hash": "00"}
        pair |= {"t0": begin_min * MIN, "t1": end_min * MIN}
        return self.append(
            "restatement",
            begin_min * MIN,
            end_min * MIN,
            {
                "registers": [register],
                "lenses": ["location"],
                "regions": ["CN-SC"],
                "accounts": ACCOUNTS,
                "methods": METHODS,
                "factors": [before, after],
                "values": [VALUES[before], VALUES[after]],
                "run": "cn-grid@2026-01-01",
                "reason": "",
                "day": "1970-01-01",
            },
            {
                **{name: [value, value] for name, value in pair.items()},
                "factor": [0, 1],
                "kind": [1, 2],
                "flags": [int(Flag.WRAP | Flag.PROVISIONAL), int(Flag.WRAP)],
                "energy_mWh": [-1, 1],
                "emitted_ng": [-1, 1],
                "baseline_ng": [None, None],
            },
        )

    def prune(self, seq: int) -> None:
        header = encode_block("header", {"kind": "intervals"}, {})
        self.conn.execute("UPDATE record SET kind = 'header', body = ? WHERE seq = ?", (header, seq))

    def live(self, since_min: int = 0, before_seq: int | None = None, register: list[str] = GRID) -> list[LiveRow]:
        return of_register(self.conn, register[0], register[1], since_min * MIN, before_seq)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    conn = sqlite3.connect(tmp_path / "huxi.db", isolation_level=None)
    migrate(conn, SCHEMA_VERSION)
    yield Ledger(conn)
    conn.close()


def told(rows: Sequence[LiveRow]) -> list[tuple[int, int | None, int, list[int]]]:
    """Begin in minutes, energy, kind, emitted amounts."""
    return [(r.t0_ms // MIN, r.energy_mWh, r.kind, [e.emitted_ng for e in r.entries]) for r in rows]


def test_a_row_comes_with_everything_that_was_written(ledger: Ledger) -> None:
    ledger.write([Row(0, 5), Row(0, 9, register=PV)])
    seq = ledger.write([Row(10, None), Row(10, 7, register=PV), Row(20, 6, matched_mWh=2)])
    rows = ledger.live()
    assert told(rows) == [(0, 5, 0, [500]), (10, None, 0, []), (20, 6, 0, [400])]
    (first,) = rows[0].entries
    assert (rows[1].seq, rows[1].row, rows[2].seq, rows[2].row) == (seq, 0, seq, 2)
    assert (rows[2].device, rows[2].register, rows[2].flow, rows[2].epoch) == ("meter", "import", "import", 1)
    assert (rows[2].raw_begin, rows[2].raw_end, rows[2].run) == (2**60 + 20, 2**60 + 30, None)
    assert (rows[1].row_class, rows[2].flags) == (RowClass.MISSING, Flag.WRAP)
    assert (first.lens, first.account, first.method, first.factor) == ("location", "inventory", METHODS[0], OLD)
    assert (first.baseline_ng, first.matched_mWh, first.flags) == (None, 0, Flag.WRAP | Flag.PROVISIONAL)
    (entry,) = ledger.live(register=PV)[1].entries
    assert (entry.account, entry.emitted_ng, entry.baseline_ng) == ("project", 0, 700)


def test_rows_that_end_by_then_are_left_out(ledger: Ledger) -> None:
    for begin in (0, 10, 20, 30):
        ledger.write([Row(begin, begin + 1)])
    assert [row.t0_ms // MIN for row in ledger.live(20)] == [20, 30]
    assert [row.t0_ms // MIN for row in ledger.live(19)] == [10, 20, 30]
    assert ledger.live(40) == []


def test_the_walk_ends_at_the_row_that_bounds_it(ledger: Ledger) -> None:
    ledger.write([Row(0, 1)])
    ledger.conn.execute("UPDATE record SET body = x'00'")
    ledger.write([Row(10, 2)])
    ledger.write([Row(20, 3)])
    assert told(ledger.live(10)) == [(10, 2, 0, [200]), (20, 3, 0, [300])]
    # A correction that reaches further back does not bound it: the rows before it may come in older records.
    ledger.write([Row(10, -2, kind=1), Row(10, 4, kind=2)], run="recovered/meter/import/1")
    assert told(ledger.live(10)) == [(10, 4, 2, [400]), (20, 3, 0, [300])]


def test_a_correction_takes_back_what_was_in_force(ledger: Ledger) -> None:
    ledger.write([Row(0, 1), Row(10, 2), Row(20, 3)])
    first = ledger.write([Row(10, -2, kind=1), Row(10, 20, kind=2)], run="one")
    assert told(ledger.live()) == [(0, 1, 0, [100]), (10, 20, 2, [2000]), (20, 3, 0, [300])]
    assert (ledger.live()[1].seq, ledger.live()[1].run, ledger.live()[1].kind) == (first, "one", RowKind.RESTATEMENT)
    second = ledger.write([Row(10, -20, kind=1), Row(10, 200, kind=2), Row(20, -3, kind=1)], run="two")
    assert told(ledger.live()) == [(0, 1, 0, [100]), (10, 200, 2, [20000])]
    assert told(ledger.live(before_seq=second)) == [(0, 1, 0, [100]), (10, 20, 2, [2000]), (20, 3, 0, [300])]
    assert told(ledger.live(before_seq=first)) == [(0, 1, 0, [100]), (10, 2, 0, [200]), (20, 3, 0, [300])]


def test_a_correction_of_another_register_changes_nothing(ledger: Ledger) -> None:
    ledger.write([Row(0, 1), Row(0, 2, register=PV)])
    ledger.write([Row(0, -2, kind=1, register=PV)], run="one")
    assert told(ledger.live()) == [(0, 1, 0, [100])]
    assert ledger.live(register=PV) == []


def test_restatements_change_the_amounts_of_the_rows_before_them(ledger: Ledger) -> None:
    ledger.write([Row(0, 1), Row(10, 2, matched_mWh=1), Row(20, 3)])
    first = ledger.restate(OLD, NEW, 0, 20)
    assert told(ledger.live()) == [(0, 1, 0, [200]), (10, 2, 0, [200]), (20, 3, 0, [300])]
    (entry,) = ledger.live()[1].entries
    assert (entry.factor, entry.flags, entry.matched_mWh) == (NEW, Flag.WRAP, 1)
    ledger.restate(NEW, NEWEST, 0, 20)
    assert told(ledger.live()) == [(0, 1, 0, [250]), (10, 2, 0, [250]), (20, 3, 0, [300])]
    assert told(ledger.live(before_seq=first)) == [(0, 1, 0, [100]), (10, 2, 0, [100]), (20, 3, 0, [300])]


def test_a_restatement_of_a_baseline(ledger: Ledger) -> None:
    ledger.write([Row(0, 1), Row(0, 2, register=PV)])
    ledger.restate(OLD, NEW, 0, 10, PV)
    (row,) = ledger.live(register=PV)
    assert [(entry.emitted_ng, entry.baseline_ng) for entry in row.entries] == [(0, 400)]
    assert told(ledger.live()) == [(0, 1, 0, [100])]


def test_what_is_written_after_a_restatement_is_not_touched_by_it(ledger: Ledger) -> None:
    ledger.write([Row(0, 1), Row(10, 2)])
    ledger.restate(OLD, NEW, 0, 30)
    ledger.write([Row(0, -1, kind=1, factor=NEW), Row(0, 5, kind=2)], run="one")
    ledger.write([Row(20, 3)])
    assert told(ledger.live()) == [(0, 5, 2, [500]), (10, 2, 0, [400]), (20, 3, 0, [300])]


def test_a_pruned_record_ends_the_walk(ledger: Ledger) -> None:
    first = ledger.write([Row(0, 1)])
    ledger.write([Row(10, 2)])
    ledger.prune(first)
    ledger.prune(first + 1)
    assert told(ledger.live()) == [(10, 2, 0, [200])]


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("UPDATE record SET body = x'7b7d' WHERE kind = 'entries'", "record 2 .*exactly"),
        ("UPDATE record SET body = CAST(replace(body, '\"t0\":', '\"t00\":') AS BLOB) WHERE seq = 1", "record 1 .*t0"),
        ("UPDATE record SET body = CAST(body AS TEXT) WHERE seq = 1", "record 1 .*not bytes"),
        ("DELETE FROM record WHERE seq = 2", "record 1 .*no entries follow"),
        (
            "UPDATE record SET body = CAST(replace(body, '_seq\":1', '_seq\":3') AS BLOB) WHERE seq = 2",
            "record 2 .*not",
        ),
        (
            "UPDATE record SET body = CAST(replace(body, '\"kind\":[1,2]', '\"kind\":[2,1]') AS BLOB) WHERE seq = 3",
            "record 3 .*row 0",
        ),
    ],
)
def test_a_record_that_cannot_be_read_is_named(ledger: Ledger, damage: str, named: str) -> None:
    ledger.write([Row(0, 1)])
    ledger.restate(OLD, NEW, 0, 10)
    assert ledger.conn.execute(damage).rowcount == 1
    with pytest.raises(StoreError, match=named):
        ledger.live()
