"""Entries: exact carbon, under one lens, in named accounts."""

from datetime import UTC, datetime

import pytest

from gateway.carbon.entries import Scope, compute, recheck, to_block
from gateway.carbon.errors import CarbonError, FactorError
from gateway.carbon.factors import Factor, FactorSet, shipped
from gateway.carbon.intervals import Bounds, Intervals, RegisterName
from gateway.carbon.rules import Declaration, lines_of
from gateway.carbon.timeline import Span, Timeline
from gateway.store.flag import Flag
from gateway.store.row_class import RowClass
from sync.wire import decode_block, encode_block

MIN = 60_000
SCOPE = Scope(region="CN-SC", zone="Asia/Shanghai", lens="location")
GRID = lines_of(Declaration(role="grid"), "import")
PV = lines_of(Declaration(role="pv", baseline="grid"), "generation")
SUMMER_2022 = int(datetime(2022, 7, 1, tzinfo=UTC).timestamp() * 1000)


def factor(value: int, year: int = 2022, *, provisional: bool = False) -> Factor:
    return Factor(
        id=f"t/CN-SC/{year}/location",
        version=1,
        region="CN-SC",
        lens="location",
        value_mg_per_kWh=value,
        gas_basis="CO2",
        data_year=year,
        valid_from_ms=0,
        valid_to_ms=0,
        published_ms=0,
        confidence="A",
        publisher="p",
        document="d",
        provisional=provisional,
    )


def intervals(*energies: int | None, t0s: list[int] | None = None) -> Intervals:
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
        kind=[0] * count,
        bounds=[(0, Bounds(SUMMER_2022, SUMMER_2022 + 1, 0, 2**62))] if count else [],
    )


def test_a_year_of_hydropower() -> None:  # vector I11
    entries = compute(intervals(600_000_000_000), [GRID], lambda t_ms: factor(140_400))
    assert entries.emitted_ng == [84_240_000_000_000_000]
    assert entries.baseline_ng == [None]


@pytest.mark.parametrize(
    ("cuts", "energies", "carbon"),
    [
        ([10], [333, 667], [46_753_200, 333_500_000]),  # vector I7
        ([10, 20], [333, 333, 334], [46_753_200, 166_500_000, 167_000_000]),  # vector I8
    ],
)
def test_a_factor_that_changes(cuts: list[int], energies: list[int], carbon: list[int]) -> None:
    line = Timeline(60 * MIN, lambda t0, t1: [cut * MIN for cut in cuts if t0 < cut * MIN < t1])
    line.book(Span(0, 30 * MIN, 1000))
    rows = line.take(30 * MIN)
    assert [row.energy_mWh for row in rows] == energies
    part = intervals(*energies, t0s=[row.t0_ms for row in rows])
    entries = compute(part, [GRID], lambda t_ms: factor(140_400 if t_ms < 10 * MIN else 500_000))
    assert entries.emitted_ng == carbon
    assert sum(entries.emitted_ng) == 380_253_200


def test_a_cut_between_equal_factors_changes_no_total() -> None:
    whole = compute(intervals(1001), [GRID], lambda t_ms: factor(140_400))
    parts = compute(intervals(400, 601), [GRID], lambda t_ms: factor(140_400))
    assert sum(whole.emitted_ng) == sum(parts.emitted_ng)


def test_generation_with_a_baseline_avoids_and_emits_nothing() -> None:
    entries = compute(intervals(1000), [PV], lambda t_ms: factor(140_400))
    accounts = [line.account.value for line in entries.line]
    assert list(zip(accounts, entries.emitted_ng, entries.baseline_ng, strict=True)) == [
        ("memo", 0, None),
        ("project", 0, 140_400_000),
    ]
    assert [found and found.value_mg_per_kWh for found in entries.factor] == [None, 140_400]


def test_missing_is_not_zero() -> None:
    entries = compute(intervals(7, None, 0), [GRID], lambda t_ms: factor(140_400))
    assert (entries.i, entries.emitted_ng) == ([0, 2], [7 * 140_400, 0])


def test_a_taken_back_booking_is_negative() -> None:
    assert compute(intervals(-7), [GRID], lambda t_ms: factor(140_400)).emitted_ng == [-7 * 140_400]


def test_a_factor_is_asked_for_only_where_it_is_needed() -> None:
    def no_factor(t_ms: int) -> Factor:
        raise FactorError("none")

    own = lines_of(Declaration(role="light", supply="own"), "consumption")
    assert compute(intervals(5), [own], no_factor).emitted_ng == [0]
    with pytest.raises(FactorError):
        compute(intervals(5), [GRID], no_factor)


def test_an_amount_beyond_64_bits_raises_and_names_its_register() -> None:
    limit = (2**63 - 1) // 140_400
    assert compute(intervals(limit), [GRID], lambda t_ms: factor(140_400)).emitted_ng == [limit * 140_400]
    with pytest.raises(CarbonError, match="m/r leaves 64 bits"):
        compute(intervals(1, limit + 1), [GRID], lambda t_ms: factor(140_400))


def test_a_block_says_factor_and_provisional() -> None:
    rows = intervals(1, 2, 3)
    factors = [factor(140_400), factor(156_400, 2023, provisional=True), factor(140_400)]
    entries = compute(rows, [PV], lambda t_ms: factors[rows.t0_ms.index(t_ms)])
    block = to_block(entries, rows, [PV], 5, SCOPE)
    refs = [None if at is None else block.meta["factors"][at] for at in block.optional_ints("factor")]
    old, new = "t/CN-SC/2022/location@1", "t/CN-SC/2023/location@1"
    assert refs == [None, old, None, new, None, old]
    assert block.ints("flags") == [0, 0, 0, Flag.PROVISIONAL, 0, 0]


@pytest.fixture(scope="module")
def factors() -> FactorSet:
    return FactorSet.load(shipped())


def test_blocks_survive_the_wire_and_check_out_again(factors: FactorSet) -> None:
    rows = intervals(1000, None, 3)
    as_of = int(datetime(2024, 5, 1, tzinfo=UTC).timestamp() * 1000)  # only 2021 was published then

    def factor_at(t_ms: int) -> Factor:
        return factors.lookup("CN-SC", "location", t_ms, as_of)

    entries = to_block(compute(rows, [PV], factor_at), rows, [PV], 1, SCOPE)
    assert entries.optional_ints("baseline_ng") == [None, 125_500_000, None, 3 * 125_500]
    sent = [decode_block(encode_block(b.kind, b.meta, b.columns)) for b in (rows.to_block(), entries)]
    assert Intervals.from_block(sent[0]) == rows
    assert recheck(*sent, factors=factors) is None


@pytest.mark.parametrize(
    ("column", "row", "value", "says"),
    [
        ("baseline_ng", 1, 140_400_001, "row 1: baseline_ng is 140400001, computed 140400000"),
        ("emitted_ng", 0, 1, "row 0: emitted_ng is 1, computed 0"),
        ("account", 3, 0, "row 3: account is 0, computed 2"),
        ("flags", 2, 1, "row 2: flags is 1, computed 0"),
    ],
)
def test_a_changed_entry_is_named(factors: FactorSet, column: str, row: int, value: int, says: str) -> None:
    rows = intervals(1000, 3)
    entries = to_block(
        compute(rows, [PV], lambda t_ms: factors.lookup("CN-SC", "location", t_ms, 2**50)),
        rows,
        [PV],
        1,
        SCOPE,
    )
    assert recheck(rows.to_block(), entries, factors=factors) is None
    entries.columns[column][row] = value
    assert recheck(rows.to_block(), entries, factors=factors) == says


def test_a_changed_factor_table_is_noticed(factors: FactorSet) -> None:
    rows = intervals(1000)
    entries = to_block(compute(rows, [GRID], lambda t_ms: factor(1)), rows, [GRID], 1, SCOPE)
    assert recheck(rows.to_block(), entries, factors=factors) == (
        "factor t/CN-SC/2022/location@1 is not in the factor table"
    )
