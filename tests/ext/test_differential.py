"""The compiled core against the plain twin on adversarial inputs: results, states and errors are the same."""

import math
import os
from array import array
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext import _twin as twin
from ext.counter_spec import CounterSpec
from ext.event_kind import EventKind
from ext.overflow import CounterOverflow, PowerOverflow
from ext.point_spec import PointSpec
from ext.point_type import PointType
from tests.ext.acts import LIVES, SPECS, Life

if os.environ.get("HUXI_PURE_PYTHON") == "1":
    pytest.skip("there is no second twin", allow_module_level=True)

from ext import _core as core
from tests.scale import scaled

INT64 = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), -(2**63) + 1, -1, 0, 1, 2**63 - 1])


def outcome(function, *arguments):
    """What came of a call: the result, or the kind of error and the row that it names."""
    try:
        return function(*arguments)
    except (ValueError, OverflowError, IndexError, TypeError) as error:
        return type(error), getattr(error, "row", None), "row" in str(error) and str(error)


def columns(events):
    return {name: list(getattr(events, name)) for name in type(events).__slots__}


def stepped(table, *batch):
    """Events of a step, and the registers that overflowed."""
    try:
        return columns(table.step(*batch)), ()
    except (CounterOverflow, PowerOverflow) as error:
        return columns(error.events), error.registers


@settings(max_examples=scaled(333, 20000), deadline=None)
@given(st.lists(SPECS, min_size=2, max_size=2), LIVES, st.integers(1, 7))
def test_counter_tables_agree(specs, acts, batch_size):
    ours, theirs = twin.CounterTable(specs), core.CounterTable(specs)
    life, batch = Life(specs), []

    def flush():
        data = [array(code, [row[i] for row in batch]) for i, code in enumerate("iqqq")]
        batch.clear()
        assert stepped(ours, *data) == stepped(theirs, *data)
        for register in (0, 1):
            assert ours.has_state(register) is theirs.has_state(register)
            assert ours.held(register) is theirs.held(register)
            assert ours.settled_ms(register) == theirs.settled_ms(register)
            if ours.has_state(register):
                assert ours.state(register) == theirs.state(register)

    for what, register, *how in acts:
        if what == "read":
            batch.append(life.read(register, *how))
            if len(batch) == batch_size:
                flush()
            continue
        flush()
        if what == "reload":
            if ours.has_state(register):  # each goes on from what the other one kept
                state = ours.state(register)
                ours.load(register, theirs.state(register))
                theirs.load(register, state)
        else:
            getattr(ours, what)(register)
            getattr(theirs, what)(register)
    flush()


def walk(random: Random, spec: CounterSpec, length: int) -> Iterator[tuple[int, int]]:
    """Times and raw counts of a counter that mostly behaves."""
    t, base = 10**9, random.choice([0, 10, 1000, 60_000])
    for _ in range(length):
        t += random.choice([-5000, 10**10] if random.random() < 0.01 else [1000, 10_000, 300_000, 3_600_000])
        within = spec.p_max_W * 360 * spec.scale_den // (3 * spec.scale_num)
        chance = random.random()
        if chance < 0.04:
            base = random.choice([0, 1, 5])
        elif chance < 0.6:
            base += random.randint(0, max(1, min(within, 10**6)) * random.choice([1, 1, 1, 10]))
        base %= spec.modulus or 2**62
        wrong = [0, base + 65_536, base + 2**31, base - 1, base - 3, -1, 32_768, max(0, base - 5000)]
        yield t, random.choice(wrong) if random.random() < 0.15 else base


@pytest.mark.slow
def test_long_walks_agree_and_reach_every_kind():
    random = Random(20250601)
    kinds = set()
    for _ in range(500):
        spec = CounterSpec(
            modulus=random.choice([0, 65_536, 10**6, 2**32, 2**64]),
            scale_num=random.choice([1, 1000, 100_000]),
            scale_den=random.choice([1, 3]),
            p_max_W=random.choice([100, 50_000]),
            refresh_s=random.choice([1, 60]),
            jitter=1,
            policy=random.choice([0, 0, 1, 2]),
            cycle_start_s=random.choice([-1, 57_600]),
        )
        ours, theirs = twin.CounterTable([spec]), core.CounterTable([spec])
        for t, raw in walk(random, spec, 80):
            for act in ("reset_hint", "swap"):
                if random.random() < 0.02:
                    getattr(ours, act)(0)
                    getattr(theirs, act)(0)
            batch = [array("i", [0]), *(array("q", [number]) for number in (raw, 0, t))]
            made = stepped(ours, *batch)
            assert made == stepped(theirs, *batch)
            assert outcome(ours.state, 0) == outcome(theirs.state, 0)
            kinds.update(made[0]["kind"])
    assert kinds == set(EventKind)


SAMPLES = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from([-(10**12), -1, 0, 1, 10**12, 10**12 + 1, -(2**63)]) | st.integers(-(10**7), 10**7),
        st.sampled_from([0, 1, 1000, 10_000, 300_000, 3_600_000, 86_400_000, 10**10, 2**52]),
    ),
    max_size=30,
)


@settings(max_examples=scaled(100, 6000), deadline=None)
@given(st.tuples(*[st.sampled_from([0, 1000, 300_000, 2**32])] * 2), SAMPLES)
def test_power_tables_agree(gaps, samples):
    ours, theirs = twin.PowerTable(gaps), core.PowerTable(gaps)
    t, rows = 0, []
    for register, power, dt in samples:
        t = min(t + dt, 2**53 - 1)
        rows.append((register, power, t))
    data = [array(code, [row[i] for row in rows]) for i, code in enumerate("iqq")]
    assert stepped(ours, *data) == stepped(theirs, *data)
    for register in (0, 1):
        assert outcome(ours.state, register) == outcome(theirs.state, register)
        if ours.has_state(register):
            state = ours.state(register)
            theirs.load(register, state)
            assert theirs.state(register) == state


@given(INT64, st.integers(-1, 2**53), st.integers(-1, 2**53), st.lists(st.integers(0, 2**53), max_size=5))
def test_apportioning_agrees(energy, t0, t1, cuts):
    cuts.sort()
    assert outcome(twin.apportion, energy, t0, t1, cuts) == outcome(core.apportion, energy, t0, t1, cuts)


@given(st.lists(INT64), INT64 | st.integers(-(2**70), 2**70))
def test_products_agree(amounts, factor):
    column = array("q", amounts)
    assert outcome(twin.multiply, column, factor) == outcome(core.multiply, column, factor)


SMALL = st.integers(-3, 30)
STARTS = st.sets(SMALL | INT64, max_size=6).map(sorted)


@settings(max_examples=scaled(133, 8000))
@given(st.lists(st.tuples(SMALL | INT64, SMALL | INT64), max_size=20), STARTS, st.data())
def test_carbon_agrees(rows, starts, data):
    values = data.draw(st.lists(SMALL | INT64, min_size=len(starts), max_size=len(starts)))
    amounts, times = [array("q", [row[i] for row in rows]) for i in (0, 1)]
    factors = array("q", starts), array("q", values)
    for name in ("carbon", "deltas"):
        arguments = (amounts, times, *factors)
        assert outcome(getattr(twin, name), *arguments) == outcome(getattr(core, name), *arguments)


@given(INT64 | st.integers(-(2**70), 2**70), st.lists(INT64 | st.integers(0, 9), max_size=8))
def test_allocations_agree(amount, weights):
    assert outcome(twin.allocate, amount, weights) == outcome(core.allocate, amount, weights)
    column = array("q", weights)
    assert outcome(twin.allocate, amount, column) == outcome(core.allocate, amount, column)


@given(*[INT64 | st.integers(-20, 20) | st.integers(-(2**70), 2**70)] * 3)
def test_ratios_agree(amount, num, den):
    assert outcome(twin.ratio, amount, num, den) == outcome(core.ratio, amount, num, den)


SCALES = st.integers(1, 10**12) | st.sampled_from([1, 1000, 10**6, 10**12])


@settings(max_examples=scaled(166, 10000))
@given(st.integers(0, 2**64 - 1), st.sampled_from([32, 64]), SCALES, SCALES, st.booleans())
def test_canonical_floats_agree(bits, width, num, den, negative):
    bits %= 1 << width
    arguments = (bits, width, -num if negative else num, den)
    assert outcome(twin.float_canonical, *arguments) == outcome(core.float_canonical, *arguments)


BLOCK = 8
POINTS = st.builds(
    PointSpec,
    index=st.integers(0, 5),
    offset=st.integers(0, BLOCK - 4),
    type=st.sampled_from(PointType),
    little_words=st.booleans(),
    little_bytes=st.booleans(),
    absolute=st.booleans(),
    scale_num=st.sampled_from([1, -1, 10, 10**12]),
    scale_den=st.sampled_from([1, 3, 100, 10**12]),
    add_num=st.sampled_from([0, -40, 1000]),
    add_den=st.sampled_from([1, 3]),
    sentinels=st.sampled_from([(), (0,), (0xFFFF,), (0x8000, 0x7FFF)]),
    valid_min=st.sampled_from([-math.inf, 0.0]),
    valid_max=st.sampled_from([math.inf, 1e5]),
    exponent_offset=st.integers(-1, BLOCK - 1),
    canon_num=st.sampled_from([0, 1, -1000, 10**12]),
    canon_den=st.sampled_from([1, 7, 10**12]),
    tail_offset=st.just(-1),
    decimals=st.booleans(),
)
SPLITS = st.builds(
    lambda spec, tail: spec._replace(tail_offset=tail if PointType(spec.type).registers > 1 else -1),
    POINTS,
    st.integers(-1, BLOCK - 2),
)
WORDS = st.integers(0, 0xFFFF) | st.sampled_from([0, 1, 3, 0xFFFE, 0xFFFF, 0x7FFF, 0x8000, 0x7F80, 0x7FF0, 0x3F80])


@settings(max_examples=scaled(266, 16000), deadline=None)
@given(st.lists(POINTS | SPLITS, max_size=6), st.lists(WORDS, min_size=BLOCK, max_size=BLOCK))
def test_decoders_agree_to_the_bit(specs, words):
    data = b"".join(word.to_bytes(2, "big") for word in words)
    results = []
    for implementation in (twin, core):
        cells = [array(code, [7] * 6) for code in "dqbqB"]
        implementation.BlockDecoder(specs, BLOCK).decode(data, *cells)
        results.append([cell.tobytes() for cell in cells])
    # Bytes, because NaN is not equal to itself.
    assert results[0] == results[1]
