"""`python -m tests.bench.wear`: bytes at the block device in a day of a site with fifty devices (as root)."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from gateway.store.database import Store
from tests.bench.report import row, title
from tests.loop_disk import ROOT_NEEDED, is_possible, loop_disk
from tests.wear_site import DAY_S, WearSite

WARM_S, MEASURED_S, POLL_S = 4 * 3600, 8 * 3600, 20
GOAL_MB = 25.0


async def day_MB(folder: Path, block_bytes: int) -> float:
    """Millions of bytes a day of virtual time, after the write-ahead log has its full size."""
    with loop_disk(folder, block_bytes=block_bytes) as disk:
        async with Store.open(disk.folder / "data") as store:
            site = WearSite(store)
            await site.live(WARM_S, poll_s=POLL_S, settle=disk.settle)
            before = disk.written()
            await site.live(MEASURED_S, poll_s=POLL_S, settle=disk.settle)
            return (disk.written() - before) * DAY_S / MEASURED_S / 1e6


def run() -> None:
    title("50 devices, 3 registers each, checkpoint 60 s, interval 5 min: bytes at the block device")
    if not is_possible():
        row("not measured", "-", ROOT_NEEDED)
        return
    for block_bytes in (1024, 4096):
        with tempfile.TemporaryDirectory() as name:
            begin = time.monotonic()
            figure_MB = asyncio.run(day_MB(Path(name), block_bytes))
            note = f"goal <= {GOAL_MB:g}: {'met' if figure_MB <= GOAL_MB else 'MISSED'}; took {time.monotonic() - begin:.0f} s"
            row(f"ext4 with blocks of {block_bytes} B", f"{figure_MB:.1f} MB/day", note)


if __name__ == "__main__":
    sys.exit(run())
