"""`python -m tests.bench.series`: what the series cost the daemon, and a chart beside commits with two years stored."""

import asyncio
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from gateway.series import Keeping
from gateway.store.database import Store
from gateway.store.series.chart import chart
from gateway.store.series.rollups import DAY_MS, WINDOW_MS
from tests.bench.report import row, title
from tests.wear_site import START_MS, WIDE, WearSite, wear_site

SECONDS, DEVICES = 300, 50
GOAL_PERCENT, GOAL_MS = 5.0, 50.0
DAYS, MINUTE_DAYS = 730, 30


def run() -> None:
    title(f"series: {DEVICES} devices with {WIDE} points each second")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_writer(Path(folder)))
    title("a chart with two years stored, and commits beside it")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_charts(Path(folder)))


async def _writer(folder: Path) -> None:
    """CPU of a second of 3,000 values: rollups and raw series against the same site without."""
    spent = {}
    for name, is_kept in (("without series", False), ("with rollups and raw series", True)):
        async with Store.open(folder / name) as store:
            site = await wear_site(store, Keeping(raw_ms=DAY_MS, raw_bytes_per_day=10**10), points=WIDE)
            if not is_kept:
                site.recorder._series = None
            spent[name] = await _cpu_s(site)
            row(name, f"{100 * spent[name] / SECONDS:.2f} % of a core")
    percent = 100 * (spent["with rollups and raw series"] - spent["without series"]) / SECONDS
    verdict = "met" if percent < GOAL_PERCENT else "MISSED"
    row("the series alone", f"{percent:.2f} % of a core", f"goal < {GOAL_PERCENT:g} %: {verdict}")


async def _cpu_s(site: WearSite) -> float:
    """CPU of the recorder with all its threads; the making of readings does not count."""
    spent = 0
    for _ in range(SECONDS):
        site.clock.wall += 1000
        readings = site.poll()
        begin = time.process_time_ns()
        for reading in readings:
            site.recorder.take(reading)
        await site.recorder.round()
        spent += time.process_time_ns() - begin
    return spent / 1e9


async def _charts(folder: Path) -> None:
    async with Store.open(folder / "data") as store:
        site = await wear_site(store, Keeping())
        await site.live(3600, poll_s=10, settle=lambda: None)
        end_ms = START_MS // DAY_MS * DAY_MS
        await store.run(_fill, end_ms)
        kept = [await _timed(_commit(store)) for _ in range(50)]
        beside: list[float] = []
        times: dict[str, list[float]] = {"a day by the minute": [], "a month by the quarter": []}
        for number in range(40):
            device = f"meter-{number % 2 + 48:02}"  # of the chunk whose rows were taken
            spans = (
                ("a day by the minute", end_ms - (number % 25 + 2) * DAY_MS, DAY_MS),
                ("a month by the quarter", end_ms - (number * 17 + 40) * DAY_MS, 31 * DAY_MS),
            )
            for name, t0_ms, span_ms in spans:
                query = chart(
                    store,
                    device,
                    "p0",
                    t0_ms=t0_ms,
                    t1_ms=t0_ms + span_ms,
                    minutes_from_ms=end_ms - MINUTE_DAYS * DAY_MS,
                )
                took, commit = await asyncio.gather(_timed(query), _timed(_commit(store)))
                times[name].append(took)
                beside.append(commit)
        for name, taken in times.items():
            median = statistics.median(taken)
            verdict = "met" if median < GOAL_MS else "MISSED"
            row(name, f"{median:.1f} ms", f"longest {max(taken):.1f}; goal < {GOAL_MS:g} ms: {verdict}")
        row("a commit alone", f"{statistics.median(kept):.2f} ms", f"longest {max(kept):.1f}")
        row("a commit asked for with a chart", f"{statistics.median(beside):.2f} ms", f"longest {max(beside):.1f}")


def _fill(conn: sqlite3.Connection, end_ms: int) -> None:
    """Two years of quarters and a month of minutes, from the rows of an hour."""
    (minutes,) = conn.execute("SELECT body FROM series_minute WHERE id % 4096 = 3 LIMIT 1 OFFSET 4").fetchone()
    first = end_ms // WINDOW_MS
    windows = range(first - MINUTE_DAYS * 288, first)
    conn.executemany(
        "INSERT OR REPLACE INTO series_minute VALUES (?, ?)",
        ((w * 4096 + chunk, minutes) for w in windows for chunk in range(4)),
    )
    quarters = _quarters()
    numbers = ((end_ms // DAY_MS - day) * (1 << 20) + channel for day in range(1, DAYS) for channel in range(1, 201))
    conn.executemany("INSERT OR REPLACE INTO series_quarter VALUES (?, ?)", ((number, quarters) for number in numbers))
    conn.execute("INSERT OR REPLACE INTO meta VALUES ('folded', ?)", (f"{end_ms // DAY_MS} 0",))


def _quarters() -> bytes:
    import random
    import zlib

    from gateway.store.series.sample import Sample, to_text

    walk = random.Random(1)
    day = {n: Sample(900, *(float(walk.randrange(4000)) for _ in range(4))) for n in range(96)}
    return zlib.compress(to_text(day, 96, is_counter=False).encode())


async def _commit(store: Store) -> None:
    await store.run(lambda conn: conn.execute("INSERT OR REPLACE INTO meta VALUES ('bench', hex(randomblob(500)))"))


async def _timed(work: object) -> float:
    begin = time.perf_counter()
    await work  # type: ignore[misc]
    return (time.perf_counter() - begin) * 1000


if __name__ == "__main__":
    run()
