"""`python -m tests.bench.wear`: bytes at the block device, of a site with fifty devices (as root)."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from gateway.series import Keeping
from gateway.store.database import Store
from gateway.store.series.rollups import DAY_MS
from tests.bench.report import row, title
from tests.loop_disk import ROOT_NEEDED, LoopDisk, is_possible, loop_disk
from tests.wear_site import DAY_S, WIDE, wear_site

WARM_S, MEASURED_S, POLL_S = 8 * 3600, 8 * 3600, 20
GOAL_MB, GOAL_BYTES = 25.0, 8.0
DEVICES = 50
RAW = Keeping(raw_ms=7 * DAY_MS, raw_bytes_per_day=10**9)


async def day_MB(
    disk: LoopDisk, settle: Callable[[], None], *, warm_s: int = WARM_S, measured_s: int = MEASURED_S
) -> float:
    """Millions of bytes in a day at the default cadence, once the write-ahead log has its full size."""
    async with Store.open(disk.folder / "data") as store:
        site = await wear_site(store, Keeping(), devices=DEVICES)
        await site.live(warm_s, poll_s=POLL_S, settle=settle)
        before = disk.written()
        await site.live(measured_s, poll_s=POLL_S, settle=settle)
        disk.settle()
        return (disk.written() - before) * DAY_S / measured_s / 1e6


async def bytes_a_reading(
    disk: LoopDisk, settle: Callable[[], None], *, warm_s: int = 900, measured_s: int = 1800
) -> float:
    """Bytes of one value of a point, with raw series of sixty points a second."""
    async with Store.open(disk.folder / "data") as store:
        site = await wear_site(store, RAW, devices=DEVICES, points=WIDE)
        await site.live(warm_s, poll_s=1, settle=settle)
        before = disk.written()
        await site.live(measured_s, poll_s=1, settle=settle)
        disk.settle()
        return (disk.written() - before) / (DEVICES * WIDE * measured_s)


def run() -> None:
    title(f"bytes at the block device: {DEVICES} devices, checkpoint 60 s, interval 5 min, rollups on")
    if not is_possible():
        row("not measured", "-", ROOT_NEEDED)
        return
    for block_bytes, options in ((1024, "noatime"), (4096, "noatime"), (4096, "noatime,lazytime")):
        for name, measure, goal, unit in (
            ("3 registers and a power", day_MB, GOAL_MB, "MB/day"),
            (f"{WIDE} points each second, raw series", bytes_a_reading, GOAL_BYTES, "B/reading"),
        ):
            with (
                tempfile.TemporaryDirectory() as folder,
                loop_disk(Path(folder), mib=1024, block_bytes=block_bytes, options=options) as disk,
            ):
                # With lazytime nothing is written out but what the store itself asks for.
                figure = asyncio.run(measure(disk, (lambda: None) if "lazytime" in options else disk.settle))
            verdict = "met" if figure <= goal else "MISSED"
            row(f"{name}, blocks of {block_bytes} B, {options}", f"{figure:.1f} {unit}", f"goal <= {goal:g}: {verdict}")


if __name__ == "__main__":
    run()
