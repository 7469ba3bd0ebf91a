"""Properties of the whole path from readings to the ledger (carbon-method.md, section 14)."""

import sqlite3
from array import array
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from drivers.device import Reading
from ext import Quality
from gateway.carbon.intervals import Intervals
from gateway.store import registers
from gateway.store.ledger import live
from gateway.store.record import decoded
from tests.gateway.carbon.small_site import MIN, MODULUS, NEW_YEAR, new_meter, new_store, reading, write
from tests.scale import scaled

Content = list[tuple[object, ...]]


def content(conn: sqlite3.Connection) -> Content:
    """Every row of intervals and entries, without the numbers of records, in the order register, t0, kind."""
    found: Content = []
    bodies = [
        decoded(body)
        for (body,) in conn.execute("SELECT body FROM record WHERE kind IN ('intervals', 'entries') ORDER BY seq")
    ]
    for source, derived in zip(bodies[::2], bodies[1::2], strict=True):
        part = Intervals.from_block(source)
        columns = (part.epoch, part.t0_ms, part.t1_ms, part.kind, part.energy_mWh, part.raw_begin, part.raw_end)
        rows = list(zip(part.r, *columns, part.row_class, part.flags, strict=True))
        run = part.correction and part.correction.run
        found += [(part.registers[r].register, *row, run) for r, *row in rows]
        names = ("i", "account", "method", "factor", "emitted_ng", "baseline_ng", "class", "flags")
        for i, account, method, factor, *amounts in zip(*(derived.columns[name] for name in names), strict=True):
            ref = None if factor is None else derived.meta["factors"][factor]
            register, (epoch, t0, t1, kind) = part.registers[rows[i][0]].register, rows[i][1:5]
            found.append((register, epoch, t0, t1, kind, account, method, ref, *amounts))
    return sorted(found, key=lambda row: (row[0], row[2], row[4], repr(row)))


Step = tuple[int, str, int, int, int]
"""Seconds since the reading before, what happens, to which counter, how much in per cent, power in watts."""
LOG = st.lists(
    st.tuples(
        st.sampled_from([1, 30, 60, 240, 700]),
        st.sampled_from(["run", "run", "hoard", "hoard", "away", "away", "reset", "dip", "jump", "back"]),
        st.integers(0, 1),
        st.integers(0, 100),
        st.integers(-3000, 3000),
    ),
    min_size=1,
    max_size=60,
)


def played(log: Sequence[Step]) -> list[tuple[int, Reading]]:
    """The log as readings: counters that run, stand and show it late, are another's for a while, fall and leap."""
    now, true, shown, away = NEW_YEAR - 20 * MIN, [MODULUS - 500, 1000], [MODULUS - 500, 1000], [0, 0]
    found = []
    for seconds, what, which, share, power_W in [*log, *[(700, "run", 0, 50, 0)] * 8]:
        now += 1000 * seconds
        possible = 50_000 * seconds * 3 // 3600
        other = 1 - which
        true[other] = shown[other] = (true[other] + possible // 2) % MODULUS
        true[which] = share if what == "reset" else (true[which] + possible * share // 100) % MODULUS
        away[which] = away[which] + possible // 4 if what == "away" else 0
        if what != "hoard":
            shown[which] = true[which]
        raws = list(shown)
        if what in ("away", "dip", "jump", "back"):
            raws[which] = {
                "away": away[which],
                "dip": 0,
                "jump": (true[which] + 3 * possible + 7000) % MODULUS,
                "back": max(0, true[which] - share),
            }[what]
        found.append((now, reading([*raws, 1000 * power_W])))
    return found


def apart(each: Reading, order: Sequence[int]) -> list[Reading]:
    """The registers of a reading one after the other, as if each had been read by itself."""
    found = []
    for point in order:
        quality = array("B", [Quality.NO_VALUE]) * len(each.quality)
        quality[point] = each.quality[point]
        found.append(replace(each, quality=quality))
    return found


def booked(
    readings: Sequence[tuple[int, Reading]],
    closes: set[int],
    kills: set[int],
    order: Sequence[int] = (),
) -> Content:
    """The ledger when a close comes after each reading in `closes`, and a new process after each in `kills`."""
    conn, meter = new_store(), new_meter()
    for number, (now, each) in enumerate(readings):
        for part in apart(each, order) or [each]:
            meter.feed(part, now)
        if number in closes or number == len(readings) - 1:
            write(conn, meter, now)
        if number in kills & closes:
            meter = new_meter()
            meter.load(registers.load_all(conn))
    found = content(conn)
    conn.close()
    return found


@pytest.mark.slow
@settings(max_examples=scaled(80, 1000), deadline=None)
@given(LOG, st.sets(st.integers(0, 70)), st.sets(st.integers(0, 70)), st.permutations(range(3)))
def test_property_01_one_log_gives_one_ledger_however_it_is_cut(
    log: list[Step], closes: set[int], kills: set[int], order: list[int]
) -> None:
    readings = played(log)
    at_once = booked(readings, set(), set())
    event(f"corrections: {any(row[-1] and 'run' for row in at_once if isinstance(row[-1], str))}")
    assert booked(readings, closes, kills) == at_once
    assert booked(readings, kills, closes, order) == at_once
    assert booked(readings, set(range(len(readings))), set()) == at_once
    sevenths = {len(readings) * part // 7 for part in range(7)}
    assert booked(readings, sevenths, sevenths) == at_once


def test_property_01_reaches_corrections() -> None:
    """The log of the property above can do what it is there for."""
    false_reset: list[Step] = [(60, "run", 1, 50, 0)] * 8 + [(60, "away", 1, 50, 0)] * 8 + [(60, "run", 1, 50, 0)] * 3
    late_step: list[Step] = [(60, "run", 0, 50, 0)] * 3 + [(60, "hoard", 0, 90, 0)] * 9 + [(30, "run", 0, 90, 0)]
    runs = {str(row[-1]).split("/")[0] for log in (false_reset, late_step) for row in booked(played(log), set(), set())}
    assert {"recovered", "step"} <= runs


@settings(max_examples=scaled(60, 1000), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 1800),  # seconds since the reading before
            st.integers(0, 100),  # share of the nominal power, in per cent
            st.booleans(),  # sweep and write after it
            st.booleans(),  # kill -9 after it
        ),
        min_size=1,
        max_size=40,
    )
)
def test_property_08_energy_is_last_count_minus_first_whatever_is_killed(
    readings: list[tuple[int, int, bool, bool]],
) -> None:
    conn, meter = new_store(), new_meter()
    now, true_counts = NEW_YEAR - 20 * MIN, 0
    first = MODULUS - 300  # it wraps on the way
    meter.feed(reading((first, 0, 0)), now)
    write(conn, meter, now)
    for seconds, share, is_written, is_killed in [*readings, (5 * 60, 0, False, False)]:
        now += 1000 * seconds
        true_counts += 50_000 * seconds * 3 // 3600 * share // 100
        meter.feed(reading(((first + true_counts) % MODULUS, 0, 0)), now)
        if is_written:
            write(conn, meter, now)
        if is_killed:
            meter = new_meter()
            meter.load(registers.load_all(conn))
    now += 5 * MIN - now % (5 * MIN)
    meter.feed(reading(((first + true_counts) % MODULUS, 0, 0)), now)
    write(conn, meter, now)
    found = [(row.t0_ms, row.t1_ms, row.energy_mWh) for row in live.of_register(conn, "m", "a", 0)]
    conn.close()
    assert [t0 for t0, _, _ in found[1:]] == [t1 for _, t1, _ in found[:-1]]
    assert found[-1][1] == now
    assert sum(energy or 0 for _, _, energy in found) == true_counts * 1000 // 3
