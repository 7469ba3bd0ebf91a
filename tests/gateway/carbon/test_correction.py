"""Corrections: what a late finding makes of the rows in force."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.carbon.intervals import Intervals, RegisterName
from gateway.carbon.metering.correction import ACCEPTED, RECOVERED, STEP, Correction, Piece, corrected
from gateway.carbon.metering.span import Span
from gateway.store.flag import Flag
from gateway.store.ledger.live import LiveRow
from gateway.store.row_class import RowClass, RowKind

MIN = 60_000
NAME = RegisterName("m", "energy", "import")


def live(
    t0_min: float, t1_min: float, energy_mWh: int | None, epoch: int = 1, row_class: RowClass = RowClass.MEASURED
) -> LiveRow:
    return LiveRow(
        device="m",
        register="energy",
        flow="import",
        epoch=epoch,
        t0_ms=int(t0_min * MIN),
        t1_ms=int(t1_min * MIN),
        energy_mWh=energy_mWh,
        raw_begin=10,
        raw_end=20,
        row_class=row_class,
        flags=int(Flag.JITTER),
        kind=RowKind.NORMAL,
        run=None,
        seq=1,
        row=0,
        entries=[],
    )


def correction(reason: str, *pieces: tuple[float, float, int], epoch: int = 1, until_min: float = 0) -> Correction:
    shares = [Piece(int(t0 * MIN), int(t1 * MIN), energy) for t0, t1, energy in pieces]
    end_ms = int(until_min * MIN) or shares[-1].t1_ms
    energy = sum(piece.energy_mWh for piece in shares)
    span = Span(shares[0].t0_ms, end_ms, energy, raw_begin=20, raw_end=90, flags=Flag.INTERP_PROFILE, epoch=epoch)
    return Correction(NAME, reason, span, shares)


def rows(intervals: Intervals) -> list[tuple[int, float, float, int | None]]:
    times = zip(intervals.kind, intervals.t0_ms, intervals.t1_ms, intervals.energy_mWh, strict=True)
    return [(kind, t0 / MIN, t1 / MIN, energy) for kind, t0, t1, energy in times]


def test_a_late_step_is_added_to_the_rows_in_force() -> None:
    before = [live(0, 5, 100), live(5, 10, 0), live(10, 15, 7)]
    found, taken_back = corrected(correction(STEP, (3, 5, 40), (5, 10, 100), until_min=12), before)
    assert rows(found) == [(1, 0, 5, -100), (2, 0, 5, 140), (1, 5, 10, 0), (2, 5, 10, 100)]
    assert taken_back == {0: before[0], 2: before[1]}
    assert found.flags == [Flag.JITTER, Flag.JITTER | Flag.INTERP_PROFILE] * 2
    assert (found.raw_begin, found.raw_end) == ([10] * 4, [20] * 4)
    assert found.correction is not None
    assert found.correction.reversed == [(0, 0, None), (2, 0, None)]
    assert found.correction.run == f"step/m/energy/{12 * MIN}"


def test_a_recovery_replaces_every_row_since_the_false_reset() -> None:
    before = [live(0, 3, 30), live(3, 5, 600, epoch=2), live(5, 10, 900, epoch=2), live(10, 15, 5, epoch=3)]
    found, _ = corrected(correction(RECOVERED, (3, 5, 20), (5, 10, 50), epoch=3), before)
    assert rows(found) == [(1, 3, 5, -600), (2, 3, 5, 20), (1, 5, 10, -900), (2, 5, 10, 50)]
    assert found.epoch == [2, 3, 2, 3]
    assert (found.raw_begin[-1], found.raw_end[-1]) == (20, 90)


def test_a_piece_that_lies_across_rows_is_cut_at_their_borders() -> None:
    before = [live(0, 4, 0, row_class=RowClass.SUSPECT), live(4, 5, 0, row_class=RowClass.SUSPECT)]
    found, _ = corrected(correction(ACCEPTED, (0, 5, 1001)), before)
    assert rows(found) == [(1, 0, 4, 0), (2, 0, 4, 800), (1, 4, 5, 0), (2, 4, 5, 201)]
    assert [RowClass(number) for number in found.row_class] == [RowClass.SUSPECT, RowClass.MEASURED] * 2


def test_what_has_no_row_any_more_becomes_one() -> None:
    """The rows were pruned: the energy is stated all the same."""
    found, taken_back = corrected(correction(STEP, (0, 5, 40), (5, 10, 60)), [live(5, 10, 1)])
    assert rows(found) == [(2, 0, 5, 40), (1, 5, 10, -1), (2, 5, 10, 61)]
    assert list(taken_back) == [1]


def test_a_missing_row_that_turns_out_measured() -> None:
    found, _ = corrected(correction(STEP, (0, 5, 40)), [live(0, 5, None, row_class=RowClass.MISSING)])
    assert rows(found) == [(1, 0, 5, None), (2, 0, 5, 40)]


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 10**9)), min_size=1, max_size=8),
    st.lists(st.integers(0, 10**9), min_size=1, max_size=6),
    st.integers(0, 20),
    st.sampled_from([STEP, RECOVERED]),
)
def test_property_02_the_energy_of_a_correction_is_what_it_brings_less_what_falls(
    lengths: list[tuple[int, int]], energies: list[int], first: int, reason: str
) -> None:
    before: list[LiveRow] = []
    at = 0
    for length, energy in lengths:
        before.append(live(at, at + length, energy))
        at += length
    pieces = [(first + n, first + n + 1, energy) for n, energy in enumerate(energies)]
    found, taken_back = corrected(correction(reason, *pieces), before)
    fallen = sum(row.energy_mWh or 0 for row in taken_back.values())
    brought = sum(energies) + (fallen if reason == STEP else 0)
    assert sum(energy or 0 for energy in found.energy_mWh) == brought - fallen
    # Nothing overlaps among the rows in force afterwards.
    kept = [row for row in before if row not in taken_back.values()]
    stated = [
        (t0, t1)
        for kind, t0, t1 in zip(found.kind, found.t0_ms, found.t1_ms, strict=True)
        if kind == RowKind.RESTATEMENT
    ]
    spans = sorted([*stated, *((row.t0_ms, row.t1_ms) for row in kept)])
    if reason == STEP:
        assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
