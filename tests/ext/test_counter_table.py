"""The bookkeeping of the counter table: registers apart, overflows, states, and what it refuses."""

from array import array

import pytest

from ext.counter_spec import CounterSpec
from ext.event_kind import EventKind as K
from ext.overflow import CounterOverflow

DAY = 86_400


def test_registers_are_kept_apart(core):
    table = core.CounterTable([CounterSpec(2**32, 1000, 1, 50_000, 60, 1, 0)] * 2)
    events = table.step(
        array("i", [0, 1, 0, 1]), array("q", [5, 50, 6, 52]), array("q", [0] * 4), array("q", [0, 0, 9, 9])
    )
    assert list(events.register) == [0, 1, 0, 1]
    assert list(events.energy_mWh) == [0, 0, 1000, 2000]
    assert len(events) == 4


def test_events_that_somebody_keeps_are_not_written_again(core):
    # The compiled table fills the events of its last step again, once nobody has them.
    table = core.CounterTable([CounterSpec(2**32, 1000, 1, 50_000, 60, 1, 0)] * 40)
    slots, ulps = array("i", range(40)), array("q", [0]) * 40

    def step(number):
        return table.step(slots, array("q", range(number, number + 40)), ulps, array("q", [1000 * number]) * 40)

    first = step(1)
    columns = {name: getattr(first, name) for name in type(first).__slots__}
    expected = {name: list(column) for name, column in columns.items()}
    second = step(2)
    assert {name: list(column) for name, column in columns.items()} == expected
    assert list(second.t1_ms) == [2000] * 40
    kept = second.energy_mWh  # one column is enough
    del second
    view = memoryview(step(3).raw_end)
    step(4)
    assert list(kept) == [1000] * 40
    assert list(view) == list(range(3, 43))
    addresses = set()
    for number in range(5, 9):
        events = step(number)
        addresses.add(events.t0_ms.buffer_info()[0])
        assert list(events.raw_begin) == list(range(number - 1, number + 39))
        del events
    assert len(addresses) == 1 or core.__name__ == "ext._twin"


def test_an_overflow_harms_its_own_reading_only(core):
    huge = CounterSpec(0, 10**12, 1, 10**9, 10**6, 1, 0)
    table = core.CounterTable([CounterSpec(0, 1000, 1, 50_000, 60, 1, 0), huge])
    zeros = array("q", [0] * 3)
    t1 = 2**52
    table.step(array("i", [0, 1]), array("q", [5, 5]), zeros[:2], array("q", [0, 0]))
    with pytest.raises(CounterOverflow) as caught:
        table.step(array("i", [1, 0, 1]), array("q", [5 + 10**8, 6, 6]), zeros, array("q", [t1, t1, t1]))
    assert caught.value.registers == (1,)
    assert caught.value.register == 1
    assert list(caught.value.events.register) == [0, 1]
    assert list(caught.value.events.energy_mWh) == [1000, 10**12]


def test_an_overflow_of_a_bound_leaves_the_jump_held(core):
    table = core.CounterTable([CounterSpec(0, 10**12, 1, 1, 1, 1, 0)])
    for t, raw in enumerate([0, 10**9, 10**9, 10**9]):
        table.step(array("i", [0]), array("q", [raw]), array("q", [0]), array("q", [1000 * t]))
    before = table.state(0)
    with pytest.raises(CounterOverflow):
        table.step(array("i", [0]), array("q", [10**9]), array("q", [0]), array("q", [4000]))
    assert table.state(0) == before
    assert table.held(0)


@pytest.mark.parametrize("raws", [[7], [7, 9000], [7, 9000, 9000], [9000, 7], [9000, 0, 1, 2]])
def test_a_state_goes_on_where_it_was_taken(meter, raws):
    m = meter().read_each(10, raws)
    m.table.reset_hint(0)
    state = m.table.state(0)
    assert state[0] == 1
    assert all(type(number) is int for number in state)
    other = meter()
    other.table.load(0, state)
    assert other.table.state(0) == state
    assert other.table.held(0) == m.table.held(0)
    for t in range(4):
        assert other.read(100 + t, 9001 + t) == m.read(100 + t, 9001 + t)
    assert other.table.state(0) == m.table.state(0)


def test_a_state_of_another_scale_is_a_swap(meter):
    m = meter(scale_num=10, scale_den=3).read_each(10, [100, 101])
    other = meter(scale_num=100)
    other.table.load(0, m.table.state(0))
    assert [e.kind for e in other.read(20, 1020)] == [K.SWAP]
    assert other.read(30, 1021)[0].energy_mWh == 100


def test_a_damaged_state_is_refused(meter):
    m = meter().read_each(10, [100, 101])
    state = m.table.state(0)
    old_booked = 21  # the only number that may be negative
    places = [place for place in range(1, len(state)) if place != old_booked]
    wrong = [(), state[:-1], (2, *state[1:]), (*state[:-1], 0.0)]
    wrong += [(*state[:place], -5, *state[place + 1 :]) for place in places]
    for damaged in wrong:
        with pytest.raises(ValueError, match="counter register 0"):
            m.table.load(0, damaged)
    assert m.table.state(0) == state


def test_questions_about_unknown_registers_are_refused(meter):
    m = meter()
    with pytest.raises(ValueError, match="counter register 0 has no state"):
        m.table.state(0)
    for ask in ("swap", "reset_hint", "held", "settled_ms", "has_state", "state"):
        for register in (-1, 1):
            with pytest.raises(IndexError, match="no counter register"):
                getattr(m.table, ask)(register)
    with pytest.raises(IndexError):
        m.table.load(1, ())


def test_a_wrong_batch_is_refused_before_anything_is_taken(core):
    table = core.CounterTable([CounterSpec(2**32, 1000, 1, 50_000, 60, 1, 0)])
    i, q = array("i", [0, 0]), array("q", [1, 2])
    for registers, raws, error in (
        (q, q, TypeError),
        (i, i, TypeError),
        ([0, 0], q, TypeError),
        (i, q[:1], ValueError),
        (array("i", [0, 1]), q, IndexError),
        (array("i", [0, -1]), q, IndexError),
    ):
        with pytest.raises(error):
            table.step(registers, raws, array("q", [0, 0]), array("q", [1, 2]))
    for late in (-1, 2**53):
        with pytest.raises(ValueError, match="time"):
            table.step(i, q, array("q", [0, 0]), array("q", [1, late]))
    assert not table.has_state(0)


@pytest.mark.parametrize(
    "change",
    [
        {"modulus": -1},
        {"modulus": 2**64 + 1},
        {"scale_num": 0},
        {"scale_den": 10**12 + 1},
        {"p_max_W": -1},
        {"refresh_s": 10**7},
        {"jitter": -1},
        {"policy": 3},
        {"cycle_start_s": DAY},
    ],
)
def test_a_spec_beyond_the_limits_is_refused_by_name(meter, change):
    (name,) = change
    with pytest.raises(ValueError, match=f"counter register 0: {name}"):
        meter(**change)


def test_the_largest_modulus_is_exact(meter):
    # No count of a 64-bit register that the gateway can hold is within reach of the turn.
    m = meter(modulus=2**64, p_max_W=10**9, refresh_s=10**6, scale_num=1).read_each(10, [2**63 - 1])
    assert m.read(20, 5) == []
    assert m.table.held(0)
