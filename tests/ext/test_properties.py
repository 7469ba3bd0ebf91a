"""Properties that a ledger rests on: nothing is lost or booked twice, cuts do not move each other."""

from array import array
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.counter_spec import CounterSpec
from ext.event_kind import EventKind as K

PERIOD_MS = 300_000


def fed(core, spec, raws, batches):
    """Events of raw counts read each five minutes, in batches of the given sizes."""
    table = core.CounterTable([spec])
    rows = []
    readings = list(enumerate(raws))
    while readings:
        size = next(batches, len(readings))
        batch, readings = readings[:size], readings[size:]
        events = table.step(
            array("i", [0] * len(batch)),
            array("q", [raw for _, raw in batch]),
            array("q", [0] * len(batch)),
            array("q", [i * PERIOD_MS for i, _ in batch]),
        )
        rows += zip(events.kind, events.t0_ms, events.t1_ms, events.energy_mWh, strict=True)
    return rows


# A counter of 0.1 kWh behind 50 kW may rise by 60 in five minutes; batches are any split.
RISES = st.lists(st.integers(0, 60), min_size=1, max_size=60)
SPLITS = st.lists(st.integers(1, 9), max_size=30)


@settings(deadline=None)
@given(RISES, st.integers(0, 65_535), SPLITS, st.sampled_from([(100_000, 1), (100_000, 7), (299_999, 3)]))
def test_a_growing_counter_is_booked_in_full_through_every_wrap(core, rises, start, splits, scale):
    spec = CounterSpec(65_536, *scale, 50_000, 60, 1, 0)
    raws = [start]
    for rise in rises:
        raws.append((raws[-1] + rise) % 65_536)
    rows = fed(core, spec, raws, iter(splits))
    assert sum(energy for *_, energy in rows) == sum(rises) * scale[0] // scale[1]
    assert {kind for kind, *_ in rows} <= {K.FIRST, K.OK, K.WRAP}
    assert all(before[2] == after[1] for before, after in pairwise(rows))
    assert rows == fed(core, spec, raws, iter([]))


@settings(deadline=None)
@given(RISES, st.sets(st.integers(2, 59)), st.sampled_from([0, 3, 2_000_000, 2**31]), SPLITS)
def test_single_wrong_readings_change_no_total(core, rises, wrong, value, splits):
    spec = CounterSpec(2**32, 100_000, 1, 50_000, 60, 1, 0)
    raws = [500_000]
    for rise in rises:
        raws.append(raws[-1] + rise)
    lonely = {place for place in wrong if place - 1 not in wrong and place < len(raws) - 1}
    seen = [value if place in lonely else raw for place, raw in enumerate(raws)]
    rows = fed(core, spec, seen, iter(splits))
    assert sum(energy for *_, energy in rows) == sum(rises) * 100_000
    assert sum(kind == K.GLITCH for kind, *_ in rows) == len(lonely)


@settings(deadline=None)
@given(RISES, st.integers(1, 50), st.lists(st.integers(1, 20), min_size=2, max_size=20))
def test_a_false_reset_changes_no_total(core, rises, at, low):
    spec = CounterSpec(2**32, 100_000, 1, 50_000, 60, 1, 0)
    raws = [500_000]
    for rise in rises:
        raws.append(raws[-1] + rise)
    at = min(at, len(raws))
    dip = [0] + [sum(low[: n + 1]) for n in range(len(low))]
    rows = fed(core, spec, raws[:at] + dip + raws[at:] + [raws[-1]], iter([]))
    assert sum(energy for *_, energy in rows) == sum(rises) * 100_000
    assert [kind for kind, *_ in rows].count(K.RECOVERED) == 1


@settings(deadline=None)
@given(st.lists(st.integers(0, 250), min_size=1, max_size=40), st.integers(2, 10))
def test_a_slow_register_is_booked_in_full(core, rises, slowness):
    # The register shows its new value only each `slowness` readings; the last value is read twice more.
    spec = CounterSpec(2**32, 1_000, 1, 500, 60, 1, 0)
    rises = [min(rise, 60) for rise in rises]
    raws = [7]
    for rise in rises:
        raws += [raws[-1]] * (slowness - 1) + [raws[-1] + rise]
    rows = fed(core, spec, [*raws, raws[-1], raws[-1]], iter([]))
    assert sum(energy for *_, energy in rows) == sum(rises) * 1_000
    assert {kind for kind, *_ in rows} <= {K.FIRST, K.OK, K.STEP}


@given(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**52),
    st.integers(1, 2**40),
    st.sets(st.integers(0, 2**40), max_size=6),
    st.integers(0, 2**40),
)
def test_shares_add_up_and_a_further_cut_moves_no_border(core, energy, t0, span, places, extra):
    cuts = sorted({t0 + place for place in places if 0 < place < span})
    shares = core.apportion(energy, t0, t0 + span, cuts)
    assert len(shares) == len(cuts) + 1
    assert sum(shares) == energy
    assert all(share * energy >= 0 for share in shares)
    cut = t0 + extra % span
    if cut == t0 or cut in cuts:
        return
    place = sum(known < cut for known in cuts)
    finer = core.apportion(energy, t0, t0 + span, sorted([*cuts, cut]))
    assert finer[:place] == shares[:place]
    assert finer[place] + finer[place + 1] == shares[place]
    assert finer[place + 2 :] == shares[place + 1 :]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-(10**9), 10**9), st.integers(1, 300_000)), min_size=2, max_size=40))
def test_the_net_power_integral_is_exact_to_the_carry(core, samples):
    table = core.PowerTable([300_000])
    power = [p for p, _ in samples]
    times = [sum(dt for _, dt in samples[: i + 1]) for i in range(len(samples))]
    events = table.step(array("i", [0] * len(power)), array("q", power), array("q", times))
    net = sum((a + b) * (t1 - t0) for (a, t0), (b, t1) in pairwise(zip(power, times, strict=True)))
    _, _, _, import_carry, export_carry = table.state(0)
    booked = sum(events.import_mWh) - sum(events.export_mWh)
    assert 7_200_000 * booked + import_carry - export_carry == net
    assert min(*events.import_mWh, *events.export_mWh) >= 0
    assert 0 <= import_carry < 7_200_000
    assert 0 <= export_carry < 7_200_000


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_registers_may_be_interleaved_in_any_way(core, order):
    spec = CounterSpec(2**32, 1000, 1, 50_000, 60, 1, 0)
    raws = {0: [5, 9, 2**20, 11], 1: [100, 0, 101, 102]}
    table = core.CounterTable([spec, spec])
    made = {0: [], 1: []}
    for i in range(4):
        batch = [raws[register][i] for register in order]
        events = table.step(array("i", order), array("q", batch), array("q", [0, 0]), array("q", [i * 10_000] * 2))
        for register, kind, energy in zip(events.register, events.kind, events.energy_mWh, strict=True):
            made[register].append((K(kind), energy))
    assert made == {
        0: [(K.FIRST, 0), (K.OK, 4000), (K.GLITCH, 2000)],
        1: [(K.FIRST, 0), (K.AMBIGUOUS, 1000), (K.OK, 1000)],
    }
