"""A ledger with everything in it that a ledger can have, written as the gateway writes it."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from gateway.carbon.booking.close import Books, close
from gateway.carbon.booking.entries import Scope
from gateway.carbon.booking.restate import Order, restated, write
from gateway.carbon.booking.rules import Declaration
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.intervals import Bounds, Intervals, RegisterName
from gateway.carbon.metering.correction import STEP, Correction, Piece
from gateway.carbon.metering.span import Span
from gateway.carbon.metering.sweep import Late, Lateness, Sweep
from gateway.store import outbox
from gateway.store.database import FILE_NAME, SCHEMA_VERSION, Store
from gateway.store.flag import Flag
from gateway.store.ledger.day_index import DayIndex
from gateway.store.ledger.live_day import LiveDay
from gateway.store.migrations import migrate
from gateway.store.row_class import RowClass
from sync.wire import encode_block

FIVE_MIN, HOUR, DAY = 300_000, 3_600_000, 86_400_000
ZONE = "Asia/Shanghai"
MIDNIGHT = int(datetime(2024, 12, 10, tzinfo=UTC).timestamp() * 1000) - 8 * HOUR
"""Begin of the site's 10 December 2024: the value of 2022 is published ten days later."""
COUNT_MWH = 100_000
GRID, PV = RegisterName("grid", "import", "import"), RegisterName("pv", "yield", "generation")
FACTORS = FactorSet.load(shipped())
BOOKS = Books(
    scope=Scope(lenses={"location": "CN-SC"}, zone=ZONE),
    factors=FACTORS,
    devices={"grid": Declaration(role="grid"), "pv": Declaration(role="pv", baseline="grid")},
)

T = TypeVar("T")


class Gateway:
    """Writes into a ledger, five minutes after five minutes."""

    def __init__(self, conn: sqlite3.Connection, midnight_ms: int = MIDNIGHT) -> None:
        self.conn = conn
        self.midnight_ms = midnight_ms

    def sweep(self, at_min: int, counts: Sequence[int | None], name: RegisterName = GRID, flags: int = 0) -> None:
        """Rows of five minutes each from this minute of the day on, booked at their end; None: missing."""
        rows = Intervals(registers=[name])
        for number, count in enumerate(counts):
            t0_ms = self.midnight_ms + at_min * 60_000 + number * FIVE_MIN
            self._append(rows, t0_ms, count, RowClass.MEASURED if count is not None else RowClass.MISSING, flags)
        close(self.conn, sweep=Sweep(intervals=rows), books=BOOKS, now_ms=max(rows.t1_ms) + 2000)

    def suspect(self, at_min: int, counts: int) -> None:
        """A row of a counter that rose beyond all measure."""
        rows = Intervals(registers=[GRID])
        t0_ms = self.midnight_ms + at_min * 60_000
        self._append(rows, t0_ms, 0, RowClass.SUSPECT, Flag.JUMP)
        rows.bounds.append((0, Bounds(t0_ms, t0_ms + FIVE_MIN, 0, counts * COUNT_MWH)))
        close(self.conn, sweep=Sweep(intervals=rows), books=BOOKS, now_ms=t0_ms + FIVE_MIN + 2000)

    def step(self, at_min: int, counts: int, rows: int = 1) -> None:
        """Energy that the grid meter showed late, evenly over closed rows; booked six hours later."""
        t0_ms = self.midnight_ms + at_min * 60_000
        pieces = [
            Piece(t0_ms + n * FIVE_MIN, t0_ms + (n + 1) * FIVE_MIN, counts * COUNT_MWH // rows) for n in range(rows)
        ]
        span = Span(t0_ms, pieces[-1].t1_ms, counts * COUNT_MWH, raw_begin=0, raw_end=counts, epoch=1)
        correction = Correction(GRID, STEP, span, pieces)
        sweep = Sweep(intervals=Intervals(registers=[]), corrections=[correction])
        close(self.conn, sweep=sweep, books=BOOKS, now_ms=t0_ms + 6 * HOUR)

    def silent(self, since_min: int, at_min: int, state: Lateness = Lateness.SILENT) -> None:
        """The grid meter is late."""
        late = Late(GRID, self.midnight_ms + since_min * 60_000, state)
        sweep = Sweep(intervals=Intervals(registers=[]), late=[late])
        close(self.conn, sweep=sweep, books=BOOKS, now_ms=self.midnight_ms + at_min * 60_000)

    def alarm(self, at_min: int, what: str, device: str, text: str) -> None:
        """Something that a person should know."""
        t_ms = self.midnight_ms + at_min * 60_000
        meta = {"t_ms": t_ms, "what": what, "device": device, "text": text}
        outbox.append(self.conn, "events", "alarm", t_ms, t_ms, encode_block("alarm", meta, {}))

    def restate(self, day: date, as_of_ms: int) -> bool:
        """Brings a day to the factors that were published by then; False when it had them."""
        index, found = DayIndex(), LiveDay(day, ZONE)
        while index.read_on(self.conn):
            pass
        while found.read_on(self.conn, index):
            pass
        order = Order(factor_set="cn-grid", run="restate/cn-grid/1", reason="newer values", as_of_ms=as_of_ms)
        block = restated(found, order, FACTORS)
        if block is not None:
            write(self.conn, block)
        return block is not None

    def _append(self, rows: Intervals, t0_ms: int, count: int | None, row_class: RowClass, flags: int) -> None:
        begin = (t0_ms - self.midnight_ms) // FIVE_MIN * 1000
        rows.r.append(0)
        rows.epoch.append(1)
        rows.t0_ms.append(t0_ms)
        rows.t1_ms.append(t0_ms + FIVE_MIN)
        rows.energy_mWh.append(None if count is None else count * COUNT_MWH)
        rows.raw_begin.append(begin)
        rows.raw_end.append(begin + (count or 0))
        rows.row_class.append(int(row_class))
        rows.flags.append(int(flags))
        rows.kind.append(0)


def write_everything(conn: sqlite3.Connection) -> None:
    """A day with every kind of row, corrected the same day and restated two months later."""
    site = Gateway(conn)
    site.sweep(0, [1, 2], flags=Flag.WRAP)
    site.sweep(0, [5, 5], PV)
    site.sweep(10, [None, 3])
    site.silent(20, 40)
    site.alarm(30, "jump_rebased", "grid", "import: counter rose beyond the device's power")
    site.alarm(31, "clock_step", "", "the wall clock jumped by 7000 ms")
    site.alarm(31, "reset", "pv", "yield: counter began at zero again")
    site.suspect(20, 9000)
    site.sweep(25, [0, 0, 4])
    site.silent(40, 40, Lateness.NONE)
    site.step(25, 6, rows=2)
    Gateway(conn, MIDNIGHT + DAY).sweep(0, [7])
    assert site.restate(date(2024, 12, 10), MIDNIGHT + 60 * DAY)


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    """A new store in memory."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, SCHEMA_VERSION)
        yield connection


@pytest.fixture
def everything(conn: sqlite3.Connection) -> sqlite3.Connection:
    """The store with a day that has every kind of row."""
    write_everything(conn)
    return conn


@pytest.fixture(scope="session")
def write_in() -> Callable[[Path, Callable[[sqlite3.Connection], object]], None]:
    """Runs a function in one transaction of the real store in a data folder, which is made when missing."""

    def run(folder: Path, fn: Callable[[sqlite3.Connection], object]) -> None:
        async def transact() -> None:
            async with Store.open(folder) as store:
                await store.run(fn)

        asyncio.run(transact())
        assert (folder / FILE_NAME).exists()

    return run


@pytest.fixture
def full_folder(tmp_path: Path, write_in: Callable[..., None]) -> Path:
    """The data folder of a stopped gateway whose ledger has every kind of row."""
    write_in(tmp_path / "data", write_everything)
    return tmp_path / "data"


@pytest.fixture(scope="session")
def gateway() -> type[Gateway]:
    """To write a ledger of one's own."""
    return Gateway
