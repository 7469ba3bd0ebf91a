"""From dated readings to durable intervals: feeds the meter, closes what is ready, keeps the state safe between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime

from drivers.device import Reading
from gateway.alarms import CLOCK_STEP, Alarms
from gateway.carbon.booking.close import Books
from gateway.carbon.errors import CarbonError
from gateway.carbon.metering.meter import Meter
from gateway.carbon.metering.notice import Notice
from gateway.carbon.metering.placing import Placing, place
from gateway.carbon.metering.sweep import Lateness, Sweep
from gateway.carbon.metering.undated import Undated
from gateway.clock import EARLIEST_MS, Anchor, Clock, Dating
from gateway.commit import Commit
from gateway.series import Series
from gateway.store.database import Store
from gateway.store.errors import Damaged, DiskFull, StoreError
from gateway.store.pruning import evict, prune
from gateway.store.space import Level, Space

log = logging.getLogger("huxi.recorder")

SETTLE_MS = 2_000
"""How long after a grid line intervals are closed: by then most devices have been read once more."""


DRIFT_MS = 20
"""The stored date of a boot is renewed when it is off by that much: a restart in the same boot goes on from it."""

ROOM_EVERY_MS = 60_000
ROOM_RECORDS = 100
"""Records that shrink at once: more a minute than closes write, so that it keeps up."""
KEEP_MS = 86_400_000
"""What is newer is never evicted: when that does not make room, others fill the disk."""


LONGEST_RETRY_MS = 30_000
"""How long a write is put off at most after others have failed."""


class Recorder:
    """Owns the meter. Readings come in by `take`; `run` makes them durable."""

    def __init__(
        self,
        *,
        meter: Meter,
        undated: Undated,
        store: Store,
        dating: Dating,
        clock: Clock,
        books: Books,
        interval_ms: int,
        checkpoint_ms: int,
        identity: Callable[[Reading], str | None],
        on_close: Callable[[], None],
        asleep: Callable[[], Collection[str]],
        lessons: Callable[[], Mapping[str, str]],
        space: Space,
        retention_ms: int | None = None,
        series: Series | None = None,
    ) -> None:
        """`undated` keeps what cannot be dated yet; `identity` tells a device from its like; `on_close` is called
        after each write that gives work to send; `asleep` names the devices whose silence is no fault; `lessons` gives
        what devices have taught, by name.

        What the receiver holds shrinks to headers after `retention_ms`; nothing does when that is None, until the
        disk of `space` fills up. `series` get each dated reading and ride in each commit; None: none are kept.
        """
        self._series = series
        self._retention_ms = retention_ms
        self._space = space
        self._room_ms = 0
        self.level = Level.ROOMY
        """What the disk asks for, as of the last look."""
        self.damaged = False
        """True when only a new start can help: it sets the database aside."""
        self._failures = 0
        self._retry_ns = 0
        self._identity = identity
        self._meter = meter
        self._undated = undated
        self._store = store
        self._dating = dating
        self._clock = clock
        self._is_dated = dating.trusted
        """True once everything that was read in this boot is in the meter."""
        self._settled: Anchor | None = dating.anchor
        """The date of this boot that is stored."""
        self._books = books
        self._interval_ms = interval_ms
        self._checkpoint_ms = checkpoint_ms
        self._on_close = on_close
        self._asleep = asleep
        self._lessons = lessons
        self._kept_lessons: dict[str, str] = {}
        self._unwritten: list[Sweep] = []
        self._alarms = Alarms(dating=dating, clock=clock, boot=undated.now.id, newest_ms=lambda: meter.newest_ms)
        self._turn = asyncio.Lock()
        self._swept_slot = 0
        self._saved_ms = 0
        self.error: str | None = None
        """What keeps the store from writing, None while it works."""
        self.ticks = 0
        """Rounds so far: what a watchdog looks at."""
        self.writing = False
        """True while a transaction is on its way; a long one, after a long outage, is no hang."""

    def take(self, reading: Reading) -> None:
        """Takes a reading: into the meter when it can be dated, else aside until the clock is trusted."""
        t_ms = self._dating.date_ms(reading.mono_ns)
        identity = self._identity(reading)
        if t_ms is None or not self._is_dated:
            self._undated.keep(reading, identity, reading.mono_ns // 1_000_000)
        else:
            self._meter.note_identity(reading.device, identity)
            if self._series is not None:
                self._series.take(reading, t_ms)
            self._tell(self._meter.feed(reading, t_ms))

    def alarm(self, what: str, device: str, text: str) -> None:
        """Puts an alarm into the events stream at the next round; the same of one device once an hour at most."""
        self._alarms.add(what, device, text)

    def held(self) -> dict[str, list[str]]:
        """The registers, by device, whose readings contradict each other now."""
        return self._meter.held()

    def doubted(self) -> dict[tuple[str, str], Lateness]:
        """The registers, by device and name, of which nothing is booked since their readings cannot be used."""
        return self._meter.doubted()

    async def run(self) -> None:
        """One round a second until cancelled; the last round writes what the meter knows."""
        try:
            while True:
                await self.round()
                await asyncio.sleep(1)
        finally:
            await self.round(last=True)

    async def round(self, *, last: bool = False) -> None:
        """Watches the clock, then closes at a new grid line, or saves the state when that is due.

        A round is never cut in half and two never overlap: intervals that were written once must not be written again.
        """
        work = asyncio.ensure_future(self._round(last))
        cancelled = False
        while not work.done():
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                cancelled = True
        work.result()
        if cancelled:
            raise asyncio.CancelledError

    async def _round(self, last: bool) -> None:
        async with self._turn:
            self._watch_clock()
            if self._dating.trusted and not self._is_dated:
                await self._date_all()
            now_ms = self._dating.now_ms()
            slot = (now_ms - SETTLE_MS) // self._interval_ms
            if self._is_dated and (slot != self._swept_slot or last):
                self._swept_slot = slot
                self._sweep(now_ms)
            is_due = not 0 <= now_ms - self._saved_ms < self._checkpoint_ms
            has_work = self._unwritten or self._alarms.waiting or is_due
            has_work = has_work or self._meter.needs_checkpoint or (self._undated.is_new and not self._is_dated)
            if last or (has_work and self._clock.mono_ns() >= self._retry_ns):
                await self._write(now_ms, last=last)
            if self._is_dated and not self._store.is_walked and not 0 <= now_ms - self._room_ms < ROOM_EVERY_MS:
                self._room_ms = now_ms
                await self._keep_room(now_ms)
            self.ticks += 1

    def _sweep(self, now_ms: int) -> None:
        swept = self._meter.sweep(now_ms, self._asleep())
        for late in swept.late:
            if late.state == Lateness.HELD:
                text = f"{late.name.register}: its readings contradict each other; nothing is booked until they settle"
                self.alarm("held", late.name.device, text)
        if swept:
            self._unwritten.append(swept)

    def _tell(self, notices: Iterable[Notice]) -> None:
        for notice in notices:
            self.alarm(notice.what, notice.device, notice.text)

    def _watch_clock(self) -> None:
        step = self._dating.observe()
        if step is None:
            return
        if self._is_dated and step.adopted and step.by_ms < 0:
            self._unwritten.append(self._meter.turn_back(-step.by_ms))
        elif self._is_dated:
            self._meter.note_clock_step(step.by_ms if step.adopted else 0)
        if not step.told:
            followed = "dates follow" if step.adopted or not self._is_dated else "nobody vouches for that, dates go on"
            self.alarm(CLOCK_STEP, "", f"the wall clock jumped by {step.by_ms} ms; {followed}")

    async def _date_all(self) -> None:
        """Into the meter with all that waited for a date, register by register: polling goes on meanwhile."""
        anchor, undated = self._dating.anchor, self._undated
        assert anchor is not None
        first_ms = self._clock.mono_ns() // 1_000_000 if undated.first_ms is None else undated.first_ms
        placing = place(
            undated.lengths_ms,
            newest_ms=self._meter.newest_ms,
            earliest_ms=EARLIEST_MS,
            boot_ms=anchor.offset_ms,
            first_ms=anchor.offset_ms + first_ms,
        )
        self._announce(anchor, placing)
        if placing.back_ms:
            self._unwritten.append(self._meter.turn_back(placing.back_ms))
        for key in undated.registers():
            self._tell(self._meter.replay(undated, key, placing, anchor.offset_ms))
            await asyncio.sleep(0)
        for key in undated.registers():  # what came meanwhile
            self._tell(self._meter.replay(undated, key, placing, anchor.offset_ms))
        self._is_dated = True

    def _announce(self, anchor: Anchor, placing: Placing) -> None:
        """Says by what this boot is dated, when anything left or was stored without a date, and what contradicts it."""
        log.info("clock became trusted source=%s boot=%s", anchor.source, self._undated.now.id)
        if self._undated.is_stored or self._alarms.left_undated:
            began = datetime.fromtimestamp(anchor.offset_ms / 1000, UTC).isoformat(timespec="milliseconds")
            text = f"boot {self._undated.now.id} began at {began}, as the {anchor.source} says"
            estimated = f"; {len(placing.offsets_ms)} boots before it never got a date" if placing.offsets_ms else ""
            self.alarm("clock_trusted", "", text + estimated)
        if placing.back_ms:
            ahead_s = placing.back_ms // 1000
            self.alarm("dates_ahead", "", f"the ledger holds dates that are {ahead_s} s too late or more; they stay")

    async def _keep_room(self, now_ms: int) -> None:
        """Shrinks a few old records at a time, more when the disk is full; damaged ones stay, for they are evidence."""
        try:
            self.level = await self._store.read(self._space.level)
            if self.level >= Level.THIN:
                await self._store.run(prune, now_ms, ROOM_RECORDS)
            elif self._retention_ms is not None:
                await self._store.run(prune, now_ms - self._retention_ms, ROOM_RECORDS)
            evicted = 0
            if self.level >= Level.EVICT:
                evicted = await self._store.run(evict, now_ms - KEEP_MS, ROOM_RECORDS)
            if evicted:
                self.alarm("evicted", "", "the disk is nearly full: the oldest records that wait shrink to their sums")
        except DiskFull:
            self._note_full()
        except StoreError as error:
            self.alarm("not_pruned", "", str(error))
        else:
            self._space.keep_ballast()

    def _note_full(self) -> None:
        if self._space.throw_off_ballast():
            log.warning("ballast thrown off")
        self._room_ms = 0

    async def _write(self, now_ms: int, *, last: bool) -> None:
        """One transaction; when it fails, everything stays in memory for the next round."""
        commit = self._gather(now_ms, last=last)
        self.writing = True
        try:
            aside, raw_day = await self._store.run(commit.write, self._books)
        except (StoreError, CarbonError, ValueError, OverflowError) as error:
            if isinstance(error, DiskFull):
                self._note_full()
            self.damaged = isinstance(error, Damaged)
            self._put_off(str(error))
            return
        finally:
            self.writing = False
        if self.error is not None:
            log.info("store writes again")
        self.error = None
        self._failures = self._retry_ns = 0
        self._saved_ms = now_ms
        self._meter.saved()
        self._kept_lessons.update(commit.lessons)
        if commit.undated is not None:
            self._undated.saved(is_whole=commit.undated_is_whole)
        self._settled = commit.anchor or self._settled
        if self._series is not None:
            self._series.written(raw_day)
        del self._unwritten[: len(commit.sweeps)]
        del self._alarms.waiting[: len(commit.alarms)]
        for found in aside:
            self.alarm("set_aside", found.name.device, f"{found.name.register}: {found.energy_mWh} mWh {found.why}")
        if raw_day is not None and raw_day.is_over:
            text = "the raw series have used up their budget of today; they go on at midnight UTC"
            self.alarm("raw_budget", "", text)
        if commit.sweeps or commit.alarms:
            self._on_close()

    def _put_off(self, reason: str) -> None:
        """The next write waits, longer from failure to failure."""
        if self.error is None:
            log.error("store refused a write reason=%s", reason)
        self.error = reason
        wait_ms = min(1000 << min(self._failures, 10), LONGEST_RETRY_MS)
        self._retry_ns = self._clock.mono_ns() + wait_ms * 1_000_000
        self._failures += 1

    def _gather(self, now_ms: int, *, last: bool) -> Commit:
        """All that is not durable yet."""
        undated, is_whole = (None, False) if self._is_dated else self._undated.unsaved()
        series = None
        if self._series is not None:
            series = self._series.work(now_ms, everything=last, with_raw=self.level < Level.STOP_SERIES)
        return Commit(
            sweeps=list(self._unwritten),
            states=self._meter.states(),
            alarms=list(self._alarms.waiting),
            lessons={name: text for name, text in self._lessons().items() if self._kept_lessons.get(name) != text},
            boot=self._undated.now.id,
            undated=undated,
            undated_is_whole=is_whole,
            anchor=self._moved_anchor(),
            series=series,
            now_ms=now_ms,
        )

    def _moved_anchor(self) -> Anchor | None:
        """The date of this boot when it is to be stored: when it is new, or drifted from what is stored."""
        anchor, settled = self._dating.anchor, self._settled
        if not self._is_dated or anchor is None:
            return None
        near = settled is not None and abs(anchor.offset_ms - settled.offset_ms) < DRIFT_MS
        return None if near else anchor
