"""The recorder over a real store: dates, closes, checkpoints, and what happens when a write fails or is cut short."""

import asyncio
import math
import sqlite3
from array import array
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from drivers.device import Reading
from ext import CounterSpec, Quality
from gateway.carbon.booking.close import Books
from gateway.carbon.booking.entries import Scope
from gateway.carbon.booking.rules import Declaration
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.intervals import Intervals
from gateway.carbon.metering.meter import Meter
from gateway.carbon.metering.register_spec import RegisterSpec
from gateway.carbon.metering.undated import Undated
from gateway.carbon.proof.auditor import Auditor
from gateway.clock import EARLIEST_MS, LEAP_HOLD_MS, Dating
from gateway.recorder import SETTLE_MS, Recorder
from gateway.store import outbox, totals
from gateway.store.audit.verification import verify
from gateway.store.body import unpack
from gateway.store.database import Store
from gateway.store.delivery import StoreOutbox
from gateway.store.errors import StoreError
from gateway.store.flag import Flag
from gateway.store.registers import load_all
from gateway.store.space import Space
from sync.wire import decode_block
from tests.hand_clock import HandClock

INTERVAL_MS = 60_000
RETENTION_MS = 3_600_000
START_MS = EARLIEST_MS + 300 * 86_400_000
FACTORS = FactorSet.load(shipped())
SPEC = RegisterSpec(
    device="grid",
    register="import",
    flow="import",
    point=0,
    max_gap_ms=3_000,
    counter=CounterSpec(modulus=1 << 32, scale_num=1000, scale_den=1, p_max_W=50_000, refresh_s=60, jitter=1, policy=0),
)
BOOKS = Books(
    scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"),
    factors=FACTORS,
    devices={"grid": Declaration(role="grid")},
)


class Site:
    """A recorder with one counter that is read each second."""

    def __init__(self, store: Store) -> None:
        self.clock = HandClock(START_MS, 1_000)
        self.store = store
        self.raw = 100
        self.closes = 0
        self.asleep: set[str] = set()
        self.lessons: dict[str, str] = {}
        self.begin()

    def begin(self) -> None:
        """A new process over the same store."""
        self.meter = Meter([SPEC], INTERVAL_MS, partial(FACTORS.boundaries, "CN-SC"))
        self.recorder = Recorder(
            meter=self.meter,
            undated=Undated([SPEC], INTERVAL_MS, "boot-1"),
            store=self.store,
            dating=Dating(self.clock, [self.clock.witness]),
            clock=self.clock,
            books=BOOKS,
            interval_ms=INTERVAL_MS,
            checkpoint_ms=10_000,
            identity=lambda reading: None,
            on_close=self.note_close,
            asleep=lambda: self.asleep,
            lessons=lambda: self.lessons,
            space=Space(self.store.data_dir, lambda folder: (100, 0, 100)),
            retention_ms=RETENTION_MS,
        )

    def note_close(self) -> None:
        self.closes += 1

    async def live(self, seconds: int, *, step: int = 1) -> None:
        for _ in range(seconds):
            self.clock.pass_ms(1_000)
            self.raw += step
            self.recorder.take(self.reading())
            await self.recorder.round()

    def reading(self) -> Reading:
        return Reading(
            device="grid",
            mono_ns=self.clock.mono_ns(),
            values=array("d", [math.nan]),
            raws=array("q", [self.raw]),
            exponents=array("b", [0]),
            ulps=array("q", [0]),
            quality=array("B", [Quality.OK]),
            texts={},
        )

    async def booked_mWh(self) -> int:
        sums = totals.by_register(await self.store.read(totals.query, "2000-01-01", "2999-12-31"))
        return sum(total.energy_mWh for total in sums)

    async def problems(self) -> list[str]:
        return await self.store.read(verify, Auditor(FACTORS))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "data") as store:
        yield store


async def records(store: Store, stream: str) -> list[bytes]:
    def bodies(conn: sqlite3.Connection) -> list[bytes]:
        rows = conn.execute("SELECT body FROM record WHERE stream = ? ORDER BY seq", (stream,))
        return [unpack(body) for (body,) in rows]

    return await store.read(bodies)


async def test_an_interval_is_closed_soon_after_its_end_and_only_once(store: Store) -> None:
    site = Site(store)
    await site.live(60 + SETTLE_MS // 1000)
    assert site.closes == 1
    await site.live(60)
    assert site.closes == 2
    assert await site.booked_mWh() == 1000 * (120 - 1)
    assert await site.problems() == []


async def test_the_first_reading_is_durable_at_once(store: Store) -> None:
    site = Site(store)
    await site.live(1)
    assert len(await store.read(load_all)) == 1


async def test_a_new_process_goes_on_where_the_last_checkpoint_stood(store: Store) -> None:
    site = Site(store)
    await site.live(95)
    site.begin()
    site.meter.load(await store.read(load_all))
    await site.live(95)
    await site.recorder.round(last=True)
    line_ms = site.clock.wall // INTERVAL_MS * INTERVAL_MS
    assert await site.booked_mWh() == 1000 * ((line_ms - START_MS) // 1000 - 1)
    assert await site.problems() == []


async def test_a_refused_write_is_written_once_when_the_store_works_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(store)
    await site.live(50)
    run = store.run

    async def refuse(*args: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "run", refuse)
    await site.live(100)
    assert site.recorder.error == "the disk is full"
    monkeypatch.setattr(store, "run", run)
    await site.live(40)
    assert site.recorder.error is None
    assert await site.booked_mWh() == 1000 * (180 - 1)
    assert await site.problems() == []


async def test_a_round_that_is_cancelled_is_still_written_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop can come between the commit and its bookkeeping: what was written must not be written again."""
    site = Site(store)
    await site.live(61)
    site.clock.pass_ms(1_000)
    site.recorder.take(site.reading())
    run, committed, go_on = store.run, asyncio.Event(), asyncio.Event()

    async def slow(*args: object) -> object:
        written = await run(*args)  # type: ignore[arg-type]
        committed.set()
        await go_on.wait()
        return written

    monkeypatch.setattr(store, "run", slow)
    cut = asyncio.create_task(site.recorder.round())
    await committed.wait()
    for _ in range(2):  # a group that breaks up while it stops cancels twice
        cut.cancel()
        await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await cut
    await site.recorder.round(last=True)
    assert await site.booked_mWh() == 1000 * (60 - 1)
    assert await site.problems() == []


async def test_two_rounds_at_once_write_once(store: Store) -> None:
    site = Site(store)
    await site.live(61)
    site.clock.pass_ms(1_000)
    site.recorder.take(site.reading())
    await asyncio.gather(*(site.recorder.round() for _ in range(4)))
    assert await site.booked_mWh() == 1000 * (60 - 1)
    assert await site.problems() == []


async def test_the_same_alarm_is_told_once_an_hour(store: Store) -> None:
    site = Site(store)
    await site.live(2)
    for _ in range(20):
        site.recorder.alarm("overflow", "grid", "beyond all measure")
        await site.live(1)
    site.clock.pass_ms(3_600_000)
    site.recorder.alarm("overflow", "grid", "beyond all measure")
    await site.live(1)
    assert len(await records(store, "events")) == 2


async def test_findings_and_clock_steps_go_to_the_events_stream(store: Store) -> None:
    site = Site(store)
    await site.live(5)
    site.raw = 10
    await site.live(3)
    site.clock.wall += 7_200_000
    await site.live(1)
    alarms = [decode_block(body).meta for body in await records(store, "events")]
    assert [alarm["what"] for alarm in alarms] == ["reset", "clock_step"]
    assert alarms[0]["device"] == "grid"
    (late,) = [decode_block(body) for body in await records(store, "ledger")]
    assert (late.kind, late.columns["state"]) == ("coverage", [1])  # two hours went by without a reading
    assert (await store.read(outbox.stats)).backlog_records == 3


async def flags_by_row(store: Store) -> dict[tuple[int, int], tuple[int | None, int]]:
    """Energy and flags of each row, by its begin and end in seconds from the start."""
    found = {}
    for block in map(decode_block, await records(store, "ledger")):
        if block.kind == "intervals":
            part = Intervals.from_block(block)
            for t0, t1, energy, flags in zip(part.t0_ms, part.t1_ms, part.energy_mWh, part.flags, strict=True):
                found[(t0 - START_MS) // 1000, (t1 - START_MS) // 1000] = energy, flags
    return found


async def test_a_step_of_the_wall_clock_makes_no_energy_plausible_and_loses_none(store: Store) -> None:
    """300 kWh in a second are believable when the clock says that it was six hours."""
    site = Site(store)
    await site.live(70)
    site.clock.wall += 6 * 3_600_000
    await site.live(1)
    site.raw += 300_000
    await site.live(1)
    site.raw -= 300_000
    await site.live(120)
    assert await site.booked_mWh() == 1000 * (180 - 1)
    skipped = {bounds: row for bounds, row in (await flags_by_row(store)).items() if row[0] is None}
    assert (min(skipped)[0], max(skipped)[1]) == (71, 71 + 6 * 3600)
    assert sum(end - begin for begin, end in skipped) == 6 * 3600
    assert {flags for _, flags in skipped.values()} == {Flag.CLOCK_STEP}
    alarms = [decode_block(body).meta["what"] for body in await records(store, "events")]
    assert alarms.count("clock_step") == 1
    assert await site.problems() == []


async def test_a_step_survives_a_kill_before_the_next_reading(store: Store) -> None:
    site = Site(store)
    await site.live(70)
    site.clock.wall += 6 * 3_600_000
    await site.live(1)
    site.begin()
    site.meter.load(await store.read(load_all))
    await site.recorder.round()
    site.raw += 300_000
    await site.live(1)
    site.raw -= 300_000
    await site.live(120)
    assert await site.booked_mWh() == 1000 * (180 - 1)
    skipped = [flags for energy, flags in (await flags_by_row(store)).values() if energy is None]
    assert set(skipped) == {Flag.CLOCK_STEP}


async def test_a_leap_is_told_once_and_enters_no_span_when_it_is_adopted(store: Store) -> None:
    site = Site(store)
    await site.live(30)
    site.clock.wall += 2 * 86_400_000
    await site.live(LEAP_HOLD_MS // 1000 + 1)
    site.raw += 300_000
    await site.live(1)
    site.raw -= 300_000
    await site.live(90)
    assert await site.booked_mWh() == 1000 * (720 - 1)
    skipped = {bounds: row for bounds, row in (await flags_by_row(store)).items() if row[0] is None}
    assert sum(end - begin for begin, end in skipped) == 2 * 86_400
    assert {flags for _, flags in skipped.values()} == {Flag.CLOCK_STEP}
    alarms = [decode_block(body).meta["what"] for body in await records(store, "events")]
    assert alarms.count("clock_step") == 1
    assert await site.problems() == []


async def test_night_is_told_as_sleep_and_raises_no_alarm(store: Store) -> None:
    site = Site(store)
    await site.live(5)
    site.asleep = {"grid"}
    for _ in range(120):
        site.clock.pass_ms(60_000)
        await site.recorder.round()
    assert await records(store, "events") == []
    (late,) = [decode_block(body) for body in await records(store, "ledger")]
    assert (late.kind, late.columns["state"]) == ("coverage", [3])


async def test_what_the_receiver_holds_is_pruned_after_the_retention(store: Store) -> None:
    site = Site(store)
    await site.live(70)
    booked = await site.booked_mWh()
    await StoreOutbox(store, "g").settle("ledger", 1)
    site.clock.pass_ms(RETENTION_MS)
    await site.live(1)
    kinds = [decode_block(body).kind for body in await records(store, "ledger")]
    assert "header" not in kinds  # an interval goes with its entries, and those are not acknowledged
    await StoreOutbox(store, "g").settle("ledger", 2)
    site.clock.pass_ms(60_000)
    await site.live(1)
    kinds = [decode_block(body).kind for body in await records(store, "ledger")]
    assert (kinds[:2], "header" in kinds[2:]) == (["header", "header"], False)
    assert await site.booked_mWh() >= booked
    assert await site.problems() == []
