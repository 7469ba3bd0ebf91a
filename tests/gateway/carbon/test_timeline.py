"""Timeline: energy laid over time, exactly, whatever is cut and closed in between."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.carbon.intervals import Bounds
from gateway.carbon.metering.span import Span
from gateway.carbon.metering.timeline import Row, Timeline
from gateway.store.row_class import RowClass

MIN = 60_000


def timeline(*cuts: int) -> Timeline:
    return Timeline(5 * MIN, lambda t0, t1: [cut for cut in cuts if t0 < cut < t1])


def taken(line: Timeline) -> list[Row]:
    """Closes and takes what can be."""
    line.close()
    return line.take()


def shape(rows: list[Row]) -> list[tuple[int, int, int]]:
    return [(row.t0_ms // MIN, row.t1_ms // MIN, row.energy_mWh) for row in rows]


def test_i07_energy_is_cut_where_factors_change() -> None:
    half_hour = Timeline(30 * MIN, lambda t0, t1: [cut for cut in (10 * MIN,) if t0 < cut < t1])
    half_hour.book(Span(0, 30 * MIN, 1000))
    energies = [row.energy_mWh for row in taken(half_hour)]
    assert energies == [333, 667]
    products = [energy * factor for energy, factor in zip(energies, (140_400, 500_000), strict=True)]
    assert (products, sum(products)) == ([46_753_200, 333_500_000], 380_253_200)


def test_i08_another_cut_moves_no_border() -> None:
    finer = Timeline(30 * MIN, lambda t0, t1: [cut for cut in (10 * MIN, 20 * MIN) if t0 < cut < t1])
    finer.book(Span(0, 30 * MIN, 1000))
    assert [row.energy_mWh for row in taken(finer)] == [333, 333, 334]


def test_rows_grow_to_the_grid_line_and_know_their_counts() -> None:
    line = timeline()
    line.book(Span(1 * MIN, 3 * MIN, 20, raw_begin=100, raw_end=120))
    line.book(Span(3 * MIN, 7 * MIN, 40, raw_begin=120, raw_end=160))
    line.book(Span(7 * MIN, 10 * MIN, 5, raw_begin=160, raw_end=165))
    rows = taken(line)
    assert shape(rows) == [(1, 5, 40), (5, 10, 25)]
    # At the grid line the last accepted count was 120.
    assert [(row.raw_begin, row.raw_end) for row in rows] == [(100, 120), (120, 165)]


def test_a_step_is_shared_between_closed_and_open_rows() -> None:
    line = timeline()
    for minute in range(12):
        line.book(Span(minute * MIN, (minute + 1) * MIN, 0, raw_begin=7, raw_end=7))
    assert shape(taken(line)) == [(0, 5, 0), (5, 10, 0)]
    step = Span(0, 15 * MIN, 100, raw_begin=7, raw_end=107)
    line.book(step)
    # Cumulative floor over all fifteen minutes; the border of the open row at minute 12 does not show.
    assert shape(taken(line)) == [(10, 15, 34)]
    (reach,) = line.take_reaches()
    assert reach == (step, 10 * MIN)
    assert line.pieces(reach) == [(0, 5 * MIN, 33), (5 * MIN, 10 * MIN, 33)]
    assert line.take_reaches() == []


def test_what_is_closed_does_not_depend_on_when_it_is_taken() -> None:
    line = timeline()
    for minute in range(12):
        line.book(Span(minute * MIN, (minute + 1) * MIN, 0, raw_begin=7, raw_end=7))
        line.close()
    line.book(Span(0, 15 * MIN, 100, raw_begin=7, raw_end=107))
    assert shape(taken(line)) == [(0, 5, 0), (5, 10, 0), (10, 15, 34)]
    assert len(line.take_reaches()) == 1


def test_a_span_that_replaces_clears_open_rows_and_names_the_closed_ones() -> None:
    line = timeline()
    line.book(Span(0, 3 * MIN, 30, epoch=1))
    line.book(Span(3 * MIN, 6 * MIN, 600, epoch=2))
    line.close()
    line.book(Span(6 * MIN, 8 * MIN, 900, epoch=2))
    line.book(Span(3 * MIN, 10 * MIN, 70, epoch=3, replaces=True))
    assert shape(taken(line)) == [(0, 3, 30), (3, 5, 400), (5, 10, 50)]
    (reach,) = line.take_reaches()
    assert line.pieces(reach) == [(3 * MIN, 5 * MIN, 20)]


def test_class_and_epoch_cut_rows_and_keep_energy_to_themselves() -> None:
    line = timeline()
    line.book(Span(0, 1 * MIN, 10))
    line.book(Span(1 * MIN, 2 * MIN, 0, row_class=RowClass.MISSING))
    line.book(Span(2 * MIN, 3 * MIN, 30))
    line.book(Span(3 * MIN, 4 * MIN, 40, epoch=2))
    line.book(Span(0, 5 * MIN, 7, epoch=2))  # reaches back further than its epoch
    assert shape(taken(line)) == [(0, 1, 10), (1, 2, 0), (2, 3, 30), (3, 5, 47)]


def test_time_of_which_nobody_speaks_is_missing() -> None:
    line = timeline()
    line.book(Span(0, 1 * MIN, 10))
    line.book(Span(3 * MIN, 5 * MIN, 10))
    rows = taken(line)
    assert shape(rows) == [(0, 1, 10), (1, 3, 0), (3, 5, 10)]
    assert rows[1].row_class == RowClass.MISSING


def test_flags_and_bounds_stay_with_their_rows() -> None:
    line = timeline()
    bounds = Bounds(0, 7 * MIN, 0, 9)
    line.book(Span(0, 7 * MIN, 0, flags=4, row_class=RowClass.SUSPECT, bounds=bounds))
    line.book(Span(7 * MIN, 10 * MIN, 5, flags=1))
    rows = taken(line)
    assert [row.flags for row in rows] == [4, 4, 1]
    assert [row.bounds for row in rows] == [[], [bounds], []]


SPANS = st.lists(
    st.tuples(
        st.integers(1, 40 * MIN),  # length
        st.integers(0, 10**9),  # energy
        st.integers(0, 30 * MIN),  # how far it reaches back
        st.sampled_from([RowClass.MEASURED, RowClass.MEASURED, RowClass.SUSPECT]),
        st.booleans(),  # close after it
        st.booleans(),  # reload after it
    ),
    max_size=12,
)


@given(SPANS, st.sets(st.integers(1, 200 * MIN), max_size=5))
def test_no_energy_is_lost_and_no_moment_is_covered_twice(
    spans: list[tuple[int, int, int, RowClass, bool, bool]], cuts: set[int]
) -> None:
    line = timeline(*sorted(cuts))
    now, booked, closed, late = 0, 0, [], 0

    def take() -> None:
        nonlocal late
        closed.extend(line.take())
        late += sum(piece.energy_mWh for reach in line.take_reaches() for piece in line.pieces(reach))

    for length, energy, back, row_class, is_closed, is_reloaded in spans:
        t0, now = max(0, now - back), now + length
        booked += energy
        line.book(Span(t0, now, energy, row_class=row_class))
        if is_closed:
            line.close()
        if is_reloaded:
            take()
            state = json.loads(json.dumps(line.to_state()))
            line = timeline(*sorted(cuts))
            line.load(state)
    rest = 5 * MIN - now % (5 * MIN)
    line.book(Span(now, now + rest, 0))
    line.close()
    take()
    assert sum(row.energy_mWh for row in closed) + late == booked
    assert [row.t0_ms for row in closed] == [0, *(row.t1_ms for row in closed)][: len(closed)]
    assert closed[-1].t1_ms == now + rest
    for row in closed:
        assert row.t0_ms // (5 * MIN) == (row.t1_ms - 1) // (5 * MIN)
        assert not any(row.t0_ms < cut < row.t1_ms for cut in cuts)
