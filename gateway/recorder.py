"""From dated readings to durable intervals: feeds the meter, closes what is ready, keeps the state safe between."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from drivers.device import Reading
from gateway.carbon.booking.aside import Aside
from gateway.carbon.booking.close import Books, close
from gateway.carbon.errors import CarbonError
from gateway.carbon.metering.meter import Meter
from gateway.carbon.metering.sweep import Lateness, Sweep
from gateway.clock import Dating
from gateway.store import outbox, registers
from gateway.store.database import Store
from gateway.store.errors import Damaged, DiskFull, StoreError
from gateway.store.pruning import evict, prune
from gateway.store.registers import RegisterState
from gateway.store.space import Level, Space
from sync.wire import encode_block

log = logging.getLogger("huxi.recorder")

PARKED = 240
"""Readings of one device that wait for a date; beyond that every other one goes. Counters lose resolution by it,
power-only registers the time of the gaps, which is recorded as missing."""


SETTLE_MS = 2_000
"""How long after a grid line intervals are closed: by then most devices have been read once more."""


REPEAT_MS = 3_600_000
"""A device that talks nonsense gives an alarm, not a flood of them."""


ROOM_EVERY_MS = 60_000
ROOM_RECORDS = 100
"""Records that shrink at once: more a minute than closes write, so that it keeps up."""
KEEP_MS = 86_400_000
"""What is newer is never evicted: when that does not make room, others fill the disk."""


LONGEST_RETRY_MS = 30_000
"""How long a write is put off at most after others have failed."""


class Alarm(NamedTuple):
    """Something a person should know, dated."""

    t_ms: int
    what: str
    device: str
    text: str


class Recorder:
    """Owns the meter. Readings come in by `take`; `run` makes them durable."""

    def __init__(
        self,
        *,
        meter: Meter,
        store: Store,
        dating: Dating,
        books: Books,
        interval_ms: int,
        checkpoint_ms: int,
        identity: Callable[[Reading], str | None],
        on_close: Callable[[], None],
        asleep: Callable[[], Collection[str]],
        space: Space,
        retention_ms: int | None = None,
    ) -> None:
        """`identity` tells a device from its like; `on_close` is called after each write that gives work to send;
        `asleep` names the devices whose silence is no fault.

        What the receiver holds shrinks to headers after `retention_ms`; nothing does when that is None, until the
        disk of `space` fills up.
        """
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
        self._store = store
        self._dating = dating
        self._books = books
        self._interval_ms = interval_ms
        self._checkpoint_ms = checkpoint_ms
        self._on_close = on_close
        self._asleep = asleep
        self._parked: dict[str, list[Reading]] = {}
        self._unwritten: list[Sweep] = []
        self._alarms: list[Alarm] = []
        self._turn = asyncio.Lock()
        self._swept_slot = 0
        self._saved_ms = 0
        self.error: str | None = None
        """What keeps the store from writing, None while it works."""
        self._heard: dict[tuple[str, str], int] = {}
        self.ticks = 0
        """Rounds so far: what a watchdog looks at."""
        self.writing = False
        """True while a transaction is on its way; a long one, after a long outage, is no hang."""

    def take(self, reading: Reading) -> None:
        """Takes a reading: into the meter when it can be dated, else aside until the clock is trusted."""
        t_ms = self._dating.date_ms(reading.mono_ns)
        if t_ms is None:
            self._park(reading)
        else:
            self._feed(reading, t_ms)

    def alarm(self, what: str, device: str, text: str) -> None:
        """Puts an alarm into the events stream at the next round; the same of one device once an hour at most."""
        now_ms = self._dating.now_ms()
        heard_ms = self._heard.get((what, device))
        if heard_ms is not None and 0 <= now_ms - heard_ms < REPEAT_MS:
            return
        self._heard[what, device] = now_ms
        log.warning("alarm raised what=%s device=%s text=%s", what, device, text)
        self._alarms.append(Alarm(now_ms, what, device, text))

    def held(self) -> dict[str, list[str]]:
        """The registers, by device, whose readings contradict each other now."""
        return self._meter.held()

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
            now_ms = self._dating.now_ms()
            slot = (now_ms - SETTLE_MS) // self._interval_ms
            if self._dating.trusted and (slot != self._swept_slot or last):
                self._swept_slot = slot
                self._sweep(now_ms)
            is_due = not 0 <= now_ms - self._saved_ms < self._checkpoint_ms
            has_work = self._unwritten or self._alarms or is_due or self._meter.needs_checkpoint
            if last or (has_work and self._dating.mono_ns() >= self._retry_ns):
                await self._write(now_ms)
            if not self._store.is_walked and not 0 <= now_ms - self._room_ms < ROOM_EVERY_MS:
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

    def _feed(self, reading: Reading, t_ms: int) -> None:
        self._meter.note_identity(reading.device, self._identity(reading))
        for notice in self._meter.feed(reading, t_ms):
            self.alarm(notice.what, notice.device, notice.text)

    def _watch_clock(self) -> None:
        step = self._dating.observe()
        if step is not None:
            self._meter.note_clock_step(step.by_ms if step.adopted else 0)
            if not step.told:
                self.alarm("clock_step", "", f"the wall clock jumped by {step.by_ms} ms")
        if self._dating.trusted and self._parked:
            parked, self._parked = self._parked, {}
            waiting = sorted((r for readings in parked.values() for r in readings), key=lambda r: r.mono_ns)
            log.info("clock became trusted parked_readings=%d", len(waiting))
            for reading in waiting:
                self.take(reading)

    def _park(self, reading: Reading) -> None:
        readings = self._parked.setdefault(reading.device, [])
        readings.append(reading)
        if len(readings) > PARKED:
            del readings[1:-1:2]

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

    async def _write(self, now_ms: int) -> None:
        """One transaction; when it fails, everything stays in memory for the next round."""
        states, sweeps, alarms = self._meter.states(), list(self._unwritten), list(self._alarms)
        self.writing = True
        try:
            aside = await self._store.run(self._commit, sweeps, states, alarms, now_ms)
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
        del self._unwritten[: len(sweeps)]
        del self._alarms[: len(alarms)]
        for found in aside:
            self.alarm("set_aside", found.name.device, f"{found.name.register}: {found.energy_mWh} mWh {found.why}")
        if sweeps or alarms:
            self._on_close()

    def _put_off(self, reason: str) -> None:
        """The next write waits, longer from failure to failure."""
        if self.error is None:
            log.error("store refused a write reason=%s", reason)
        self.error = reason
        wait_ms = min(1000 << min(self._failures, 10), LONGEST_RETRY_MS)
        self._retry_ns = self._dating.mono_ns() + wait_ms * 1_000_000
        self._failures += 1

    def _commit(
        self,
        conn: sqlite3.Connection,
        sweeps: Sequence[Sweep],
        states: Sequence[RegisterState],
        alarms: Sequence[Alarm],
        now_ms: int,
    ) -> list[Aside]:
        """Everything in the one transaction it is called in; what was too large to be booked."""
        written = [close(conn, sweep=sweep, books=self._books, now_ms=now_ms) for sweep in sweeps]
        registers.save(conn, states)
        for alarm in alarms:
            meta = {"t_ms": alarm.t_ms, "what": alarm.what, "device": alarm.device, "text": alarm.text}
            outbox.append(conn, "events", "alarm", alarm.t_ms, alarm.t_ms, encode_block("alarm", meta, {}))
        return [found for each in written for found in each.aside]
