"""A site of one device with two counters and a power point, from readings to a store in memory."""

import sqlite3
from array import array
from collections.abc import Sequence

from drivers.device import Reading
from ext import CounterSpec
from gateway.carbon.booking.close import Books, close
from gateway.carbon.booking.entries import Scope
from gateway.carbon.booking.rules import Declaration
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.metering.meter import Meter
from gateway.carbon.metering.register_spec import RegisterSpec
from gateway.store import registers
from gateway.store.database import SCHEMA_VERSION
from gateway.store.migrations import migrate

MIN = 60_000
NEW_YEAR = 1_767_196_800_000  # of 2026 in China: factors change while the log runs
AS_OF = NEW_YEAR + 86_400_000
MODULUS = 1_000_000
FACTORS = FactorSet.load(shipped())
BOOKS = Books(
    scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"),
    factors=FACTORS,
    devices={"m": Declaration(role="grid")},
)
COUNTER = CounterSpec(modulus=MODULUS, scale_num=1000, scale_den=3, p_max_W=50_000, refresh_s=60, jitter=1, policy=0)
COUNTERS = [
    RegisterSpec(device="m", register=name, flow="import", point=point, max_gap_ms=3 * MIN, counter=COUNTER)
    for point, name in enumerate(("a", "b"))
]
POWER = RegisterSpec(device="m", register="p", flow="import", point=2, max_gap_ms=3 * MIN)


def new_meter() -> Meter:
    return Meter([*COUNTERS, POWER], 5 * MIN, lambda t0, t1: FACTORS.boundaries("CN-SC", t0, t1))


def new_store() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn, SCHEMA_VERSION)
    return conn


def write(conn: sqlite3.Connection, meter: Meter, now: int) -> None:
    close(conn, sweep=meter.sweep(now), books=BOOKS, now_ms=AS_OF)
    registers.save(conn, meter.states())
    meter.saved()


def reading(raws: Sequence[int]) -> Reading:
    return Reading(
        device="m",
        mono_ns=0,
        values=array("d", [0.0]) * len(raws),
        raws=array("q", raws),
        exponents=array("b", [0]) * len(raws),
        ulps=array("q", [0]) * len(raws),
        quality=array("B", [0]) * len(raws),
        texts={},
    )
