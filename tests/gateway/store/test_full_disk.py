"""A full disk: what was called stored is kept, nothing runs hot, and all is well a minute after there is room."""

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.store.database import FILE_NAME, SETTINGS, Store
from gateway.store.space import BALLAST, BALLAST_BYTES, Level
from tests.gateway.store.recording_vfs import Connection, Disk
from tests.gateway.store.written_site import START_MS, WrittenSite, booked_mWh
from tests.scale import scaled

MIB = 1 << 20
DAY_S = 86_400


@contextmanager
def on_a_disk(folder: Path) -> Iterator[tuple[Disk, Store]]:
    """A store whose disk can be made full from any write on."""
    disk = Disk(folder)
    try:
        with closing(Connection(folder / FILE_NAME)) as conn, ThreadPoolExecutor(1) as thread:
            for setting in (*SETTINGS, "PRAGMA wal_autocheckpoint = 12"):
                conn.execute(setting)
            yield disk, Store(folder, conn, thread, "0" * 16)  # type: ignore[arg-type]
    finally:
        disk.unregister()


async def run_full_from(folder: Path, write: int | None) -> int:
    """Two minutes of a site whose disk is full from a write on, then a minute with room; returns how often it wrote."""
    async with Store.open(folder):
        pass
    with on_a_disk(folder) as (disk, store):
        site = WrittenSite(store)
        await site.live(70)
        disk.full_from = None if write is None else disk.writes + write
        site.recorder.alarm("test", "", "something happened")
        await site.live(50)
        written = disk.writes
        disk.full_from = None
        await site.live(60)
        assert site.recorder.error is None
        until_ms = (site.clock.wall - 2_000) // 60_000 * 60_000
        assert await site.booked_mWh("grid") == until_ms - START_MS - 1000
        assert await site.problems() == []
        events = await store.read(
            lambda conn: conn.execute("SELECT body FROM record WHERE stream = 'events'").fetchall()
        )
        assert sum(b"something happened" in body for (body,) in events) == 1
    return written


@pytest.mark.slow
async def test_promise_07_no_room_at_any_write(tmp_path: Path, figure: Callable[[str], None]) -> None:
    whole = await run_full_from(tmp_path / "whole", None)
    before = whole // 2
    writes = range(0, before, scaled(5, 1))
    for write in writes:
        assert await run_full_from(tmp_path / str(write), write) <= whole + 40, write
    figure(f"{len(writes):,} runs, full from write 0 to {writes[-1]} on: 0 lost, well again within 60 s")


@pytest.mark.slow
async def test_the_control_whose_errors_are_swallowed_loses(tmp_path: Path) -> None:
    """A disk that says nothing when it is full: what is called stored is not there."""
    async with Store.open(tmp_path):
        pass
    with on_a_disk(tmp_path) as (disk, store):
        site = WrittenSite(store)
        await site.live(70)
        disk.loses = True
        await site.live(60)
    disk.loses = False
    with pytest.raises(AssertionError):
        async with Store.open(tmp_path) as store:
            assert await store.read(booked_mWh, "grid") == 119_000


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB, which only root can make."""
    folder = tmp_path / "volume"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a volume of 64 MiB can be mounted by root only")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"a volume of 64 MiB cannot be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(volume: Path, leave: int = 0) -> None:
    """Takes the room of the volume, all but some bytes."""
    hog = os.open(volume / "hog", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        while (room := disk_usage(volume)[2] - leave) > 0:
            os.write(hog, bytes(min(room, MIB)))
    finally:
        os.close(hog)


@pytest.mark.slow
async def test_promise_07_seven_days_on_a_small_volume(volume: Path, figure: Callable[[str], None]) -> None:
    """Somebody else fills the disk: to the last byte, for hours, also while we are started."""
    data = volume / "data"
    site: WrittenSite | None = None
    now_ms = START_MS
    for day in range(7):
        async with Store.open(data) as store:
            site = WrittenSite(store, now_ms=now_ms, interval_ms=300_000, usage=disk_usage)
            await site.resume()
            await site.live(DAY_S // 4, every_s=60)
            assert (data / BALLAST).exists()
            fill(volume, leave=0 if day % 2 else 4 * MIB)
            site.recorder.alarm("test", "", f"the disk is full on day {day}")
            await site.live(DAY_S // 4, every_s=60)
            assert site.recorder.level >= Level.EVICT
            now_ms = site.clock.wall
        async with Store.open(data) as store:  # a start on the full disk
            site = WrittenSite(store, now_ms=now_ms, interval_ms=300_000, usage=disk_usage)
            await site.resume()
            await site.live(DAY_S // 4, every_s=60)
            (volume / "hog").unlink()
            await site.live(60, every_s=20)
            assert site.recorder.error is None
            await site.live(DAY_S // 4 - 60, every_s=60)
            await site.recorder.round(last=True)
            assert site.recorder.error is None
            assert await site.problems() == []
            until_ms = site.clock.wall // 300_000 * 300_000
            assert await site.booked_mWh("grid") == until_ms - START_MS - 60_000
            events = await store.read(lambda c: c.execute("SELECT body FROM record WHERE stream = 'events'").fetchall())
            assert sum(b"the disk is full on day" in body for (body,) in events) == day + 1
            now_ms = site.clock.wall
    figure("7 days on 64 MiB, full 7 times, restarted while full: 0 mWh and 0 alarms lost, well again within 60 s")


def disk_usage(folder: Path) -> tuple[int, int, int]:
    """As `shutil.disk_usage`."""
    stat = os.statvfs(folder)
    return stat.f_blocks * stat.f_frsize, (stat.f_blocks - stat.f_bfree) * stat.f_frsize, stat.f_bavail * stat.f_frsize


async def test_the_ballast_is_made_and_thrown_off(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "data") as store:
        site = WrittenSite(store, usage=lambda folder: (1 << 30, 0, 1 << 30))
        await site.live(2)
        assert (tmp_path / "data" / BALLAST).stat().st_size == BALLAST_BYTES
        assert site.recorder.level == Level.ROOMY
