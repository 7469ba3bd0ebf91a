"""Power cuts: whatever a disk kept of what was not synced, what we called stored is there, whole and in order.

The real writer runs over the real schema on a SQLite whose disk is recorded; each image is a state in which a power cut
can leave that disk. It is opened by the SQLite that the gateway uses.
"""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from gateway.store import outbox, registers, totals
from gateway.store.body import unpack
from gateway.store.database import FILE_NAME, SETTINGS, Store
from gateway.store.errors import StoreError
from gateway.store.outbox import STREAMS
from sync.messages import GENESIS, chain
from tests.gateway.store.recording_vfs import Connection, Disk, Image, Op
from tests.gateway.store.written_site import CHECKPOINT_MS, POLL_MS, POWER_W, START_MS, WrittenSite
from tests.scale import scaled

SEED = 20261128
IMAGES = scaled(2_000, 20_000)
Snapshot = tuple[object, ...]
EMPTY: Snapshot = tuple(outbox.Head(acked_through=0, seq=0, hash=GENESIS) for _ in STREAMS)


class Recorded(NamedTuple):
    """A run of the writer, as its disk saw it."""

    disk: Disk
    acked: list[tuple[int, Snapshot]]
    """After each transaction: how long the log was when it was called stored, and what the store then held."""


def snapshot(conn: sqlite3.Connection) -> Snapshot:
    """What a store holds, short."""
    heads = [outbox.head(conn, stream) for stream in STREAMS]
    return (*heads, *registers.load_all(conn), *totals.query(conn, "2000-01-01", "2999-12-31"))


async def record(folder: Path, synchronous: str) -> Recorded:
    """Four minutes of a site, second by second, with alarms that are written at once, a stop and a new start."""
    async with Store.open(folder) as store:
        epoch = store.epoch
    disk = Disk(folder)
    acked = [(0, EMPTY)]
    for minutes, begin_ms in ((2, START_MS), (2, START_MS + 200_000)):
        with closing(Connection(folder / FILE_NAME)) as conn, ThreadPoolExecutor(1) as thread:
            for setting in (*SETTINGS, f"PRAGMA synchronous = {synchronous}", "PRAGMA wal_autocheckpoint = 12"):
                conn.execute(setting)
            store = Store(folder, conn, thread, epoch)  # type: ignore[arg-type]
            site = WrittenSite(store, now_ms=begin_ms)
            await site.resume()
            for second in range(60 * minutes):
                if second % 13 == 5:
                    site.recorder.alarm("test", f"device {second}", "something happened")
                await site.live(1)
                acked.append((len(disk.log), await store.read(snapshot)))
    disk.unregister()
    return Recorded(disk, acked)


def lay(folder: Path, image: Image) -> None:
    """Makes a folder of an image's files."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, content in image.items():
        (folder / name).write_bytes(content)


@contextmanager
def opened(folder: Path, image: Image) -> Iterator[sqlite3.Connection]:
    """The database of an image, by the SQLite of the gateway."""
    lay(folder, image)
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as conn:
        yield conn


def fault(folder: Path, image: Image, acked: list[Snapshot], possible: list[Snapshot]) -> str | None:
    """What an image shows that must not be: "corrupt" or "lost"; None when it is as promised."""
    try:
        with opened(folder, image) as conn:
            if conn.execute("PRAGMA integrity_check").fetchone() != ("ok",) or not chained(conn):
                return "corrupt"
            found = snapshot(conn)
    except (sqlite3.DatabaseError, StoreError):
        return "corrupt"
    if found in possible:
        return None
    return "lost" if found in acked else "corrupt"


def chained(conn: sqlite3.Connection) -> bool:
    for stream in STREAMS:
        at = GENESIS
        for seq, body, after in conn.execute(
            "SELECT seq, body, hash FROM record WHERE stream = ? ORDER BY seq", (stream,)
        ):
            at = chain(at, seq, unpack(body))
            if at != after:
                return False
        if at != outbox.head(conn, stream).hash:
            return False
    return True


def faults(run: Recorded, folder: Path, count: int) -> dict[str | None, int]:
    """How many images show which fault."""
    random = Random(SEED)
    folder.mkdir()
    cuts = sorted(random.randrange(len(run.disk.log) + 1) for _ in range(count))
    counts: dict[str | None, int] = {None: 0, "corrupt": 0, "lost": 0}
    snapshots = [found for _, found in run.acked]
    for cut, image in run.disk.images(cuts, random):
        stored = max(n for n, (length, _) in enumerate(run.acked) if length <= cut)
        # A transaction whose commit was on its way may be there or not, as a whole.
        counts[fault(folder, image, snapshots, snapshots[stored:])] += 1
    return counts


@pytest.mark.slow
async def test_promise_01_what_is_stored_survives_a_power_cut(tmp_path: Path, figure: Callable[[str], None]) -> None:
    run = await record(tmp_path / "data", "FULL")
    found = faults(run, tmp_path / "image", IMAGES)
    figure(
        f"{IMAGES:,} images of {len(run.disk.log):,} disk operations: {found['lost']} lost, {found['corrupt']} corrupt"
    )
    assert found == {None: IMAGES, "lost": 0, "corrupt": 0}


@pytest.mark.slow
@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
async def test_the_control_without_syncs_loses(tmp_path: Path, synchronous: str, figure: Callable[[str], None]) -> None:
    run = await record(tmp_path / "data", synchronous)
    count = IMAGES // 10
    found = faults(run, tmp_path / "image", count)
    figure(f"{synchronous}: {found['lost']} lost, {found['corrupt']} corrupt of {count:,}")
    assert found["lost"] > count // 10
    assert found["corrupt"] > count // 10 or synchronous == "NORMAL"


@pytest.mark.slow
async def test_promise_02_the_loss_window_is_bounded_and_shown(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """After a cut and an outage the counter has lost nothing; the power point at most checkpoint, poll and outage."""
    run = await record(tmp_path / "data", "FULL")
    random = Random(SEED)
    count = scaled(40, 1_000)
    first = run.acked[1][0]
    cuts = sorted(random.randrange(first, len(run.disk.log) + 1) for _ in range(count))
    worst_ms = 0
    for number, (cut, image) in enumerate(run.disk.images(cuts, random)):
        cut_ms = START_MS + cut_second(run, cut) * 1000
        outage_ms = random.choice((5, 70, 600, 4_000)) * 1000
        lost_ms = await go_on(tmp_path / f"image {number}", image, cut_ms + outage_ms)
        assert lost_ms <= CHECKPOINT_MS + POLL_MS + outage_ms + known_gap_ms(cut_ms)
        worst_ms = max(worst_ms, lost_ms - outage_ms - known_gap_ms(cut_ms))
    figure(f"{count:,} cuts: counter 0 mWh lost; power point at most outage + {worst_ms / 1000:g} s, flagged")


def cut_second(run: Recorded, cut: int) -> int:
    """The second of the run in which the cut comes."""
    done = sum(length <= cut for length, _ in run.acked[1:])
    return done + (80 if done >= 120 else 0)


def known_gap_ms(cut_ms: int) -> int:
    """The run itself was away for 80 s after two minutes."""
    return 80_000 + POLL_MS if cut_ms > START_MS + 120_000 else 0


async def go_on(folder: Path, image: Image, now_ms: int) -> int:
    """Starts on an image after an outage; checks what was promised and returns what the power point has lost."""
    lay(folder, image)
    async with Store.open(folder) as store:
        site = WrittenSite(store, now_ms=now_ms)
        await site.resume()
        await site.live(130)
        await site.recorder.round(last=True)
        until_ms = site.clock.wall // 60_000 * 60_000
        assert await site.problems() == []
        first_ms = START_MS + 1000
        assert await site.booked_mWh("grid") == until_ms - first_ms
        energy_mWh = await site.booked_mWh("pump")
        assert energy_mWh % 1000 == 0
        lost_ms = until_ms - first_ms - energy_mWh * 3_600 // POWER_W
        missing_ms = await store.read(flagged_missing_ms)
        assert missing_ms == lost_ms
    return lost_ms


def flagged_missing_ms(conn: sqlite3.Connection) -> int:
    """Time of the power point that the ledger calls missing."""
    found = totals.query(conn, "2000-01-01", "2999-12-31")
    return max((total.missing_ms for total in found if total.device == "pump"), default=0)


def test_the_disk_keeps_what_was_synced_and_any_part_of_the_rest(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    try:
        disk.log += [Op("write", "f", 0, b"a" * 1024), Op("sync", "f"), Op("write", "f", 512, b"b" * 1024)]
        found = {image["f"] for _, image in disk.images([3] * 200, Random(SEED))}
    finally:
        disk.unregister()
    old, new = b"a" * 512, b"b" * 512
    assert found == {old + old, old + new + new, old + new, old + old + new}
