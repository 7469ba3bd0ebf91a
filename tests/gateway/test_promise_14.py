"""Promise 14: time is repaired once somebody vouches for it; what never gets a date says so; no energy is lost."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from ext.counter_state import moved
from gateway.carbon.metering.undated import Undated
from gateway.clock import EARLIEST_MS, Anchor, Dating, offset_ms
from gateway.store.flag import Flag
from gateway.store.row_class import RowClass
from tests.gateway.timeless import (
    CHECKPOINT,
    DAY,
    HOUR,
    INTERVAL,
    MINUTE,
    PERIOD,
    SECOND,
    START,
    YEAR,
    Board,
    Row,
    classes,
    energy_mWh,
    worst_error_ms,
)
from tests.scale import scaled

DRIFT_PPM = 40
DRIFT_MS = 3 * HOUR * DRIFT_PPM // 1_000_000
WRONG_WALLS = [
    pytest.param(0, id="1970"),
    pytest.param(START - 14 * DAY, id="-14 days"),
    pytest.param(START + YEAR, id="+1 year"),
]


def believe_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """For controls: whatever the wall clock says counts, unless it is of before this software."""
    observe = Dating.observe

    def believing(self: Dating) -> object:
        clock = self._clock
        anchor = Anchor(offset_ms=offset_ms(clock), source="control") if clock.wall_ms() >= EARLIEST_MS else None
        self._witnesses = [lambda: anchor]
        return observe(self)

    monkeypatch.setattr(Dating, "observe", believing)


async def three_hours_without_time(folder: Path, wall_ms: int, drift_ppm: int = 0) -> int:
    """A boot with a wrong clock, killed half-way, that is set after three hours. How far the worst date is off."""
    board = Board(folder, drift_ppm=drift_ppm)
    async with board.boot(wall_ms) as gateway:
        await gateway.live(HOUR + 30 * MINUTE)
    async with board.process() as gateway:
        await gateway.live(HOUR + 30 * MINUTE)
        board.set_right()
        await gateway.live(15 * MINUTE)
        assert await gateway.problems() == []
        return worst_error_ms(await gateway.rows(), board.read[0])


@pytest.mark.parametrize("wall_ms", WRONG_WALLS)
async def test_promise_14_a_boot_with_a_wrong_clock_is_dated_when_it_is_set(
    tmp_path: Path, figure: Callable[[str], None], wall_ms: int
) -> None:
    worst_ms = await three_hours_without_time(tmp_path / "exact", wall_ms)
    drifted_ms = await three_hours_without_time(tmp_path / "drifts", wall_ms, DRIFT_PPM)
    assert worst_ms <= 50
    assert drifted_ms <= 50 + DRIFT_MS
    figure(f"off by {worst_ms} ms; by {drifted_ms} ms with a crystal that runs {DRIFT_MS} ms ahead in the 3 h")


@pytest.mark.parametrize("wall_ms", WRONG_WALLS[1:])
async def test_promise_14_control_a_gateway_that_believes_its_clock_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wall_ms: int
) -> None:
    believe_the_wall_clock(monkeypatch)
    worst_ms = await three_hours_without_time(tmp_path, wall_ms)
    assert worst_ms > DAY


async def an_hour_back(folder: Path) -> tuple[list[Row], int, int]:
    """A clock that is vouched for is an hour ahead for an hour, and is then set back. Rows, and both begins."""
    board = Board(folder)
    async with board.boot(START + HOUR, vouched=True) as gateway:
        await gateway.live(HOUR)
        board.set_right()
        back_ms = board.true_ms
        await gateway.live(HOUR + INTERVAL)
    async with board.process() as gateway:  # a restart goes on with the new dates
        await gateway.live(HOUR)
        assert await gateway.problems() == []
        assert [alarm["what"] for alarm in await gateway.alarms()].count("clock_step") == 1
        power = await gateway.rows("power")
        assert energy_mWh(power) >= power[-1].t1_ms - board.read[0] - CHECKPOINT - PERIOD
        return await gateway.rows(), board.read[0], back_ms


async def test_promise_14_after_an_hour_back_dates_are_right_and_no_energy_is_lost_or_doubled(tmp_path: Path) -> None:
    rows, begin_ms, back_ms = await an_hour_back(tmp_path)
    after = [row for row in rows if row.epoch == 2]
    assert abs(after[0].t0_ms - back_ms) <= PERIOD  # the last reading by the old dates, moved
    assert after[0].flags & Flag.CLOCK_STEP
    assert energy_mWh(rows) == after[-1].t1_ms - begin_ms
    assert worst_error_ms(after, after[0].t0_ms) <= 50
    assert [row.t1_ms for row in after[:-1]] == [row.t0_ms for row in after[1:]]


async def test_promise_14_control_dates_that_never_go_back_stay_an_hour_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe = Dating.observe

    def only_forward(self: Dating) -> object:
        before, step = self._anchor, observe(self)
        if step is not None and step.by_ms < 0:
            self._anchor = before
            return None
        return step

    monkeypatch.setattr(Dating, "observe", only_forward)
    board = Board(tmp_path)
    async with board.boot(START + HOUR, vouched=True) as gateway:
        await gateway.live(HOUR)
        board.set_right()
        await gateway.live(HOUR)
        assert worst_error_ms(await gateway.rows(), board.read[0]) >= HOUR - SECOND


async def two_boots_without_time(folder: Path) -> tuple[Board, list[Row], list[Row], list[Row]]:
    """Dated, then two boots that never get a date, then one that gets it after a while: its two registers."""
    board = Board(folder)
    async with board.boot(START, vouched=True) as gateway:
        await gateway.live(HOUR)
        await gateway.recorder.round(last=True)
        dated = await gateway.rows()
    for wall_ms in (START - DAY, START + 2 * DAY):  # a stale time, and one that runs ahead
        async with board.boot(wall_ms, off_ms=40 * MINUTE) as gateway:
            await gateway.live(2 * HOUR)
    async with board.boot(0, off_ms=10 * MINUTE) as gateway:
        await gateway.live(20 * MINUTE)
        board.set_right()
        await gateway.live(HOUR)
        assert await gateway.problems() == []
        return board, dated, await gateway.rows(), await gateway.rows("power")


async def test_promise_14_boots_that_never_get_a_date_say_so_and_lie_between_their_bounds(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    board, dated, counter, power = await two_boots_without_time(tmp_path)
    after, before = dated[-1].t1_ms, board.read[-1] - HOUR - 20 * MINUTE
    unknown = [row for row in counter if row.t1_ms > after + INTERVAL and row.t0_ms < before]
    flagged = [row for row in unknown if row.flags & Flag.SPAN_UNKNOWN]
    assert len(flagged) == len(unknown) > 50
    figure(f"{len(flagged)} of {len(unknown)} rows of boots without a date are flagged, within their bounds")
    for row in flagged + [row for row in power if row.flags & Flag.SPAN_UNKNOWN]:
        assert row.row_class in (RowClass.ESTIMATED, RowClass.MISSING)
        assert row.window is not None
        first_ms, last_ms = row.window
        assert first_ms <= row.t0_ms < row.t1_ms <= last_ms
        assert after <= first_ms + INTERVAL
        assert last_ms <= before + PERIOD
    assert set(classes(counter)) == {("MEASURED", False), ("ESTIMATED", True)}
    assert [row.t1_ms for row in counter[:-1]] == [row.t0_ms for row in counter[1:]]
    # The counter went on counting while nobody read it; the power register knows of what was read.
    assert energy_mWh(counter) == counter[-1].t1_ms - board.read[0]
    unread_ms = sum(later - earlier for earlier, later in pairwise(board.read) if later - earlier > PERIOD)
    lost_mWh = power[-1].t1_ms - board.read[0] - unread_ms - energy_mWh(power)
    assert 0 <= lost_mWh <= 2 * CHECKPOINT  # there were two kills


async def test_promise_14_control_boots_that_are_dated_by_their_own_clock_are_not_flagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    believe_the_wall_clock(monkeypatch)
    _, _, counter, _ = await two_boots_without_time(tmp_path)
    assert sum(bool(row.flags & Flag.SPAN_UNKNOWN) for row in counter) < 10  # only where its own dates go back


async def killed_without_time(folder: Path) -> int:
    """How much the power register lost by kills in a boot without time."""
    board = Board(folder)
    async with board.boot(0) as gateway:
        await gateway.live(HOUR + 45 * SECOND)
    async with board.process() as gateway:
        await gateway.live(HOUR)
        board.set_right()
        await gateway.live(20 * MINUTE)
        rows = await gateway.rows("power")
        return rows[-1].t1_ms - board.read[0] - energy_mWh(rows)


async def test_promise_14_a_kill_without_time_loses_no_more_than_a_checkpoint(tmp_path: Path) -> None:
    assert 0 <= await killed_without_time(tmp_path) <= CHECKPOINT + PERIOD


async def test_promise_14_control_readings_that_are_only_in_memory_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Undated, "unsaved", lambda self: (None, False))
    assert await killed_without_time(tmp_path) >= HOUR - PERIOD


async def dates_of_the_future(folder: Path) -> tuple[list[Row], int, list[str]]:
    """A ledger that was dated two days ahead, and a boot that somebody vouches for; what verification says of it."""
    board = Board(folder)
    async with board.boot(START + 2 * DAY, vouched=True) as gateway:
        await gateway.live(HOUR)
    async with board.boot(START + HOUR + 5 * MINUTE, vouched=True, off_ms=5 * MINUTE) as gateway:
        await gateway.live(HOUR)
        assert "dates_ahead" in [alarm["what"] for alarm in await gateway.alarms()]
        return await gateway.rows(), board.read[0], await gateway.problems()


async def test_promise_14_a_vouched_clock_is_believed_although_the_ledger_is_ahead_of_it(tmp_path: Path) -> None:
    rows, begin_ms, problems = await dates_of_the_future(tmp_path)
    assert problems == []
    now = [row for row in rows if row.epoch == 2]
    assert energy_mWh(rows) == now[-1].t1_ms - begin_ms  # nothing twice, nothing lost
    assert now[0].flags & Flag.SPAN_UNKNOWN
    assert now[0].flags & Flag.CLOCK_STEP
    right = [row for row in now if not row.flags & Flag.SPAN_UNKNOWN]
    assert worst_error_ms(right, right[0].t0_ms) <= 50
    assert len(right) > 8


async def test_promise_14_control_rows_that_go_back_without_saying_so_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "gateway.carbon.metering.scaled_counters.turned_back",
        lambda numbers, by_ms: moved(numbers, lambda t_ms: t_ms - by_ms),
    )
    _, _, problems = await dates_of_the_future(tmp_path)
    assert "an interval of grid/counter overlaps the one before it" in problems[0]


async def test_promise_14_the_order_of_the_streams_is_that_of_seq_and_undated_alarms_carry_their_stamp(
    tmp_path: Path,
) -> None:
    board = Board(tmp_path)
    async with board.boot(0) as gateway:
        await gateway.live(2 * MINUTE)
        gateway.recorder.alarm("first", "grid", "without a date")
        board.clock.wall += 30 * DAY
        await gateway.live(2 * MINUTE)
        board.set_right()
        await gateway.live(2 * MINUTE)
        gateway.recorder.alarm("last", "grid", "with a date")
        await gateway.live(PERIOD)
        alarms = await gateway.alarms()
    assert [alarm["what"] for alarm in alarms] == ["first", "clock_step", "clock_step", "clock_trusted", "last"]
    stamps = [alarm.get("undated") for alarm in alarms]
    assert stamps[0] == {"boot": "boot-1", "mono_ms": 140_000, "wall_ms": 120_000}
    assert stamps[1] is not None
    assert stamps[2:] == [None, None, None]
    assert alarms[3]["text"] == "boot boot-1 began at 2026-10-27T23:59:40.000+00:00, as the test says"
    assert alarms[4]["t_ms"] == board.true_ms - PERIOD


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(scaled(12, 400)))
async def test_promise_14_any_history_of_boots_keeps_all_energy_and_ends_with_right_dates(
    tmp_path: Path, seed: int
) -> None:
    """Boots with and without time, kills, clocks that are set and that jump; at last one that somebody vouches for."""
    chance = Random(seed)
    board = Board(tmp_path)
    for _ in range(chance.randint(1, 5)):
        wall_ms = board.true_ms + chance.choice([-START, -14 * DAY, -HOUR, 0, 2 * HOUR, YEAR])
        async with board.boot(wall_ms, off_ms=chance.choice([30 * SECOND, 20 * MINUTE, 9 * HOUR])) as gateway:
            await gateway.live(chance.randint(1, 80) * PERIOD)
        for _ in range(chance.randint(0, 2)):
            async with board.process() as gateway:
                if chance.random() < 0.3:
                    board.set_right()
                    board.clock.wall += chance.choice([0, 0, 0, HOUR, -HOUR])
                elif chance.random() < 0.3:
                    board.clock.wall += chance.choice([-HOUR, -1500, 700, HOUR])
                await gateway.live(chance.randint(1, 40) * PERIOD)
    async with board.boot(board.true_ms, off_ms=10 * MINUTE) as gateway:
        board.set_right()
        await gateway.live(30 * MINUTE)
        assert await gateway.problems() == []
        assert gateway.recorder.error is None
        rows, power = await gateway.rows(), await gateway.rows("power")
    assert energy_mWh(rows) == rows[-1].t1_ms - board.read[0]
    assert board.true_ms - rows[-1].t1_ms <= INTERVAL
    assert energy_mWh(power) <= rows[-1].t1_ms - board.read[0]
    sure = [row for row in rows if not row.flags & Flag.SPAN_UNKNOWN][-5:]
    assert worst_error_ms(sure, sure[0].t0_ms) <= 50
