"""A gateway on a board without a battery-backed clock: boots, kills and wall clocks by hand, over a real store.

A counter and a power register show the same steady source of 3.6 kW: one milliwatt-hour is one true millisecond, so
that every wrong date is a wrong energy and the other way round.
"""

from __future__ import annotations

import math
import sqlite3
from array import array
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from drivers.device import Reading
from ext import CounterSpec, Quality
from gateway.carbon.booking.close import Books
from gateway.carbon.booking.entries import Scope
from gateway.carbon.booking.rules import Declaration
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.intervals import Intervals
from gateway.carbon.metering.meter import Meter
from gateway.carbon.metering.register_spec import RegisterSpec
from gateway.carbon.metering.undated import Undated
from gateway.carbon.proof.auditor import Auditor
from gateway.clock import EARLIEST_MS, Anchor, Dating
from gateway.recorder import Recorder
from gateway.store import boots, registers
from gateway.store.audit.verification import verify
from gateway.store.body import unpack
from gateway.store.database import Store
from gateway.store.flag import Flag
from gateway.store.row_class import RowClass
from gateway.store.space import Space
from sync.wire import decode_block
from tests.hand_clock import HandClock

SECOND, MINUTE, HOUR, DAY, YEAR = 1_000, 60_000, 3_600_000, 86_400_000, 365 * 86_400_000
PERIOD, CHECKPOINT, INTERVAL = 30 * SECOND, 2 * MINUTE, 5 * MINUTE
START = EARLIEST_MS + 300 * DAY
"""When the first boot really is."""
FACTORS = FactorSet.load(shipped())
BOOKS = Books(
    scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"),
    factors=FACTORS,
    devices={"grid": Declaration(role="grid")},
)
COUNTER = CounterSpec(modulus=1 << 62, scale_num=1, scale_den=1, p_max_W=4_000, refresh_s=60, jitter=1, policy=0)
SPECS = [
    RegisterSpec(device="grid", register="counter", flow="import", point=0, max_gap_ms=3 * PERIOD, counter=COUNTER),
    RegisterSpec(device="grid", register="power", flow="import", point=1, max_gap_ms=3 * PERIOD),
]


class Row(NamedTuple):
    """A row of the ledger."""

    register: str
    t0_ms: int
    t1_ms: int
    energy_mWh: int | None
    row_class: int
    flags: int
    epoch: int
    window: tuple[int, int] | None


class Board:
    """The machine and its gateway; `true_ms` is what only the test knows."""

    def __init__(self, folder: Path, *, drift_ppm: int = 0) -> None:
        self.folder = folder
        self.true_ms = START
        self.drift_ppm = drift_ppm
        self.clock = HandClock(0, vouched=False)
        self.read: list[int] = []
        """True time of each reading."""
        self._boots = 0

    @asynccontextmanager
    async def boot(self, wall_ms: int, *, vouched: bool = False, off_ms: int = 0) -> AsyncIterator[Gateway]:
        """Power comes back after `off_ms`: the monotonic clock is at 20 s and the wall clock at `wall_ms`."""
        self.true_ms += off_ms
        self._boots += 1
        self.clock = HandClock(wall_ms, 20 * SECOND, vouched=vouched)
        async with self.process() as gateway:
            yield gateway

    @asynccontextmanager
    async def process(self) -> AsyncIterator[Gateway]:
        """A gateway in this boot, killed at the end: it does not get its last round."""
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(Store.open(self.folder))
            meter = Meter(SPECS, INTERVAL, partial(FACTORS.boundaries, "CN-SC"))
            meter.load(await store.read(registers.load_all))
            undated = Undated(SPECS, INTERVAL, f"boot-{self._boots}")
            assert undated.load(await store.read(boots.load)) == []
            dated = await store.read(boots.dated, undated.now.id)
            anchor = dated and Anchor(offset_ms=dated.offset_ms, source=dated.source)
            dating = Dating(self.clock, [self.clock.witness], anchor)
            yield Gateway(self, store, meter, undated, dating)

    def pass_ms(self, ms: int) -> None:
        """True time passes; the crystal of the board runs fast by its drift."""
        self.true_ms += ms
        self.clock.pass_ms(ms + ms * self.drift_ppm // 1_000_000)

    def set_right(self) -> None:
        """A time service sets the wall clock and vouches for it."""
        self.clock.wall, self.clock.vouched = self.true_ms, True

    def reading(self) -> Reading:
        """Both registers, now."""
        self.read.append(self.true_ms)
        return Reading(
            device="grid",
            mono_ns=self.clock.mono_ns(),
            values=array("d", [math.nan, math.nan]),
            raws=array("q", [self.true_ms, 3_600_000]),
            exponents=array("b", [0, 0]),
            ulps=array("q", [0, 0]),
            quality=array("B", [Quality.OK, Quality.OK]),
            texts={},
        )


class Gateway:
    """One process."""

    def __init__(self, board: Board, store: Store, meter: Meter, undated: Undated, dating: Dating) -> None:
        self.board = board
        self.store = store
        self.meter = meter
        self.undated = undated
        self.dating = dating
        self.recorder = Recorder(
            meter=meter,
            undated=undated,
            store=store,
            dating=dating,
            clock=board.clock,
            books=BOOKS,
            interval_ms=INTERVAL,
            checkpoint_ms=CHECKPOINT,
            identity=lambda reading: None,
            on_close=lambda: None,
            asleep=set,
            lessons=dict,
            space=Space(store.data_dir, lambda folder: (100, 0, 100)),
        )

    async def live(self, ms: int) -> None:
        """Reads each period for so long."""
        for _ in range(ms // PERIOD):
            self.board.pass_ms(PERIOD)
            self.recorder.take(self.board.reading())
            await self.recorder.round()

    async def rows(self, register: str = "counter") -> list[Row]:
        """The normal rows of a register, in the order of the ledger."""

        def read(conn: sqlite3.Connection) -> list[Row]:
            found = []
            for (body,) in conn.execute("SELECT body FROM record WHERE kind = 'intervals' ORDER BY seq"):
                part = Intervals.from_block(decode_block(unpack(body)))
                gaps = {at: (t0, t1) for at, t0, t1 in part.gaps}
                found += [
                    Row(register, *numbers, gaps.get(at))
                    for at, (r, *numbers) in enumerate(
                        zip(
                            *(part.r, part.t0_ms, part.t1_ms, part.energy_mWh),
                            *(part.row_class, part.flags, part.epoch),
                            strict=True,
                        )
                    )
                    if part.registers[r].register == register
                ]
            return found

        return await self.store.read(read)

    async def alarms(self) -> list[dict[str, object]]:
        """The metas of all alarms, in their order."""

        def read(conn: sqlite3.Connection) -> list[dict[str, object]]:
            bodies = conn.execute("SELECT body FROM record WHERE kind = 'alarm' ORDER BY seq")
            return [decode_block(unpack(body)).meta for (body,) in bodies]

        return await self.store.read(read)

    async def problems(self) -> list[str]:
        """What `huxi ledger verify` would say."""
        return await self.store.read(verify, Auditor(FACTORS))


def worst_error_ms(rows: list[Row], begin_ms: int) -> int:
    """How far any row's end is from the true time at which that energy had been counted since `begin_ms`."""
    errors, counted = [abs(rows[0].t0_ms - begin_ms)], 0
    for row in rows:
        counted += row.energy_mWh or 0
        errors.append(abs(begin_ms + counted - row.t1_ms))
    return max(errors)


def energy_mWh(rows: list[Row]) -> int:
    """The sum of all."""
    return sum(row.energy_mWh or 0 for row in rows)


def classes(rows: list[Row]) -> Counter[tuple[str, bool]]:
    """How many rows of each class there are, with `span_unknown` and without."""
    return Counter((RowClass(row.row_class).name, bool(row.flags & Flag.SPAN_UNKNOWN)) for row in rows)
