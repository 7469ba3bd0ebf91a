"""The power integral of carbon-method.md, section 4."""

from array import array
from itertools import pairwise

import pytest

from ext.overflow import PowerOverflow


def samples(core, *rows, max_gap_ms=300_000):
    table = core.PowerTable([max_gap_ms])
    power, t_ms = zip(*rows, strict=True)
    return table, table.step(array("i", [0] * len(rows)), array("q", power), array("q", t_ms))


def test_the_first_sample_covers_nothing(core):
    table, events = samples(core, (5000, 70))
    assert (events.t0_ms[0], events.t1_ms[0], events.import_mWh[0], events.missing[0]) == (70, 70, 0, 0)
    assert table.has_state(0)
    assert len(events) == 1


def test_the_carry_makes_a_long_series_exact(core):
    # 1 W for an hour, sampled each second: every second is 0.2777… mWh.
    _, events = samples(core, *[(1000, 1000 * t) for t in range(3601)])
    assert sum(events.import_mWh) == 1000
    assert set(events.import_mWh) == {0, 1}


def test_negative_power_is_export(core):
    _, events = samples(core, (-3_600_000, 0), (-3_600_000, 1000))
    assert list(events.export_mWh) == [0, 1000]
    assert list(events.import_mWh) == [0, 0]


def test_a_crossing_is_the_mirror_image_the_other_way(core):
    _, events = samples(core, (-300_000, 0), (600_000, 90_000))
    assert (events.import_mWh[1], events.export_mWh[1]) == (5000, 1250)


def test_the_net_of_crossings_is_exact(core):
    rows = [(power, 777 * i) for i, power in enumerate([5, -7, 11, -13, 1, 0, -1, 999_999, -1_000_001] * 50)]
    table, events = samples(core, *rows)
    net = sum((a[0] + b[0]) * 777 for a, b in pairwise(rows))
    booked = 7_200_000 * (sum(events.import_mWh) - sum(events.export_mWh))
    _, _, _, import_carry, export_carry = table.state(0)
    assert booked + import_carry - export_carry == net


def test_a_gap_books_nothing_and_the_carry_survives(core):
    table, events = samples(core, (1000, 0), (1000, 1000), (1000, 302_000), (1000, 303_000))
    assert list(events.missing) == [0, 0, 1, 0]
    assert sum(events.import_mWh) == 0
    assert table.state(0)[3] == 2 * 2_000_000


def test_a_sample_that_is_not_later_is_dropped(core):
    _, events = samples(core, (1000, 10), (9000, 10), (9000, 5), (1000, 20))
    assert list(events.t1_ms) == [10, 20]


def test_a_sample_beyond_a_gigawatt_harms_nobody_else(core):
    table = core.PowerTable([1000, 1000])
    with pytest.raises(PowerOverflow) as caught:
        table.step(array("i", [0, 1]), array("q", [10**12 + 1, 5]), array("q", [0, 0]))
    assert caught.value.register == 0
    assert list(caught.value.events.register) == [1]
    assert not table.has_state(0)
    assert table.has_state(1)


def test_a_state_goes_on_where_it_was_taken(core):
    table, _ = samples(core, (1234, 0), (-777, 1000))
    state = table.state(0)
    other = core.PowerTable([300_000])
    other.load(0, state)
    assert other.state(0) == state
    batch = (array("i", [0]), array("q", [987_654_321]), array("q", [2000]))
    assert list(other.step(*batch).import_mWh) == list(table.step(*batch).import_mWh)


def test_wrong_states_registers_and_gaps_are_refused(core):
    table, _ = samples(core, (1, 0))
    state = table.state(0)
    for damaged in ((), state[:-1], (2, *state[1:]), (*state[:-1], 7_200_000), (*state[:-1], 1.0)):
        with pytest.raises(ValueError, match="power register 0"):
            table.load(0, damaged)
    with pytest.raises(IndexError):
        table.state(1)
    with pytest.raises(ValueError, match="power register 0 has no state"):
        core.PowerTable([1]).state(0)
    with pytest.raises(ValueError, match="power register 1: max_gap_ms"):
        core.PowerTable([1, -1])
    with pytest.raises(IndexError):
        table.step(array("i", [1]), array("q", [1]), array("q", [1]))
