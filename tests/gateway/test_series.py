"""Series through the recorder: dated readings become rollups and raw series that ride in its commits."""

import math
import sqlite3
from array import array
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.device import Reading
from ext.quality import Quality
from gateway.series import MOST_WINDOWS, Keeping
from gateway.store.database import Store
from gateway.store.errors import StoreError
from gateway.store.series import raw
from gateway.store.series.chart import chart
from gateway.store.series.rollups import DAY_MS, MINUTE_MS, WINDOW_MS
from gateway.store.space import Level
from tests.wear_site import START_MS, WearSite, wear_site

RAW = Keeping(raw_ms=DAY_MS, raw_bytes_per_day=10**9)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "data") as store:
        yield store


async def pass_s(site: WearSite, seconds: int, poll_s: int = 5) -> None:
    await site.live(seconds, poll_s=poll_s, settle=lambda: None)


async def cells(store: Store, column: str = "readings") -> list[float | None]:
    """A column of the power of the first meter, by the minute, from the start on."""
    found = await chart(store, "meter-00", "p0", t0_ms=START_MS, t1_ms=START_MS + 60 * MINUTE_MS, minutes_from_ms=0)
    assert found is not None
    assert found["step_ms"] == MINUTE_MS
    return found[column]  # type: ignore[no-any-return]


async def test_each_minute_has_the_readings_that_were_taken_in_it(store: Store) -> None:
    site = await wear_site(store, Keeping(), devices=2)
    await pass_s(site, 20 * 60)
    counts = await cells(store)
    assert counts[1:15] == [12] * 14
    leasts, means, mosts, lasts = [await cells(store, name) for name in ("min", "mean", "max", "last")]
    for least, mean, most, last in zip(leasts[1:15], means[1:15], mosts[1:15], lasts[1:15], strict=True):
        assert least is not None and mean is not None and most is not None and last is not None
        assert 0 <= least <= mean <= most < 4000
        assert least <= last <= most


async def test_silence_is_a_gap_in_all_columns(store: Store) -> None:
    site = await wear_site(store, Keeping(), devices=2)
    await pass_s(site, 600)
    await pass_s(site, 300, poll_s=10_000)
    await pass_s(site, 600)
    assert await cells(store, "readings")
    for name in ("min", "mean", "max", "last"):
        assert (await cells(store, name))[11:14] == [None] * 3
    assert (await cells(store))[11:14] == [0] * 3


async def test_what_has_no_value_does_not_count(store: Store) -> None:
    site = await wear_site(store, RAW, devices=1)
    await pass_s(site, 120)
    for _ in range(60):
        await pass_s(site, 1, poll_s=10_000)
        (reading,) = site.poll()
        reading.values[3], reading.quality[3] = math.nan, Quality.NO_VALUE
        site.recorder.take(reading)
    await pass_s(site, 400)
    assert (await cells(store))[2] in (1, 2, 3)  # from seven to sixty seconds past it nothing had a value
    marks = {mark for rows in await raws(store, "meter-00") for mark in rows.quality}
    assert marks == {Quality.OK, Quality.NO_VALUE}


async def raws(store: Store, device: str) -> list[raw.Readings]:
    return await store.read(lambda conn: list(raw.read(conn, device, START_MS - DAY_MS, START_MS + DAY_MS)))


async def test_every_reading_is_in_the_raw_series(store: Store) -> None:
    site = await wear_site(store, RAW, devices=2)
    taken: list[Reading] = []
    take = site.series.take

    def noted(reading: Reading, t_ms: int) -> None:
        taken.append(reading)
        take(reading, t_ms)

    site.series.take = noted  # type: ignore[method-assign]
    await pass_s(site, 700, poll_s=1)
    await site.recorder.round(last=True)
    for device in ("meter-00", "meter-01"):
        found = await raws(store, device)
        values = array("d", [value for rows in found for value in rows.values])
        assert values == array("d", [v for reading in taken if reading.device == device for v in reading.values])
        times = [t_ms for rows in found for t_ms in rows.t_ms]
        assert times == [r.mono_ns // 1_000_000 + START_MS - 60_000 for r in taken if r.device == device]


async def test_raw_series_lose_no_more_than_a_checkpoint(store: Store) -> None:
    """A kill at any second: what was taken before the last checkpoint is there."""
    site = await wear_site(store, RAW, devices=1)
    for _ in range(200):
        await pass_s(site, 1, poll_s=1)
        if site.clock.wall - START_MS > 61_000:  # before that everything is younger than a checkpoint
            newest_ms = max(t_ms for rows in await raws(store, "meter-00") for t_ms in rows.t_ms)
            assert site.clock.wall - newest_ms <= 60_000 + 1_200


async def test_a_disk_that_is_nearly_full_gets_no_raw_series(store: Store) -> None:
    site = await wear_site(store, RAW, devices=1)
    await pass_s(site, 400)
    before = await raws(store, "meter-00")
    site.usage = (10**12, 96 * 10**10, 4 * 10**10)
    await pass_s(site, 400)
    assert site.recorder.level == Level.STOP_SERIES
    newest_ms = max(t_ms for rows in await raws(store, "meter-00") for t_ms in rows.t_ms)
    assert before
    assert newest_ms - max(t_ms for rows in before for t_ms in rows.t_ms) <= 2 * 60_000
    assert (await cells(store))[1:10] == [12] * 9


async def test_a_restart_goes_on_in_the_same_minute(store: Store) -> None:
    site = await wear_site(store, Keeping(), devices=1)
    await pass_s(site, 630)
    await site.recorder.round(last=True)
    after = await wear_site(store, Keeping(), devices=1)
    after.clock.wall = site.clock.wall
    await pass_s(after, 630)
    assert (await cells(store))[1:20] == [12] * 19


async def test_while_nothing_can_be_written_it_is_kept_and_written_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await wear_site(store, RAW, devices=1)
    await pass_s(site, 400)
    run = store.run

    async def refuse(*args: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "run", refuse)
    await pass_s(site, 900)
    monkeypatch.setattr(store, "run", run)
    await pass_s(site, 400)
    assert (await cells(store))[1:25] == [12] * 24
    times = [t_ms for rows in await raws(store, "meter-00") for t_ms in rows.t_ms]
    assert len(times) == len(set(times)) >= 1600 // 5


async def test_memory_is_bounded_while_nothing_can_be_written(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.series.MOST_VALUES", 2000)
    site = await wear_site(store, RAW, devices=1)

    async def refuse(*args: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "run", refuse)
    await pass_s(site, (MOST_WINDOWS + 6) * WINDOW_MS // 1000, poll_s=10)
    work = site.series.work(site.clock.wall, everything=True)
    assert len(work.windows) == MOST_WINDOWS
    assert sum(len(readings.values) for readings in work.readings) <= 2000


async def test_an_undated_reading_enters_no_series_until_it_is_dated(store: Store) -> None:
    site = await wear_site(store, Keeping(), devices=1)
    site.clock.wall = 60_000 * 5  # a board without a battery: five minutes after 1970
    assert not site.recorder._dating.trusted
    for reading in site.poll():
        site.recorder.take(reading)
    assert site.series.work(START_MS, everything=True).windows == ()


async def test_the_budget_of_a_day_is_told(store: Store) -> None:
    site = await wear_site(store, Keeping(raw_ms=DAY_MS, raw_bytes_per_day=2_000), devices=2)
    await pass_s(site, 1200, poll_s=1)
    assert site.series.raw_today is not None
    assert site.series.raw_today.is_over
    assert site.series.raw_today.written_bytes <= 2_000

    def alarms(conn: sqlite3.Connection) -> int:
        return int(conn.execute("SELECT count(*) FROM record WHERE kind = 'alarm'").fetchone()[0])

    assert await store.read(alarms) == 1
