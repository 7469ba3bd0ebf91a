"""Undated: few entries with all of the energy, whole after a kill, and bounded whatever a register says."""

import math
from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.device import Reading
from ext import CounterTable, EventKind, Quality
from gateway.carbon.metering import trace
from gateway.carbon.metering.trace import Power
from gateway.carbon.metering.undated import Undated
from tests.gateway.carbon.small_site import COUNTER, COUNTERS, MIN, POWER
from tests.scale import scaled

SPECS = [COUNTERS[0], POWER]
A, P = ("m", "a"), ("m", "p")


def new(boot: str = "now") -> Undated:
    return Undated(SPECS, 5 * MIN, boot)


def reading(raw: int | None, power_mW: int | None) -> Reading:
    """The counter, a column that nothing reads, and the power."""
    values = [raw, None, power_mW]
    return Reading(
        device="m",
        mono_ns=0,
        values=array("d", [math.nan] * 3),
        raws=array("q", [value or 0 for value in values]),
        exponents=array("b", [0] * 3),
        ulps=array("q", [0] * 3),
        quality=array("B", [Quality.TIMEOUT if value is None else Quality.OK for value in values]),
        texts={},
    )


def store(undated: Undated, blocks: list[bytes]) -> None:
    """As the recorder does."""
    block, is_whole = undated.unsaved()
    if block is not None:
        blocks[:] = [block] if is_whole else [*blocks, block]
        undated.saved(is_whole=is_whole)


def booked_mWh(raws: Sequence[tuple[int, int]]) -> int:
    """What the core books for pairs of time and raw count."""
    table = CounterTable([COUNTER])
    columns = (array("q", [raw for _, raw in raws]), array("q", [0]) * len(raws), array("q", [t for t, _ in raws]))
    events = table.step(array("i", [0]) * len(raws), *columns)
    return sum(
        energy for kind, energy in zip(events.kind, events.energy_mWh, strict=True) if kind != EventKind.TURNED_BACK
    )


def test_of_a_steady_counter_one_reading_an_interval_is_kept() -> None:
    undated = new()
    for second in range(3_601):
        undated.keep(reading(1_000 + second, None), "SN 1", second * 1_000)
    (entries,) = undated.take(A)
    assert (entries[0].raw, entries[-1].raw, len(entries)) == (1_000, 4_600, 14)


@settings(max_examples=scaled(100, 3_000), deadline=None)
@given(st.lists(st.sampled_from([0, 1, 3, 10, -1, -200, -5_000]), min_size=1, max_size=60), st.booleans())
def test_what_is_left_out_changes_no_energy(steps: list[int], is_killed: bool) -> None:
    undated, blocks, raw, read = new(), [], 6_000, []
    for number, step in enumerate(steps):
        raw = max(0, raw + step)
        read.append((number * 30_000, raw))
        undated.keep(reading(raw, None), None, number * 30_000)
        store(undated, blocks)
        if is_killed:
            undated = new()
            assert undated.load([("now", block) for block in blocks]) == []
    (entries,) = undated.take(A)
    assert booked_mWh([(entry.mono_ms, entry.raw) for entry in entries]) == booked_mWh(read)
    assert entries[-1].mono_ms == read[-1][0]


def test_power_is_integrated_as_it_comes_and_gaps_stay_gaps() -> None:
    undated = new()
    for minute in (0, 1, 2, 3, 20, 21):
        undated.keep(reading(None, 60_000_000), None, minute * MIN)
    (entries,) = undated.take(P)
    assert [(entry.t0_ms, entry.mono_ms, entry.energy_mWh, entry.missing) for entry in entries] == [
        (0, 3 * MIN, 3_000_000, 0),
        (3 * MIN, 20 * MIN, 0, 1),
        (20 * MIN, 21 * MIN, 1_000_000, 0),
    ]


def test_after_a_kill_the_integral_goes_on_in_the_same_boot_and_not_in_another() -> None:
    undated, blocks = new(), []
    for minute in range(3):
        undated.keep(reading(7, 60_000_000), None, minute * MIN)
    store(undated, blocks)
    again = new()
    assert again.load([("now", block) for block in blocks]) == []
    again.keep(reading(9, 60_000_000), None, 3 * MIN)
    assert sum(entry.energy_mWh for entry in again.take(P)[-1]) == 3_000_000
    other = new("later")
    assert other.load([("now", block) for block in blocks]) == []
    other.keep(reading(9, 60_000_000), None, 3 * MIN)
    past, now = other.take(P)
    assert [sum(entry.energy_mWh for entry in each) for each in (past, now)] == [2_000_000, 0]


def test_a_long_boot_is_kept_more_coarsely_and_loses_no_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "KEPT", 20)
    undated = new()
    for minute in range(3_000):
        undated.keep(reading(minute * 10, 60_000_000), None, minute * MIN)
    assert all(len(undated.now.traces[key].entries) <= 20 for key in (A, P))
    ((counts,), (powers,)) = undated.take(A), undated.take(P)
    assert (counts[0].raw, counts[-1].raw) == (0, 29_990)
    assert sum(entry.energy_mWh for entry in powers) == 2_999_000_000


def test_a_register_that_talks_nonsense_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "KEPT", 20)
    undated = new()
    for second in range(2_000):
        undated.keep(reading(second * 7_919 % 1_000, 1 if second % 3 else None), None, second * 200_000)
    assert all(len(each.entries) <= 20 for each in undated.now.traces.values())


def test_what_is_stored_is_written_anew_as_one_block_before_it_grows_long() -> None:
    undated, blocks, most = new(), [], 0
    for minute in range(600):
        undated.keep(reading(minute * 10, 60_000_000), None, minute * MIN)
        store(undated, blocks)
        most = max(most, len(blocks))
    assert most < 250
    again = new()
    assert again.load([("now", block) for block in blocks]) == []
    assert again.take(A)[-1][-1] == undated.take(A)[-1][-1]


def test_a_refused_write_is_written_with_the_next() -> None:
    undated, blocks = new(), []
    undated.keep(reading(1, None), None, 0)
    undated.unsaved()
    undated.keep(reading(2, None), None, 1_000)
    store(undated, blocks)
    again = new()
    assert again.load([("now", block) for block in blocks]) == []
    assert [entry.raw for entry in again.take(A)[-1]] == [1, 2]


def test_damaged_blocks_are_named_and_the_others_read() -> None:
    undated, blocks = new(), []
    undated.keep(reading(1, None), None, 0)
    store(undated, blocks)
    again = new()
    (fault,) = again.load([("then", b"rubbish"), ("now", blocks[0])])
    assert fault.startswith("boot then: ")
    assert again.registers() == [A]
    assert again.lengths_ms == [0]


def test_a_register_that_left_the_configuration_is_left_out() -> None:
    undated, blocks = new(), []
    undated.keep(reading(1, 5), None, 0)
    store(undated, blocks)
    smaller = Undated([POWER], 5 * MIN, "now")
    assert smaller.load([("now", blocks[0])]) == []
    assert smaller.registers() == [P]
    assert isinstance(smaller.take(P)[-1][0], Power)
