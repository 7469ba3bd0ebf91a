"""`python -m tests.bench.restate`: a million intervals brought to newer factors, and where the time goes."""

import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from gateway.carbon.booking.close import Books, close
from gateway.carbon.booking.entries import Scope
from gateway.carbon.booking.restate import Order, restated, write
from gateway.carbon.booking.rules import Declaration
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.intervals import Intervals, RegisterName
from gateway.carbon.metering.sweep import Sweep
from gateway.carbon.proof.auditor import Auditor
from gateway.store import outbox, totals
from gateway.store.audit.verification import verify
from gateway.store.database import SCHEMA_VERSION, SETTINGS
from gateway.store.ledger import pages as ledger
from gateway.store.ledger.day_index import DayIndex
from gateway.store.ledger.live_day import LiveDay
from gateway.store.migrations import migrate
from sync.messages import chain
from sync.wire import decode_block, encode_block
from tests.bench.report import row, title

ROWS = 1_000_000
FIVE_MIN = 300_000
DAY = 86_400_000
FIRST_DAY = date(2024, 12, 21)
MIDNIGHT = int(datetime(2024, 12, 20, 16, tzinfo=UTC).timestamp()) * 1000
"""The value of 2022 was published the day before; everything is booked with it."""
AS_OF = int(datetime(2026, 1, 10, tzinfo=UTC).timestamp()) * 1000
"""The value of 2023 is known."""
FACTORS = FactorSet.load(shipped())
NAMES = [
    RegisterName("grid", "import_energy", "import"),
    *(RegisterName(f"charger-{n:02}", "energy", "consumption") for n in range(15)),
    *(RegisterName(f"pv-{n}", "yield", "generation") for n in range(4)),
]
_ROLES = {"import": "grid", "consumption": "charger", "generation": "pv"}
BOOKS = Books(
    scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"),
    factors=FACTORS,
    devices={
        name.device: Declaration(role=_ROLES[name.flow], baseline="grid" if name.flow == "generation" else None)
        for name in NAMES
    },
)


class Clock:
    """Time spent in some functions."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.spent_s += time.perf_counter() - begin

        return timed


SQLITE = Clock()


class Cursor(sqlite3.Cursor):
    """Times what SQLite does."""

    execute = SQLITE.around(sqlite3.Cursor.execute)
    fetchall = SQLITE.around(sqlite3.Cursor.fetchall)
    fetchone = SQLITE.around(sqlite3.Cursor.fetchone)


class Connection(sqlite3.Connection):
    """Hands the timed cursors out."""

    def execute(self, *args: Any) -> sqlite3.Cursor:
        return self.cursor(Cursor).execute(*args)


def build(conn: sqlite3.Connection, rows: int) -> int:
    """A ledger of sweeps as the gateway writes them every five minutes; returns its days.

    The first sweep is written by the gateway's own code, the others are copies of it at later times.
    """
    close(conn, sweep=Sweep(intervals=_sweep()), books=BOOKS, now_ms=MIDNIGHT + FIVE_MIN)
    (intervals,), (entries,) = conn.execute("SELECT body FROM record ORDER BY seq").fetchall()
    (first,) = (found for (found,) in conn.execute("SELECT hash FROM record WHERE seq = 2"))
    source, computed = decode_block(intervals), decode_block(entries)
    days = -(-rows // (len(NAMES) * DAY // FIVE_MIN))
    conn.execute("BEGIN")
    after, seq = first, 2
    for number in range(1, days * DAY // FIVE_MIN):
        t0_ms = MIDNIGHT + number * FIVE_MIN
        t1_ms = t0_ms + FIVE_MIN
        bodies = (
            intervals.replace(b"%d" % (MIDNIGHT + FIVE_MIN), b"%d" % t1_ms).replace(b"%d" % MIDNIGHT, b"%d" % t0_ms),
            entries.replace(b'"intervals_seq":1', b'"intervals_seq":%d' % (seq + 1)).replace(
                b"%d" % (MIDNIGHT + FIVE_MIN), b"%d" % t1_ms
            ),
        )
        for kind, body in zip(("intervals", "entries"), bodies, strict=True):
            seq += 1
            after = chain(after, seq, body)
            conn.execute(
                "INSERT INTO record VALUES ('ledger', ?, ?, ?, ?, ?, ?)", (seq, kind, t0_ms, t1_ms, body, after)
            )
    conn.execute("UPDATE mark SET head_seq = ?, head_hash = ?", (seq, after))
    conn.execute("DELETE FROM day_total")
    sums = totals.from_blocks(source, computed)
    for day in range(days):
        name = (FIRST_DAY + timedelta(days=day)).isoformat()
        for total in sums:
            totals.add(conn, [_times(total, DAY // FIVE_MIN, name)])
    conn.execute("COMMIT")
    return days


def _times(total: totals.DayTotal, count: int, day: str) -> totals.DayTotal:
    baseline_ng = None if total.baseline_ng is None else total.baseline_ng * count
    return replace(
        total,
        day=day,
        energy_mWh=total.energy_mWh * count,
        emitted_ng=total.emitted_ng * count,
        baseline_ng=baseline_ng,
        rows=total.rows * count,
    )


def _sweep() -> Intervals:
    count = len(NAMES)
    return Intervals(
        registers=NAMES,
        r=[*range(count)],
        epoch=[1] * count,
        t0_ms=[MIDNIGHT] * count,
        t1_ms=[MIDNIGHT + FIVE_MIN] * count,
        energy_mWh=[250_000 + 1000 * n for n in range(count)],
        raw_begin=[1_000_000 + n for n in range(count)],
        raw_end=[1_000_250 + n for n in range(count)],
        row_class=[0] * count,
        flags=[0] * count,
        kind=[0] * count,
    )


def restate_all(conn: sqlite3.Connection, days: int, as_of_ms: int) -> int:
    """Every day as the gateway does it; returns how many were written."""
    index = DayIndex()
    order = Order(factor_set="cn-grid", run="bench", reason="", as_of_ms=as_of_ms)
    written = 0
    for number in range(days):
        live = LiveDay(FIRST_DAY + timedelta(days=number), BOOKS.scope.zone)
        while index.read_on(conn) or live.read_on(conn, index):
            pass
        conn.execute("BEGIN IMMEDIATE")
        block = restated(live, order, FACTORS)
        if block is not None:
            write(conn, block)
            written += 1
        conn.execute("COMMIT")
    return written


def measure(name: str, work: Callable[[], int], days: int) -> None:
    """One run, and where its time went."""
    decode, encode = Clock(), Clock()
    SQLITE.spent_s = 0.0
    before_KiB = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    with (
        mock.patch.object(ledger, "decode_block", decode.around(decode_block)),
        mock.patch("gateway.carbon.booking.restate.encode_block", encode.around(encode_block)),
    ):
        done = work()
    spent_s = time.perf_counter() - begin
    json_s = decode.spent_s + encode.spent_s
    ours_s = spent_s - SQLITE.spent_s - json_s
    growth_KiB = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_KiB
    row(name, f"{spent_s:.1f} s", f"{done} of {days} days written")
    for part, part_s in (("SQLite", SQLITE.spent_s), ("blocks from and to JSON", json_s), ("our code", ours_s)):
        row(f"  {part}", f"{part_s:.1f} s", f"{100 * part_s / spent_s:.0f} %")
    row("  peak memory", f"+{growth_KiB / 1024:.1f} MiB")


def main(rows: int = ROWS) -> None:
    """Builds the ledger, restates all of it, and asks for the same again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "huxi.db"
        with closing(sqlite3.connect(path, isolation_level=None, factory=Connection)) as conn:
            conn.execute("PRAGMA journal_mode = WAL")
            for setting in SETTINGS:
                conn.execute(setting)
            migrate(conn, SCHEMA_VERSION)
            days = build(conn, rows)
            title(f"restating {days * len(NAMES) * DAY // FIVE_MIN:,} intervals, {len(NAMES)} a sweep, {days} days")
            measure("all of it", lambda: restate_all(conn, days, AS_OF), days)
            measure("the same again", lambda: restate_all(conn, days, AS_OF + 1), days)
            begin = time.perf_counter()
            problems = verify(conn, Auditor(FACTORS))
            assert not problems, problems[0]
            row(
                "huxi ledger verify",
                f"{time.perf_counter() - begin:.1f} s",
                f"{outbox.head(conn, 'ledger').seq:,} records",
            )


if __name__ == "__main__":
    main()
