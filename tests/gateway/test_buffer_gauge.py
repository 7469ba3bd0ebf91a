"""The gauge against the truth: a disk that is filled to the end, and the bytes that its block device counts."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.buffer_gauge import LEAST_MS, BufferGauge
from gateway.series import Keeping
from gateway.store import disk, outbox
from gateway.store.database import Store
from gateway.store.errors import StoreError
from gateway.store.series.rollups import DAY_MS
from tests.loop_disk import ROOT_NEEDED, LoopDisk, is_possible, loop_disk
from tests.wear_site import START_MS, VirtualClock, WearSite, wear_site

needs_root = pytest.mark.skipif(not is_possible(), reason=ROOT_NEEDED)


async def watch(site: WearSite, gauge: BufferGauge, minutes: int) -> None:
    for _ in range(minutes):
        await site.live(60, poll_s=20, settle=lambda: None)
        await gauge.look()


@pytest.mark.slow
@needs_root
def test_the_hours_left_and_the_bytes_of_a_day_are_true_within_5_percent(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    async def minute(store: Store, gauge: BufferGauge, clock: VirtualClock, found: LoopDisk) -> None:
        """A hundred kilobytes more."""
        await store.run(grow, 100_000)
        clock.wall += 60_000
        found.settle()
        await gauge.look()

    async def fill(store: Store, gauge: BufferGauge, clock: VirtualClock, found: LoopDisk) -> None:
        while clock.wall < START_MS + 10 * DAY_MS:
            await minute(store, gauge, clock, found)

    async def run(found: LoopDisk) -> None:
        clock = VirtualClock()
        async with Store.open(found.folder / "data") as store:
            gauge = BufferGauge(store, clock)
            for _ in range(60):  # the write-ahead log gets its full size
                await minute(store, gauge, clock, found)
            gauge = BufferGauge(store, clock)
            await gauge.look()
            begin_ms, before = clock.wall, found.written()
            for _ in range(120):
                await minute(store, gauge, clock, found)
            shown, shown_ms = gauge.figures(), clock.wall
            true_bytes = (found.written() - before) * DAY_MS / (shown_ms - begin_ms)
            with pytest.raises(StoreError, match="is full"):
                await fill(store, gauge, clock, found)
            true_h = (clock.wall - shown_ms) / 3_600_000
            assert shown.hours_left == pytest.approx(true_h, rel=0.05)
            assert shown.written_bytes_per_day == pytest.approx(true_bytes, rel=0.05)
            figure(f"{shown.hours_left:.2f} h shown, {true_h:.2f} h true; bytes a day within 5 %")

    with loop_disk(tmp_path, mib=128) as disk_of_its_own:
        asyncio.run(run(disk_of_its_own))


def grow(conn: sqlite3.Connection, size: int) -> None:
    conn.execute("INSERT INTO series_raw (body) VALUES (randomblob(?))", (size,))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "data") as store:
        yield store


async def test_nothing_is_said_before_there_is_a_rate(store: Store) -> None:
    site = await wear_site(store, Keeping(), devices=2)
    gauge = BufferGauge(store, site.clock)
    assert gauge.figures().hours_left is None
    await watch(site, gauge, LEAST_MS // 60_000)
    assert gauge.figures().hours_left is None
    await watch(site, gauge, 2)
    assert gauge.figures().hours_left is not None


async def test_a_buffer_that_does_not_grow_lasts_for_ever(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "written_bytes", lambda folder: None)  # a file system without a block device
    clock = VirtualClock()
    gauge = BufferGauge(store, clock)
    for _ in range(60):
        clock.wall += 60_000
        await gauge.look()
    figures = gauge.figures()
    assert (figures.hours_left, figures.written_bytes_per_day) == (None, None)


async def test_rates_are_of_the_last_day(store: Store) -> None:
    clock = VirtualClock()
    gauge = BufferGauge(store, clock)
    for hour in range(60):
        await store.run(grow, 10_000_000 if hour < 20 else 100_000)
        for _ in range(6):
            clock.wall += 600_000
            await gauge.look()
    hours_left = gauge.figures().hours_left
    assert hours_left is not None
    assert hours_left == pytest.approx(disk.free_bytes(store.data_dir) / 100_000, rel=0.1)


async def test_the_oldest_that_waits_is_the_oldest_record(store: Store) -> None:
    site = await wear_site(store, Keeping(), devices=2)
    await site.live(700, poll_s=20, settle=lambda: None)
    site._deliver = lambda: asyncio.sleep(0)  # type: ignore[method-assign, assignment]  # the link is down
    await site.live(1000, poll_s=20, settle=lambda: None)
    found = await store.read(outbox.stats)
    (oldest_ms,) = await store.read(
        lambda conn: conn.execute(
            "SELECT min(t0_ms) FROM record JOIN mark USING (stream) WHERE seq > acked_through"
        ).fetchone()
    )
    assert found.oldest_unsent_ms == oldest_ms > START_MS
