"""Restate: a day brought to newer factors nets exactly, twice is once, and corrections find what is in force."""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.carbon.booking.close import Books, close
from gateway.carbon.booking.entries import Scope
from gateway.carbon.booking.restate import Order, recheck_restatement, restated, write
from gateway.carbon.booking.rules import Declaration
from gateway.carbon.errors import CarbonError, FactorError
from gateway.carbon.factors.factor_set import Factor, FactorSet
from gateway.carbon.intervals import Intervals, RegisterName
from gateway.carbon.metering.correction import RECOVERED, Correction, Piece
from gateway.carbon.metering.span import Span
from gateway.carbon.metering.sweep import Sweep
from gateway.carbon.proof.auditor import Auditor
from gateway.store import totals
from gateway.store.audit.verification import verify
from gateway.store.database import SCHEMA_VERSION
from gateway.store.flag import Flag
from gateway.store.ledger import live
from gateway.store.ledger.day_index import DayIndex
from gateway.store.ledger.live_day import LiveDay
from gateway.store.migrations import migrate
from gateway.store.row_class import RowClass
from sync.wire import Block, decode_block

HOUR, DAY = 3_600_000, 86_400_000
ZONE = "Asia/Shanghai"
MIDNIGHT = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000) - 8 * HOUR  # at the site
TODAY = date(2026, 3, 1)
NEW_YEAR = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
BOOKED = MIDNIGHT + 2 * DAY
LATER = BOOKED + 300 * DAY
GRID, PV = RegisterName("grid", "import", "import"), RegisterName("pv", "yield", "generation")


def factor(data_year: int, value: int, published_ms: int, version: int = 1, set_id: str = "cn-grid") -> Factor:
    """Of a region that keeps UTC."""
    region = "CN-SC" if set_id == "cn-grid" else "CN-YN"
    return Factor(
        id=f"{set_id}/{region}/{data_year}/location",
        version=version,
        region=region,
        lens="location",
        value_mg_per_kWh=value,
        gas_basis="CO2",
        data_year=data_year,
        valid_from_ms=_year(data_year),
        valid_to_ms=_year(data_year + 1),
        published_ms=published_ms,
        confidence="A",
        publisher="test",
        document="test",
    )


def _year(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1000)


OLD = factor(2025, 140_400, NEW_YEAR)
NEW = factor(2026, 156_400, BOOKED + DAY)
CORRECTED = factor(2026, 150_000, LATER + DAY, version=2)
FACTORS = FactorSet([OLD, NEW, CORRECTED])


class Site:
    """A ledger that is written as the gateway writes it."""

    def __init__(self, conn: sqlite3.Connection, factors: FactorSet = FACTORS) -> None:
        self.conn = conn
        self.factors = factors
        self.lenses = {"location": "CN-SC"}
        self.contract_mWh: int | None = None
        self.index = DayIndex()

    def books(self) -> Books:
        """What the site declares."""
        grid = Declaration(role="grid", contract_mWh=self.contract_mWh)
        return Books(
            scope=Scope(lenses=self.lenses, zone=ZONE),
            factors=self.factors,
            devices={"grid": grid, "pv": Declaration(role="pv", baseline="grid", attributes_retained=True)},
        )

    def sweep(
        self, hour: int, energies: Sequence[int | None], booked_ms: int = BOOKED, name: RegisterName = GRID
    ) -> None:
        """Rows of one hour each from this hour of the day on."""
        count = len(energies)
        t0s = [MIDNIGHT + (hour + n) * HOUR for n in range(count)]
        rows = Intervals(
            registers=[name],
            r=[0] * count,
            epoch=[1] * count,
            t0_ms=t0s,
            t1_ms=[t0 + HOUR for t0 in t0s],
            energy_mWh=list(energies),
            raw_begin=[None] * count,
            raw_end=[None] * count,
            row_class=[int(RowClass.MISSING if each is None else RowClass.MEASURED) for each in energies],
            flags=[int(Flag.WRAP)] * count,
            kind=[0] * count,
        )
        close(self.conn, sweep=Sweep(intervals=rows), books=self.books(), now_ms=booked_ms)

    def correct(self, hour: int, energy_mWh: int, booked_ms: int) -> None:
        """States one hour of the grid meter anew."""
        t0_ms = MIDNIGHT + hour * HOUR
        span = Span(t0_ms, t0_ms + HOUR, energy_mWh, epoch=1)
        correction = Correction(GRID, RECOVERED, span, [Piece(t0_ms, t0_ms + HOUR, energy_mWh)])
        rows = Intervals(registers=[])
        close(
            self.conn,
            sweep=Sweep(intervals=rows, corrections=[correction]),
            books=self.books(),
            now_ms=booked_ms,
        )

    def day(self, day: date = TODAY, before_seq: int | None = None) -> LiveDay:
        found = LiveDay(day, ZONE)
        index = self.index if before_seq is None else DayIndex()
        while index.read_on(self.conn):
            pass
        while found.read_on(self.conn, index, 2):
            pass
        return found

    def restate(self, as_of_ms: int = LATER, day: date = TODAY) -> Block | None:
        block = restated(self.day(day), order(as_of_ms), self.factors)
        if block is not None:
            write(self.conn, block)
        return block

    def live(self, name: RegisterName = GRID) -> list[tuple[int | None, list[tuple[str | None, int, int | None]]]]:
        """Energy and (factor, emitted, baseline) of each live row."""
        rows = live.of_register(self.conn, name.device, name.register, 0)
        return [(row.energy_mWh, [(e.factor, e.emitted_ng, e.baseline_ng) for e in row.entries]) for row in rows]

    def total(self, account: str = "inventory") -> tuple[int, int, int | None]:
        sums = [each for each in totals.query(self.conn, "0", "9") if each.account == account]
        (found,) = totals.by_register(sums)
        return found.energy_mWh, found.emitted_ng, found.baseline_ng


def order(as_of_ms: int = LATER) -> Order:
    return Order(factor_set="cn-grid", run="cn-grid@2026-12-31", reason="the values of 2026", as_of_ms=as_of_ms)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    conn = sqlite3.connect(tmp_path / "huxi.db", isolation_level=None)
    migrate(conn, SCHEMA_VERSION)
    yield Site(conn)
    conn.close()


def test_a_lens_that_keeps_its_factor_is_left_alone_and_the_ledger_stays_sound(site: Site) -> None:
    residual = replace(OLD, id="cn-grid/CN/2025/market", region="CN", lens="market", value_mg_per_kWh=600_000)
    site.factors = FactorSet([*FACTORS.records, residual])
    site.lenses = {"location": "CN-SC", "market": "CN"}
    site.sweep(8, [1000, 2000])
    block = site.restate()
    assert block is not None
    assert block.meta["lenses"] == ["location"]
    assert verify(site.conn, Auditor(site.factors)) == []


def test_a_day_is_restated_in_one_record(site: Site) -> None:
    site.sweep(8, [1000, None, 3000])
    site.sweep(8, [500], name=PV)
    assert site.total() == (4000, 4000 * 140_400, None)
    block = site.restate()
    assert block is not None
    assert block.meta == {
        "registers": [["grid", "import", "import", "mWh"], ["pv", "yield", "generation", "mWh"]],
        "lenses": ["location"],
        "regions": ["CN-SC"],
        "accounts": ["inventory", "project"],
        "methods": ["electricity.grid-average/1", "electricity.grid-displaced/1"],
        "factors": [OLD.ref, NEW.ref],
        "values": [140_400, 156_400],
        "zone": ZONE,
        "booked_ms": LATER,
        "run": "cn-grid@2026-12-31",
        "reason": "the values of 2026",
        "day": "2026-03-01",
    }
    begin = MIDNIGHT + 8 * HOUR
    text = f"{begin},{begin + HOUR},1,{{}},0,{{}},\n{begin + 2 * HOUR},{begin + 3 * HOUR},1,{{}},0,{{}},\n"
    taken = text.format(-1000, -1000 * 140_400, -3000, -3000 * 140_400)
    booked = text.format(1000, 1000 * 156_400, 3000, 3000 * 156_400)
    pv = [
        f"{begin},{begin + HOUR},1,{sign * 500},0,0,{sign * 500 * value}\n"
        for sign, value in ((-1, 140_400), (1, 156_400))
    ]
    assert block.columns == {
        "r": [0, 0, 1, 1],
        "lens": [0, 0, 0, 0],
        "account": [0, 0, 1, 1],
        "method": [0, 0, 1, 1],
        "factor": [0, 1, 0, 1],
        "class": [0, 0, 0, 0],
        "flags": [Flag.WRAP | Flag.PROVISIONAL, Flag.WRAP] * 2,
        "t0": [begin] * 4,
        "t1": [begin + 3 * HOUR] * 2 + [begin + HOUR] * 2,
        "kind": [1, 2, 1, 2],
        "rows": [2, 2, 1, 1],
        "energy_mWh": [-4000, 4000, -500, 500],
        "emitted_ng": [-4000 * 140_400, 4000 * 156_400, 0, 0],
        "baseline_ng": [None, None, -500 * 140_400, 500 * 156_400],
        "hash": [hashlib.sha256(each.encode()).hexdigest() for each in (taken, booked, *pv)],
    }
    (body,) = site.conn.execute("SELECT body FROM record WHERE kind = 'restatement'").fetchone()
    assert decode_block(body) == block
    assert site.total() == (4000, 4000 * 156_400, None)
    assert site.total("project") == (500, 0, 500 * 156_400)
    assert site.live() == [
        (1000, [(NEW.ref, 1000 * 156_400, None)]),
        (None, []),
        (3000, [(NEW.ref, 3000 * 156_400, None)]),
    ]


def test_a_second_run_writes_nothing(site: Site) -> None:
    site.sweep(8, [1000, 2000])
    assert site.restate()
    assert site.restate() is None
    assert site.restate(LATER + 1) is None


def test_what_is_not_published_yet_does_not_count(site: Site) -> None:
    site.sweep(8, [1000])
    assert site.restate(BOOKED) is None
    assert site.restate(BOOKED + DAY - 1) is None
    assert site.restate(BOOKED + DAY) is not None


def test_a_corrected_value_replaces_the_restated_one(site: Site) -> None:
    site.sweep(8, [1000, 2000])
    site.restate()
    block = site.restate(LATER + DAY)
    assert block is not None
    assert block.meta["factors"] == [NEW.ref, CORRECTED.ref]
    assert site.total() == (3000, 3000 * 150_000, None)
    assert site.live() == [(each, [(CORRECTED.ref, each * 150_000, None)]) for each in (1000, 2000)]


def test_only_the_rows_that_begin_on_the_day(site: Site) -> None:
    site.sweep(-2, [1, 2, 4, 8])
    site.sweep(22, [16, 32, 64])
    block = site.restate()
    assert block is not None
    assert block.columns["energy_mWh"] == [-(4 + 8 + 16 + 32), 4 + 8 + 16 + 32]
    assert [energy for energy, entries in site.live() if entries[0][0] == OLD.ref] == [1, 2, 64]


def test_rows_that_come_late_keep_their_own_booking(site: Site) -> None:
    site.sweep(8, [1000])
    site.restate()
    site.sweep(9, [2000], booked_ms=BOOKED)  # a register that was held, booked by a clock of before
    assert site.live()[1] == (2000, [(OLD.ref, 2000 * 140_400, None)])
    site.restate()
    assert site.live() == [(each, [(NEW.ref, each * 156_400, None)]) for each in (1000, 2000)]
    assert site.total() == (3000, 3000 * 156_400, None)


def test_a_correction_after_a_restatement_negates_the_restated_amounts(site: Site) -> None:
    site.sweep(8, [1000, 2000, 4000])
    site.restate()
    site.correct(9, 2500, booked_ms=LATER)
    assert site.total() == (7500, 7500 * 156_400, None)
    assert site.restate() is None
    site.restate(LATER + DAY)
    assert site.live() == [(each, [(CORRECTED.ref, each * 150_000, None)]) for each in (1000, 2500, 4000)]
    assert site.total() == (7500, 7500 * 150_000, None)


def test_a_correction_before_a_restatement(site: Site) -> None:
    site.sweep(8, [1000, 2000, 4000])
    site.correct(9, 2500, booked_ms=BOOKED)
    block = site.restate()
    assert block is not None
    assert (block.columns["rows"], block.columns["energy_mWh"]) == ([3, 3], [-7500, 7500])
    assert site.total() == (7500, 7500 * 156_400, None)


def test_a_day_with_two_data_years_has_two_pairs(site: Site) -> None:
    """The region's year begins in the middle of the site's day."""
    first = factor(2024, 100, 0)
    site.factors = FactorSet([first, replace(OLD, published_ms=LATER), replace(NEW, published_ms=LATER)])
    site.sweep((NEW_YEAR - MIDNIGHT) // HOUR - 1, [10, 10])
    block = site.restate(day=date(2026, 1, 1))
    assert block is not None
    refs = [block.meta["factors"][each] for each in block.ints("factor")]
    assert refs == [first.ref, OLD.ref, first.ref, NEW.ref]
    assert site.live() == [(10, [(OLD.ref, 10 * 140_400, None)]), (10, [(NEW.ref, 10 * 156_400, None)])]
    assert recheck_restatement(_before(site), block, site.factors) is None


def _before(site: Site) -> LiveDay:
    """The day of New Year as it was before its restatement."""
    site.conn.execute("DELETE FROM record WHERE kind = 'restatement'")
    site.index = DayIndex()
    return site.day(date(2026, 1, 1))


def test_other_sets_leave_the_entries_alone(site: Site) -> None:
    site.sweep(8, [1000])
    assert restated(site.day(), replace(order(), factor_set="cn-other"), FACTORS) is None


def test_methods_without_a_factor_never_change(site: Site) -> None:
    site.sweep(8, [1000], name=PV)
    block = site.restate()
    assert block is not None
    assert block.meta["methods"] == ["electricity.grid-displaced/1"]
    assert site.total("memo") == (1000, 0, None)


def test_energy_that_a_contract_covers_stays_covered(site: Site) -> None:
    site.factors = FactorSet([*FACTORS.records, *(_market(each) for each in (OLD, NEW))])
    site.lenses = {"location": "CN-SC", "market": "CN-SC"}
    site.contract_mWh = 1500
    site.sweep(8, [1000, 2000])
    block = site.restate()
    assert block is not None
    assert block.meta["lenses"] == ["location", "market"]
    market = block.columns["lens"].index(1)
    assert block.columns["energy_mWh"][market:] == [-3000, 3000]
    assert block.columns["emitted_ng"][market:] == [-1500 * 140_401, 1500 * 156_401]
    assert [entries[1][1] for _, entries in site.live()] == [0, 1500 * 156_401]
    site.correct(9, 2500, booked_ms=LATER)
    assert [entries[1][1] for _, entries in site.live()] == [0, 2000 * 156_401]
    assert verify(site.conn, Auditor(site.factors)) == []


def _market(location: Factor) -> Factor:
    name = location.id.replace("location", "market")
    return replace(location, id=name, lens="market", value_mg_per_kWh=location.value_mg_per_kWh + 1)


def test_a_clock_before_the_bookings_is_refused(site: Site) -> None:
    site.sweep(8, [1000])
    with pytest.raises(CarbonError, match=r"2026-03-01 .* set the gateway's clock"):
        restated(site.day(), order(BOOKED - 1), FACTORS)


def test_a_factor_that_is_gone_is_named(site: Site) -> None:
    site.sweep(8, [1000])
    with pytest.raises(FactorError, match=OLD.ref):
        restated(site.day(), order(), FactorSet([NEW]))


def test_amounts_that_do_not_follow_from_their_factor_are_named(site: Site) -> None:
    site.sweep(8, [1000])
    other = FactorSet([replace(OLD, value_mg_per_kWh=1), NEW])
    with pytest.raises(CarbonError, match=f"grid/import on 2026-03-01 do not follow from factor {OLD.ref}"):
        restated(site.day(), order(), other)


def test_a_day_whose_rows_were_pruned_says_so(site: Site) -> None:
    site.sweep(8, [1000])
    site.sweep(9, [1000])
    site.conn.execute("UPDATE record SET kind = 'header', body = '{}' WHERE seq <= 2")
    assert site.day().is_pruned


def test_the_steps_of_a_day_take_in_what_is_written_meanwhile(site: Site) -> None:
    for hour in range(6):
        site.sweep(hour, [1])
    while site.index.read_on(site.conn, 3):
        pass
    day = LiveDay(TODAY, ZONE)
    assert day.read_on(site.conn, site.index, 5)
    site.sweep(6, [1])
    site.correct(2, 7, booked_ms=BOOKED)
    while site.index.read_on(site.conn):
        pass
    while day.read_on(site.conn, site.index, 5):
        pass
    assert sorted(cells[3] for cells in next(iter(day.groups.values()))) == [1, 1, 1, 1, 1, 1, 7]
    assert day.groups == site.day().groups


def test_a_restatement_is_computed_again_to_the_byte(site: Site) -> None:
    site.sweep(8, [1000, 2000])
    before = site.day()
    block = restated(before, order(), FACTORS)
    assert block is not None
    assert recheck_restatement(before, block, FACTORS) is None
    for name, row in (("rows", 0), ("energy_mWh", 1), ("hash", 1), ("flags", 0)):
        columns = {key: list(values) for key, values in block.columns.items()}
        value = columns[name][row]
        columns[name][row] = "0" if isinstance(value, str) else (value or 0) + 1
        fault = recheck_restatement(before, replace(block, columns=columns), FACTORS)
        assert fault is not None
        assert fault.startswith(f"row {row} (grid/import, 2026-03-01 00:00:00Z): {name} is ")
    fault = recheck_restatement(before, replace(block, meta=block.meta | {"values": [1, 2]}), FACTORS)
    assert fault == "its values are [1, 2], computed [140400, 156400]"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    energies=st.lists(st.one_of(st.none(), st.integers(0, 10**12)), min_size=1, max_size=24),
    value=st.integers(0, 2_000_000),
)
def test_property_04_restatement_with_the_same_factor_nets_to_zero(energies: list[int | None], value: int) -> None:
    """Equal values under a new version: the pair of each group adds up to nothing, and no total changes."""
    same = [replace(OLD, value_mg_per_kWh=value), replace(OLD, value_mg_per_kWh=value, version=2, published_ms=LATER)]
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn, SCHEMA_VERSION)
    site = Site(conn, FactorSet(same))
    site.sweep(0, energies)
    site.sweep(0, energies, name=PV)
    before = [(each.key, each.energy_mWh, each.emitted_ng, each.baseline_ng) for each in totals.query(conn, "0", "9")]
    block = site.restate()
    after = [(each.key, each.energy_mWh, each.emitted_ng, each.baseline_ng) for each in totals.query(conn, "0", "9")]
    conn.close()
    assert after == before
    assert (block is None) == all(each is None for each in energies)
    if block is not None:
        for name in ("energy_mWh", "emitted_ng"):
            column = block.ints(name)
            assert all(taken + booked == 0 for taken, booked in zip(column[::2], column[1::2], strict=True))
        baselines = block.optional_ints("baseline_ng")
        assert all((a or 0) + (b or 0) == 0 for a, b in zip(baselines[::2], baselines[1::2], strict=True))
