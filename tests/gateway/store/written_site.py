"""A site of one counter and one power point that a recorder writes into a store, in virtual time."""

import sqlite3
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path

from drivers.device import Reading
from ext import CounterSpec, Quality
from gateway.carbon.booking.close import Books
from gateway.carbon.booking.entries import Scope
from gateway.carbon.booking.rules import Declaration
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.metering.meter import Meter
from gateway.carbon.metering.register_spec import RegisterSpec
from gateway.carbon.metering.undated import Undated
from gateway.carbon.proof.auditor import Auditor
from gateway.clock import EARLIEST_MS, Dating
from gateway.recorder import Recorder
from gateway.store import registers, totals
from gateway.store.audit.verification import verify
from gateway.store.database import Store
from gateway.store.ledger import booked
from gateway.store.space import Space
from tests.hand_clock import HandClock

INTERVAL_MS = 60_000
CHECKPOINT_MS = 10_000
POLL_MS = 1_000
POWER_W = 3_600
"""One watt-hour a second."""
START_MS = EARLIEST_MS + 300 * 86_400_000
FACTORS = FactorSet.load(shipped())
AUDITOR = Auditor(FACTORS)
COUNTER = CounterSpec(modulus=1 << 32, scale_num=1000, scale_den=1, p_max_W=50_000, refresh_s=60, jitter=1, policy=0)
SPECS = [
    RegisterSpec(device="grid", register="import", flow="import", point=0, max_gap_ms=30_000, counter=COUNTER),
    RegisterSpec(device="pump", register="power", flow="import", point=0, max_gap_ms=30_000, power_num=1000),
]
BOOKS = Books(
    scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"),
    factors=FACTORS,
    devices={"grid": Declaration(role="grid"), "pump": Declaration(role="load")},
)


class WrittenSite:
    """A process over a store: the counter counts a watt-hour a second, the pump takes as much power."""

    def __init__(
        self,
        store: Store,
        *,
        now_ms: int = START_MS,
        interval_ms: int = INTERVAL_MS,
        usage: Callable[[Path], tuple[int, int, int]] = lambda folder: (100, 0, 100),
    ) -> None:
        """`usage` is what the disk says of itself: total, used and free."""
        self.clock = HandClock(now_ms)
        self.store = store
        self.meter = Meter(SPECS, interval_ms, partial(FACTORS.boundaries, "CN-SC"))
        self.recorder = Recorder(
            meter=self.meter,
            undated=Undated(SPECS, interval_ms, "boot"),
            store=store,
            dating=Dating(self.clock, [self.clock.witness]),
            clock=self.clock,
            books=BOOKS,
            interval_ms=interval_ms,
            checkpoint_ms=CHECKPOINT_MS,
            identity=lambda reading: None,
            on_close=lambda: None,
            asleep=lambda: (),
            lessons=dict,
            space=Space(store.data_dir, usage),
        )

    async def resume(self) -> None:
        """Takes over what the store knows, as a new process does."""
        self.meter.load(await self.store.read(registers.load_all))
        self.meter.advance(await self.store.read(booked.since_states))

    async def live(self, seconds: int, *, every_s: int = 1) -> None:
        """Reads each second of so many, or more seldom."""
        for _ in range(0, seconds, every_s):
            self.clock.pass_ms(every_s * POLL_MS)
            self.read()
            await self.recorder.round()

    def read(self) -> None:
        """One reading of each device."""
        for device, raw in (("grid", (self.clock.wall - START_MS) // 1000), ("pump", POWER_W)):
            self.recorder.take(reading(device, raw, self.clock.mono_ns()))

    async def booked_mWh(self, device: str) -> int:
        """Energy of a device in the day totals."""
        return await self.store.read(booked_mWh, device)

    async def problems(self) -> list[str]:
        """What `huxi ledger verify` finds."""
        return await self.store.read(verify, AUDITOR)


def booked_mWh(conn: sqlite3.Connection, device: str) -> int:
    """Energy of a device in the day totals."""
    sums = totals.by_register(totals.query(conn, "2000-01-01", "2999-12-31"))
    return sum(total.energy_mWh for total in sums if total.device == device)


def reading(device: str, raw: int, mono_ns: int) -> Reading:
    """A reading of one point."""
    return Reading(
        device=device,
        mono_ns=mono_ns,
        values=array("d", [float(raw)]),
        raws=array("q", [raw]),
        exponents=array("b", [0]),
        ulps=array("q", [0]),
        quality=array("B", [Quality.OK]),
        texts={},
    )
