"""Any history of counters, closes, failed writes and kills: no energy is lost, none is booked twice."""

import sqlite3
from array import array
from collections import defaultdict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ext import CounterTable
from gateway.carbon.booking.close import close
from gateway.carbon.intervals import Intervals
from gateway.carbon.metering.sweep import Sweep
from gateway.carbon.proof.auditor import Auditor
from gateway.store import registers
from gateway.store.audit.verification import verify
from gateway.store.ledger import live
from gateway.store.record import decoded
from tests.gateway.carbon.small_site import (
    BOOKS,
    COUNTER,
    FACTORS,
    MIN,
    MODULUS,
    NEW_YEAR,
    new_meter,
    new_store,
    reading,
)
from tests.scale import scaled


def stored_energy(conn: sqlite3.Connection) -> dict[str, int]:
    """Sum over all rows of each register, reversals included."""
    found: dict[str, int] = defaultdict(int)
    for (body,) in conn.execute("SELECT body FROM record WHERE kind = 'intervals' ORDER BY seq"):
        part = Intervals.from_block(decoded(body))
        for r, energy_mWh in zip(part.r, part.energy_mWh, strict=True):
            found[part.registers[r].register] += energy_mWh or 0
    return found


def rows_in_force(conn: sqlite3.Connection, register: str) -> list[tuple[int, int, int | None]]:
    return [(row.t0_ms, row.t1_ms, row.energy_mWh) for row in live.of_register(conn, "m", register, 0)]


def assert_whole(rows: list[tuple[int, int, int | None]]) -> None:
    """Each row begins where the one before it ended, and none is negative."""
    assert [t0 for t0, _, _ in rows[1:]] == [t1 for _, t1, _ in rows[:-1]]
    assert all(t0 < t1 and (energy or 0) >= 0 for t0, t1, energy in rows)


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
        self.meter.feed(reading((shown[0], shown[1], 0)), self.now)
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


History.TestCase.settings = settings(max_examples=scaled(40, 600), stateful_step_count=30, deadline=None)
TestHistory = pytest.mark.slow(History.TestCase)
