"""Any history of counters, closes, failed writes and kills: no energy is lost, none is booked twice."""

import sqlite3
from array import array
from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from drivers.device import Reading
from ext import CounterSpec, CounterTable
from gateway.carbon.auditor import Auditor
from gateway.carbon.close import Books, close
from gateway.carbon.entries import Scope
from gateway.carbon.factors import FactorSet, shipped
from gateway.carbon.intervals import Intervals
from gateway.carbon.meter import Meter
from gateway.carbon.register_spec import RegisterSpec
from gateway.carbon.rules import Declaration
from gateway.carbon.sweep import Sweep
from gateway.store import live, registers
from gateway.store.database import SCHEMA_VERSION
from gateway.store.migrations import migrate
from gateway.store.verification import verify
from sync.wire import decode_block

MIN = 60_000
NEW_YEAR = 1_767_196_800_000  # of 2026 in China: factors change while the history runs
MODULUS = 1_000_000
FACTORS = FactorSet.load(shipped())
BOOKS = Books(
    scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"),
    factors=FACTORS,
    devices={"m": Declaration(role="grid")},
)
COUNTER = CounterSpec(modulus=MODULUS, scale_num=1000, scale_den=3, p_max_W=50_000, refresh_s=60, jitter=1, policy=0)
SPECS = [
    RegisterSpec(device="m", register=name, flow="import", point=point, max_gap_ms=3 * MIN, counter=COUNTER)
    for point, name in enumerate(("a", "b"))
]


def new_meter() -> Meter:
    return Meter(SPECS, 5 * MIN, lambda t0, t1: FACTORS.boundaries("CN-SC", t0, t1))


def new_store() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn, SCHEMA_VERSION)
    return conn


def reading(raws: tuple[int, ...]) -> Reading:
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


def stored_energy(conn: sqlite3.Connection) -> dict[str, int]:
    """Sum over all rows of each register, reversals included."""
    found: dict[str, int] = defaultdict(int)
    for (body,) in conn.execute("SELECT body FROM record WHERE kind = 'intervals' ORDER BY seq"):
        part = Intervals.from_block(decode_block(body))
        for r, energy_mWh in zip(part.r, part.energy_mWh, strict=True):
            found[part.registers[r].register] += energy_mWh or 0
    return found


def rows_in_force(conn: sqlite3.Connection, register: str) -> list[tuple[int, int, int | None]]:
    return [(row.t0_ms, row.t1_ms, row.energy_mWh) for row in live.of_register(conn, "m", register, 0)]


def assert_whole(rows: list[tuple[int, int, int | None]]) -> None:
    """Each row begins where the one before it ended, and none is negative."""
    assert [t0 for t0, _, _ in rows[1:]] == [t1 for _, t1, _ in rows[:-1]]
    assert all(t0 < t1 and (energy or 0) >= 0 for t0, t1, energy in rows)


def write(conn: sqlite3.Connection, meter: Meter, now: int) -> None:
    close(conn, sweep=meter.sweep(now), books=BOOKS, now_ms=now)
    registers.save(conn, meter.states())
    meter.saved()


class History(RuleBasedStateMachine):
    """The meter and its store against the bare counter table, which sees the same readings and kills."""

    def __init__(self) -> None:
        super().__init__()
        self.conn = new_store()
        self.meter = new_meter()
        self.table = CounterTable([COUNTER, COUNTER])
        self.now = NEW_YEAR - 20 * MIN
        self.raws = [MODULUS - 500, 1000]
        self.shown = list(self.raws)
        self.away = [0, 0]
        self.accepted = [0, 0]
        self.saved: tuple[list[tuple[int, ...] | None], list[int]] = ([None, None], [0, 0])
        self.unwritten: list[Sweep] = []

    @rule(
        seconds=st.sampled_from([1, 30, 60, 240, 700, 4000]),
        kind=st.sampled_from(["run", "run", "hoard", "hoard", "reset", "dip", "away", "away", "back", "jump"]),
        which=st.integers(0, 1),
        share=st.integers(0, 100),
    )
    def read(self, seconds: int, kind: str, which: int, share: int) -> None:
        self.now += 1000 * seconds
        possible = 50_000 * seconds * 3 // 3600
        shown = list(self.raws)
        shown[1 - which] = self.raws[1 - which] = (self.raws[1 - which] + possible // 2) % MODULUS
        if kind == "run":
            self.raws[which] = (self.raws[which] + possible * share // 100) % MODULUS
        elif kind == "reset":
            self.raws[which] = share
        elif kind == "back":
            self.raws[which] = max(0, self.raws[which] - share)
        elif kind == "hoard":
            self.raws[which] = (self.raws[which] + possible * share // 100) % MODULUS
        hidden, self.shown[which] = self.shown[which], self.raws[which]
        self.away[which] = self.away[which] + possible // 4 if kind == "away" else 0
        shown[which] = self.raws[which]
        if kind == "away":  # another counter for a while, a false reset when it lasts
            shown[which] = self.away[which]
        elif kind == "hoard":  # the device shows later what it has counted
            shown[which] = self.shown[which] = hidden
        elif kind == "dip":
            shown[which] = 0
        elif kind == "jump":
            shown[which] = (self.raws[which] + 3 * possible + 7000) % MODULUS
        self.meter.feed(reading((shown[0], shown[1])), self.now)
        events = self.table.step(array("i", [0, 1]), array("q", shown), array("q", [0, 0]), array("q", [self.now] * 2))
        for register, energy in zip(events.register, events.energy_mWh, strict=True):
            self.accepted[register] += energy

    @rule(is_swept=st.booleans(), fails=st.sampled_from([False, False, True]))
    def write(self, is_swept: bool, fails: bool) -> None:
        if is_swept:
            self.unwritten.append(self.meter.sweep(self.now))
        states = self.meter.states()
        self.conn.execute("BEGIN IMMEDIATE")
        for swept in self.unwritten:
            close(self.conn, sweep=swept, books=BOOKS, now_ms=self.now)
        registers.save(self.conn, states)
        if fails:
            self.conn.execute("ROLLBACK")
            return
        self.conn.execute("COMMIT")
        self.meter.saved()
        self.unwritten = []
        known = [self.table.state(r) if self.table.has_state(r) else None for r in (0, 1)]
        self.saved = (known, list(self.accepted))

    @rule()
    def kill(self) -> None:
        self.meter = new_meter()
        self.meter.load(registers.load_all(self.conn))
        self.unwritten = []
        self.table = CounterTable([COUNTER, COUNTER])
        states, accepted = self.saved
        self.accepted = list(accepted)
        for register, state in enumerate(states):
            if state is not None:
                self.table.load(register, state)

    @invariant()
    def rows_are_whole(self) -> None:
        for register in ("a", "b"):
            assert_whole(rows_in_force(self.conn, register))

    def teardown(self) -> None:
        for _ in range(8):  # both counters run on, which settles whatever was held
            self.read(4000, "run", 0, 50)
        self.now += 5 * MIN - self.now % (5 * MIN) - 1000
        self.read(1, "run", 0, 50)
        self.write(is_swept=True, fails=False)
        found = stored_energy(self.conn)
        assert [found["a"], found["b"]] == self.accepted
        for register in ("a", "b"):
            rows = rows_in_force(self.conn, register)
            assert_whole(rows)
            assert sum(energy or 0 for _, _, energy in rows) == found[register]
        assert verify(self.conn, Auditor(FACTORS)) == []
        self.conn.close()


History.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestHistory = History.TestCase
