"""Entries: exact carbon, lens by lens, in named accounts; and computed again to the byte."""

import sqlite3
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext import apportion
from gateway.carbon.booking.aside import Aside, set_aside
from gateway.carbon.booking.close import Books, close
from gateway.carbon.booking.contracts import Allowance, RegisterYear, match
from gateway.carbon.booking.entries import Entries, Scope, compute, to_block
from gateway.carbon.booking.rules import Declaration, Line, lines_of
from gateway.carbon.errors import CarbonError, FactorError
from gateway.carbon.factors.factor import Factor, year_start_ms
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.intervals import Bounds, Intervals, RegisterName
from gateway.carbon.metering.sweep import Sweep
from gateway.carbon.proof.recheck import recheck
from gateway.store.database import SCHEMA_VERSION
from gateway.store.flag import Flag
from gateway.store.ledger.live import LiveEntry
from gateway.store.migrations import migrate
from gateway.store.row_class import RowClass, RowKind
from sync.wire import Block, decode_block, encode_block

MIN = 60_000
OFFSET_MS = 8 * 60 * MIN
NEW_YEAR_2023 = year_start_ms(2023, OFFSET_MS)
SUMMER_2022 = int(datetime(2022, 7, 1, tzinfo=UTC).timestamp() * 1000)
BOOKED = int(datetime(2026, 1, 15, tzinfo=UTC).timestamp() * 1000)
LOCATION = Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai")
BOTH = Scope(lenses={"location": "CN-SC", "market": "CN"}, zone="Asia/Shanghai")
Lines = tuple[Line, ...]


def lines(role: str, flow: str, scope: Scope = LOCATION, **declared: object) -> Lines:
    return lines_of(Declaration(role=role, **declared), flow, scope.lenses)  # type: ignore[arg-type]


GRID = lines("grid", "import")
PV = lines("pv", "generation", baseline="grid")


def factor(value: int, year: int = 2022, lens: str = "location", version: int = 1) -> Factor:
    region = "CN" if lens == "market" else "CN-SC"
    return Factor(
        id=f"t/{region}/{year}/{lens}",
        version=version,
        region=region,
        lens=lens,
        value_mg_per_kWh=value,
        gas_basis="CO2",
        data_year=year,
        valid_from_ms=year_start_ms(year, OFFSET_MS),
        valid_to_ms=year_start_ms(year + 1, OFFSET_MS),
        published_ms=0,
        confidence="A",
        publisher="p",
        document="d",
    )


def intervals(*energies: int | None, t0s: list[int] | None = None, kinds: list[int] | None = None) -> Intervals:
    """Rows of one register, five minutes each unless told."""
    begins = t0s or [SUMMER_2022 + 5 * MIN * n for n in range(len(energies))]
    count = len(energies)
    classes = [int(RowClass.MISSING if energy is None else RowClass.MEASURED) for energy in energies]
    return Intervals(
        registers=[RegisterName("m", "r", "import")],
        r=[0] * count,
        epoch=[1] * count,
        t0_ms=begins,
        t1_ms=[t0 + 5 * MIN for t0 in begins],
        energy_mWh=list(energies),
        raw_begin=[2**63 - 1] * count,
        raw_end=[2**53 + 1] * count,
        row_class=classes,
        flags=[0] * count,
        kind=kinds or [0] * count,
    )


def booked(rows: Intervals, of_register: Lines, *factors: Factor, scope: Scope = LOCATION) -> Entries:
    return compute(rows, [of_register], scope=scope, factors=FactorSet(factors), booked_ms=BOOKED)


def block_of(entries: Entries, rows: Intervals, of_register: Lines, scope: Scope = LOCATION) -> Block:
    return to_block(entries, rows, [of_register], intervals_seq=1, scope=scope, booked_ms=BOOKED)


def test_i11_a_year_of_hydropower() -> None:
    entries = booked(intervals(600_000_000_000), GRID, factor(140_400))
    assert entries.emitted_ng == [84_240_000_000_000_000]
    assert entries.baseline_ng == [None]


@pytest.mark.parametrize(
    ("vector", "cuts", "energies", "carbon"),
    [
        ("i7", [10], [333, 667], [46_753_200, 333_500_000]),
        ("i8", [10, 20], [333, 333, 334], [46_753_200, 166_500_000, 167_000_000]),
    ],
)
def test_i7_i8_a_factor_that_changes(vector: str, cuts: list[int], energies: list[int], carbon: list[int]) -> None:
    begin = NEW_YEAR_2023 - 10 * MIN
    borders = [begin + cut * MIN for cut in cuts]
    assert apportion(1000, begin, begin + 30 * MIN, borders) == energies
    rows = intervals(*energies, t0s=[begin, *borders])
    entries = booked(rows, GRID, factor(140_400), factor(500_000, 2023))
    assert entries.emitted_ng == carbon
    assert sum(entries.emitted_ng) == 380_253_200


@given(
    st.integers(0, 2**40),
    st.integers(1, 30 * MIN - 1),
    st.integers(0, 2_000_000),
)
def test_property_03_adding_a_factor_boundary_with_equal_values_changes_no_total(
    energy_mWh: int, begin_ms: int, value: int
) -> None:
    """A vintage that begins inside an interval cuts it in two; with the same value the carbon stays what it was."""
    t0_ms, t1_ms = NEW_YEAR_2023 - begin_ms, NEW_YEAR_2023 - begin_ms + 30 * MIN
    whole = booked(intervals(energy_mWh, t0s=[t0_ms]), GRID, factor(value, 2022))
    factors = FactorSet([factor(value, 2022), factor(value, 2023)])
    assert factors.boundaries("CN-SC", t0_ms, t1_ms) == [NEW_YEAR_2023]
    parts = intervals(*apportion(energy_mWh, t0_ms, t1_ms, [NEW_YEAR_2023]), t0s=[t0_ms, NEW_YEAR_2023])
    entries = compute(parts, [GRID], scope=LOCATION, factors=factors, booked_ms=BOOKED)
    assert sum(entries.emitted_ng) == sum(whole.emitted_ng) == energy_mWh * value
    assert len(set(entries.factor)) == 2


@given(
    st.lists(st.tuples(st.integers(0, 2**38), st.integers(0, 2**38)), min_size=1, max_size=20),
    st.integers(0, 1_500_000),
)
def test_property_06_location_identity_of_section_7_is_exact(flows: list[tuple[int, int]], value: int) -> None:
    """emitted(site) + avoided(self-consumed PV) = load * F, from the entries of a grid meter and a PV device."""
    grid = booked(intervals(*(imported for imported, _ in flows)), GRID, factor(value))
    pv = booked(intervals(*(generated for _, generated in flows)), PV, factor(value))
    emitted_ng = sum(amount for name, amount in zip(grid.account, grid.emitted_ng, strict=True) if name == "inventory")
    avoided_ng = sum(
        (baseline or 0) - emitted
        for name, emitted, baseline in zip(pv.account, pv.emitted_ng, pv.baseline_ng, strict=True)
        if name == "project"
    )
    load_mWh = sum(imported + generated for imported, generated in flows)  # nothing is exported, no battery
    assert emitted_ng + avoided_ng == load_mWh * value


def test_property_09_avoided_is_never_part_of_an_inventory_query() -> None:
    """No entry of the inventory has a baseline, and no entry with a baseline is in the inventory."""
    for role, flow in (("grid", "import"), ("pv", "generation"), ("hydro", "import"), ("light", "consumption")):
        for supply in ("grid", "own", "direct"):
            for retained in (None, True, False):
                try:
                    of_register = lines_of(
                        Declaration(role=role, supply=supply, baseline="grid", attributes_retained=retained),
                        flow,
                        BOTH.lenses,
                    )
                except CarbonError:
                    continue
                entries = booked(intervals(7), of_register, factor(5), factor(9, lens="market"), scope=BOTH)
                for account, baseline_ng in zip(entries.account, entries.baseline_ng, strict=True):
                    assert (baseline_ng is None) == (account != "project")


def test_generation_with_a_baseline_avoids_and_emits_nothing() -> None:
    entries = booked(intervals(1000), PV, factor(140_400))
    assert list(zip(entries.account, entries.emitted_ng, entries.baseline_ng, strict=True)) == [
        ("memo", 0, None),
        ("project", 0, 140_400_000),
    ]
    assert entries.factor == [None, "t/CN-SC/2022/location@1"]


def test_missing_is_not_zero() -> None:
    entries = booked(intervals(7, None, 0), GRID, factor(140_400))
    assert (entries.i, entries.emitted_ng) == ([0, 2], [7 * 140_400, 0])


def test_a_factor_is_asked_for_only_where_it_is_needed() -> None:
    own = lines("light", "consumption", supply="own")
    assert booked(intervals(5), own).emitted_ng == [0]
    assert booked(intervals(None), GRID).emitted_ng == []
    with pytest.raises(FactorError):
        booked(intervals(5), GRID)


def test_two_lenses_stand_side_by_side() -> None:
    """One kWh from the grid and one from the roof, whose certificates are sold."""
    factors = factor(140_400), factor(585_600, lens="market")
    entries = booked(intervals(1_000_000), lines("grid", "import", BOTH), *factors, scope=BOTH)
    assert list(zip(entries.lens, entries.account, entries.emitted_ng, strict=True)) == [
        ("location", "inventory", 140_400_000_000),
        ("market", "inventory", 585_600_000_000),
    ]
    sold = lines("pv", "generation", BOTH, baseline="grid", attributes_retained=False)
    entries = booked(intervals(1_000_000), sold, *factors, scope=BOTH)
    assert list(zip(entries.lens, entries.account, entries.emitted_ng, entries.baseline_ng, strict=True)) == [
        ("location", "memo", 0, None),
        ("market", "inventory", 585_600_000_000, None),
    ]


def test_a_block_says_lenses_regions_methods_and_provisional_factors() -> None:
    rows = intervals(1, 2, t0s=[NEW_YEAR_2023 - 5 * MIN, NEW_YEAR_2023])
    of_register = lines("grid", "import", BOTH)
    factors = factor(140_400), factor(585_600, lens="market"), factor(609_600, 2023, "market")
    block = block_of(booked(rows, of_register, *factors, scope=BOTH), rows, of_register, BOTH)
    refs = [None if at is None else block.meta["factors"][at] for at in block.optional_ints("factor")]
    location, old, new = "t/CN-SC/2022/location@1", "t/CN/2022/market@1", "t/CN/2023/market@1"
    assert refs == [location, old, location, new]
    assert block.ints("flags") == [0, 0, Flag.PROVISIONAL, 0]
    assert (block.meta["lenses"], block.meta["regions"]) == (["location", "market"], ["CN-SC", "CN"])
    assert block.meta["booked_ms"] == BOOKED
    assert block.meta["lines"] == [[[0, 0, 0], [1, 0, 3]]]
    assert (block.meta["bounds"], block.meta["contracts"]) == ([], [])
    assert "matched_mWh" not in block.columns


def test_a_gap_across_factors_gives_bounds() -> None:
    rows = intervals(1000, 2000, t0s=[NEW_YEAR_2023 - 5 * MIN, NEW_YEAR_2023])
    window = (NEW_YEAR_2023 - 2000 * MIN, NEW_YEAR_2023 + 5 * MIN)
    rows.gaps.extend([(0, *window), (1, *window)])
    entries = booked(rows, GRID, factor(100), factor(70, 2023))
    assert entries.emitted_ng == [100_000, 140_000]
    assert entries.bounds == [(0, 70_000, 100_000), (1, 140_000, 200_000)]
    assert booked(rows, GRID, factor(100), factor(100, 2023)).bounds == []
    assert booked(rows, lines("light", "import", supply="own")).bounds == []


def test_a_bound_names_its_factors_although_no_row_does() -> None:
    rows = intervals(2000, t0s=[NEW_YEAR_2023])
    rows.gaps.append((0, NEW_YEAR_2023 - 2000 * MIN, NEW_YEAR_2023 + 5 * MIN))
    factors = FactorSet([factor(100), factor(70, 2023)])
    block = block_of(compute(rows, [PV], scope=LOCATION, factors=factors, booked_ms=BOOKED), rows, PV)
    assert block.meta["bounds"] == [[1, "140000", "200000"]]
    assert block.meta["factors"] == ["t/CN-SC/2022/location@1", "t/CN-SC/2023/location@1"]
    assert recheck(rows.to_block(), block, factors=factors) is None


def test_a_gap_that_begins_before_the_data_of_the_region_is_bounded_by_what_is_known() -> None:
    rows = intervals(2000, t0s=[NEW_YEAR_2023])
    rows.gaps.append((0, NEW_YEAR_2023 - 2000 * MIN, NEW_YEAR_2023 + 5 * MIN))
    assert booked(rows, GRID, factor(70, 2023)).bounds == []


# Reversals


def entry(**changed: object) -> LiveEntry:
    fields = {
        "lens": "location",
        "account": "inventory",
        "method": "electricity.grid-average/1",
        "factor": "t/CN-SC/2022/location@1",
        "emitted_ng": 700,
        "baseline_ng": None,
        "matched_mWh": 0,
        "flags": int(Flag.PROVISIONAL),
    }
    return LiveEntry(**(fields | changed))  # type: ignore[arg-type]


def correction(before_mWh: int, after_mWh: int) -> Intervals:
    return intervals(
        -before_mWh,
        after_mWh,
        t0s=[SUMMER_2022, SUMMER_2022],
        kinds=[int(RowKind.REVERSAL), int(RowKind.RESTATEMENT)],
    )


def test_a_reversal_negates_what_is_in_force_and_a_restatement_is_computed_anew() -> None:
    rows = correction(7, 9)
    factors = FactorSet([factor(100), factor(90, version=2)])
    taken_back = {0: [entry(), entry(account="project", emitted_ng=0, baseline_ng=700)]}
    entries = compute(rows, [GRID], scope=LOCATION, factors=factors, booked_ms=BOOKED, taken_back=taken_back)
    assert entries.i == [0, 0, 1]
    assert entries.emitted_ng == [-700, 0, 9 * 90]
    assert entries.baseline_ng == [None, -700, None]
    assert entries.factor == ["t/CN-SC/2022/location@1", "t/CN-SC/2022/location@1", "t/CN-SC/2022/location@2"]
    assert entries.flags == [Flag.PROVISIONAL, Flag.PROVISIONAL, 0]
    block = block_of(entries, rows, GRID)
    assert recheck(rows.to_block(), block, taken_back, factors=factors) is None
    assert recheck(rows.to_block(), block, {0: [entry(emitted_ng=701)]}, factors=factors) == (
        "row 0 (m/r, 2022-07-01 00:00:00Z): emitted_ng is -700, computed -701"
    )


def test_a_factor_that_is_accepted_no_more_is_still_taken_back() -> None:
    """What taken-back entries name plays no part in the look-ups of the same block."""
    rows = correction(7, 9)
    everything = FactorSet([factor(100), factor(90, version=2)])
    taken_back = {0: [entry(factor="t/CN-SC/2022/location@2")]}
    chosen = everything.only(["t/CN-SC/2022/location@1"])
    entries = compute(rows, [GRID], scope=LOCATION, factors=chosen, booked_ms=BOOKED, taken_back=taken_back)
    block = block_of(entries, rows, GRID)
    assert recheck(rows.to_block(), block, taken_back, factors=everything) is None


def test_names_that_only_old_entries_have_are_taken_back_too() -> None:
    rows = correction(7, 9)
    taken_back = {0: [entry(lens="market", method="electricity.older/1", factor=None)]}
    factors = FactorSet([factor(100)])
    entries = compute(rows, [GRID], scope=LOCATION, factors=factors, booked_ms=BOOKED, taken_back=taken_back)
    block = block_of(entries, rows, GRID)
    assert (block.meta["lenses"], block.meta["regions"]) == (["location", "market"], ["CN-SC", ""])
    assert block.meta["methods"][block.ints("method")[0]] == "electricity.older/1"
    assert recheck(rows.to_block(), block, taken_back, factors=factors) is None


def test_a_reversal_of_something_unknown_is_refused() -> None:
    with pytest.raises(CarbonError, match="row 0 takes back a row of m/r that is not in force"):
        booked(correction(7, 9), GRID, factor(100))


# Range


def test_an_amount_beyond_64_bits_raises_and_names_its_register() -> None:
    limit = (2**63 - 1) // 140_400
    assert booked(intervals(limit), GRID, factor(140_400)).emitted_ng == [limit * 140_400]
    with pytest.raises(CarbonError, match="m/r leaves 64 bits"):
        booked(intervals(1, limit + 1), GRID, factor(140_400))


@given(
    st.lists(st.integers(0, 2**60), min_size=1, max_size=6),
    st.sampled_from([0, 1, 140_400, 2**40, 2**63 - 1, 2**63, 2**80]),
    st.sampled_from([1, 585_600, 2**70]),
)
def test_property_07_overflow_of_a_close_sets_rows_aside_and_nothing_wraps(
    energies: list[int], value: int, residual: int
) -> None:
    rows, of_register = intervals(*energies), lines("grid", "import", BOTH)
    factors = FactorSet([factor(value), factor(residual, lens="market")])
    kept, aside = set_aside(rows, [of_register], scope=BOTH, factors=factors, booked_ms=BOOKED)
    entries = compute(kept, [of_register], scope=BOTH, factors=factors, booked_ms=BOOKED)
    fits = [energy < 2**53 and energy * max(value, residual) < 2**63 for energy in energies]
    assert kept.energy_mWh == [energy if fit else 0 for energy, fit in zip(energies, fits, strict=True)]
    assert [found.energy_mWh for found in aside] == [e for e, fit in zip(energies, fits, strict=True) if not fit]
    amounts = [energy * each for energy in kept.energy_mWh if energy is not None for each in (value, residual)]
    assert entries.emitted_ng == amounts
    for block in (kept.to_block(), block_of(entries, kept, of_register, BOTH)):
        assert decode_block(encode_block(block.kind, block.meta, block.columns)) == block


def test_a_row_that_is_set_aside_is_suspect_and_keeps_its_energy_as_bounds() -> None:
    rows = intervals(1, 2**52, 2, kinds=[2, 2, 1])
    rows.bounds.append((2, Bounds(0, 1, 0, 5)))
    kept, aside = set_aside(rows, [GRID], scope=LOCATION, factors=FactorSet([factor(140_400)]), booked_ms=BOOKED)
    t0_ms, t1_ms = rows.t0_ms[1], rows.t1_ms[1]
    assert aside == [Aside(RegisterName("m", "r", "import"), t0_ms, t1_ms, 2**52)]
    assert kept.energy_mWh == [1, 0, 2]
    assert kept.row_class == [RowClass.MEASURED, RowClass.SUSPECT, RowClass.MEASURED]
    assert kept.flags == [0, Flag.OVERFLOW, 0]
    assert kept.bounds == [(1, Bounds(t0_ms, t1_ms, 0, 2**52)), (2, Bounds(0, 1, 0, 5))]
    assert rows.energy_mWh[1] == 2**52


def test_energy_that_no_lens_counts_is_set_aside_when_a_block_cannot_hold_it() -> None:
    own = lines("light", "consumption", supply="own")
    factors = FactorSet([factor(1)])
    _, aside = set_aside(intervals(2**53 - 1, 2**53), [own], scope=LOCATION, factors=factors, booked_ms=BOOKED)
    assert [found.energy_mWh for found in aside] == [2**53]


def test_what_takes_back_is_never_set_aside() -> None:
    rows = intervals(-(2**50), kinds=[int(RowKind.REVERSAL)])
    kept, aside = set_aside(rows, [GRID], scope=LOCATION, factors=FactorSet([factor(2**20)]), booked_ms=BOOKED)
    assert (kept, aside) == (rows, [])


def test_property_07_overflow_never_stops_the_close_of_other_rows() -> None:
    """In the store: what does not fit is booked as suspect once, and everything else as ever."""
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn, SCHEMA_VERSION)
    site = Books(scope=BOTH, factors=FactorSet.load(shipped()), devices={"m": Declaration(role="grid")})
    written = close(conn, sweep=Sweep(intervals=intervals(5, 2**51, 6)), books=site, now_ms=BOOKED)
    assert [(found.name.register, found.energy_mWh) for found in written.aside] == [("r", 2**51)]
    source, entries = (decode_block(body) for (body,) in conn.execute("SELECT body FROM record ORDER BY seq"))
    assert entries.ints("emitted_ng") == [energy * value for energy in (5, 0, 6) for value in (140_400, 585_600)]
    assert entries.ints("class") == [0, 0, int(RowClass.SUSPECT), int(RowClass.SUSPECT), 0, 0]
    assert source.meta["bounds"] == [[1, source.ints("t0")[1], source.ints("t1")[1], "0", str(2**51)]]
    assert recheck(source, entries, factors=site.factors) is None
    conn.close()


def test_a_factor_below_zero_is_refused() -> None:
    with pytest.raises(FactorError, match=r"factor t/CN-SC/2022/location@1 is below zero"):
        booked(intervals(1), GRID, factor(-1))


def test_a_factor_of_zero_gives_zero() -> None:
    assert booked(intervals(5), GRID, factor(0)).emitted_ng == [0]


# Recheck


@pytest.fixture(scope="module")
def factors() -> FactorSet:
    return FactorSet.load(shipped())


def test_blocks_survive_the_wire_and_check_out_again(factors: FactorSet) -> None:
    rows = intervals(1000, None, 3)
    as_of = int(datetime(2024, 5, 1, tzinfo=UTC).timestamp() * 1000)  # only 2021 was published then
    entries = compute(rows, [PV], scope=LOCATION, factors=factors, booked_ms=as_of)
    block = to_block(entries, rows, [PV], intervals_seq=1, scope=LOCATION, booked_ms=as_of)
    assert block.optional_ints("baseline_ng") == [None, 125_500_000, None, 3 * 125_500]
    sent = [decode_block(encode_block(b.kind, b.meta, b.columns)) for b in (rows.to_block(), block)]
    assert Intervals.from_block(sent[0]) == rows
    assert recheck(*sent, factors=factors) is None


@pytest.mark.parametrize(
    ("column", "row", "value", "says"),
    [
        (
            "baseline_ng",
            1,
            140_400_001,
            "row 1 (m/r, 2022-07-01 00:00:00Z): baseline_ng is 140400001, computed 140400000",
        ),
        ("emitted_ng", 0, 1, "row 0 (m/r, 2022-07-01 00:00:00Z): emitted_ng is 1, computed 0"),
        ("account", 3, 0, "row 3 (m/r, 2022-07-01 00:05:00Z): account is 0, computed 2"),
        ("flags", 2, 1, "row 2 (m/r, 2022-07-01 00:05:00Z): flags is 1, computed 0"),
    ],
)
def test_a_changed_entry_is_named(factors: FactorSet, column: str, row: int, value: int, says: str) -> None:
    rows = intervals(1000, 3)
    block = block_of(compute(rows, [PV], scope=LOCATION, factors=factors, booked_ms=BOOKED), rows, PV)
    assert recheck(rows.to_block(), block, factors=factors) is None
    block.columns[column][row] = value
    assert recheck(rows.to_block(), block, factors=factors) == says


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("bounds", [[0, "1", "2"]], "its bounds are [[0, '1', '2']], computed []"),
        ("more", 1, "its more are 1, computed None"),
        ("registers", [["m", "r", "export", "mWh"]], "its registers are"),
    ],
)
def test_a_changed_heading_is_named(factors: FactorSet, key: str, value: object, says: str) -> None:
    rows = intervals(1000)
    block = block_of(compute(rows, [GRID], scope=LOCATION, factors=factors, booked_ms=BOOKED), rows, GRID)
    block.meta[key] = value
    fault = recheck(rows.to_block(), block, factors=factors)
    assert fault is not None
    assert fault.startswith(says)


def test_a_factor_that_was_not_published_at_the_booking_is_noticed(factors: FactorSet) -> None:
    rows = intervals(1000)
    block = block_of(compute(rows, [GRID], scope=LOCATION, factors=factors, booked_ms=BOOKED), rows, GRID)
    block.meta["booked_ms"] = int(datetime(2024, 5, 1, tzinfo=UTC).timestamp() * 1000)
    fault = recheck(rows.to_block(), block, factors=factors)
    assert fault == "no location factor of region CN-SC was published by 2024-05-01"


def test_a_changed_factor_table_is_noticed(factors: FactorSet) -> None:
    rows = intervals(1000)
    block = block_of(booked(rows, GRID, factor(1)), rows, GRID)
    assert recheck(rows.to_block(), block, factors=factors) == (
        "factor t/CN-SC/2022/location@1 is not in the factor table"
    )


def test_a_block_with_a_contract_checks_out_and_a_changed_one_does_not(factors: FactorSet) -> None:
    rows, of_register = intervals(800, 700), lines("grid", "import", BOTH, contract_mWh=1000)
    allowances = {RegisterYear(0, 2022): Allowance(1000, 0)}
    matching = match(rows, allowances, partial(factors.year_of, "CN"), {})
    entries = compute(rows, [of_register], scope=BOTH, factors=factors, booked_ms=BOOKED, matching=matching)
    assert entries.emitted_ng == [800 * 140_400, 0, 700 * 140_400, 500 * 585_600]
    block = block_of(entries, rows, of_register, BOTH)
    assert block.ints("matched_mWh") == [0, 800, 0, 200]
    assert block.meta["contracts"] == [[0, 2022, 1000, 0, 1000]]
    assert recheck(rows.to_block(), block, factors=factors) is None
    block.meta["contracts"] = [[0, 2022, 1000, 100, 1000]]
    assert recheck(rows.to_block(), block, factors=factors) == (
        f"row 3 (m/r, 2022-07-01 00:05:00Z): emitted_ng is {500 * 585_600}, computed {600 * 585_600}"
    )
