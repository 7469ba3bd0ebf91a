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
from gateway.series import Series, Work
from gateway.store import outbox, registers
from gateway.store.database import Store
from gateway.store.errors import StoreError
from gateway.store.pruning import prune
from gateway.store.registers import RegisterState
from gateway.store.series.raw import Day as RawDay
from sync.wire import encode_block

log = logging.getLogger("huxi.recorder")

PARKED = 240
"""Readings of one device that wait for a date; beyond that every other one goes. Counters lose resolution by it,
power-only registers the time of the gaps, which is recorded as missing."""


SETTLE_MS = 2_000
"""How long after a grid line intervals are closed: by then most devices have been read once more."""


REPEAT_MS = 3_600_000
"""A device that talks nonsense gives an alarm, not a flood of them."""


PRUNE_EVERY_MS = 60_000
PRUNE_RECORDS = 100
"""More records a minute than closes write, so that it keeps up."""


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
        retention_ms: int | None = None,
        series: Series | None = None,
    ) -> None:
        """`identity` tells a device from its like; `on_close` is called after each write that gives work to send;
        `asleep` names the devices whose silence is no fault.

        What the receiver holds shrinks to headers after `retention_ms`; nothing does when that is None. `series`
        get each dated reading and ride in each commit; None: none are kept.
        """
        self._series = series
        self._retention_ms = retention_ms
        self._pruned_ms = 0
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
            if self._unwritten or self._alarms or is_due or self._meter.needs_checkpoint or last:
                await self._write(now_ms, last=last)
            if (
                self._retention_ms is not None
                and not self._store.is_walked
                and not 0 <= now_ms - self._pruned_ms < PRUNE_EVERY_MS
            ):
                self._pruned_ms = now_ms
                await self._prune(now_ms - self._retention_ms)
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
        if self._series is not None:
            self._series.take(reading, t_ms)
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

    async def _prune(self, older_than_ms: int) -> None:
        """A few old records at a time; damaged ones stay, for they are evidence."""
        try:
            await self._store.run(prune, older_than_ms, PRUNE_RECORDS)
        except StoreError as error:
            self.alarm("not_pruned", "", str(error))

    async def _write(self, now_ms: int, *, last: bool) -> None:
        """One transaction; when it fails, everything stays in memory for the next round."""
        states, sweeps, alarms = self._meter.states(), list(self._unwritten), list(self._alarms)
        work = None if self._series is None else self._series.work(now_ms, everything=last)
        self.writing = True
        try:
            aside, raw_day = await self._store.run(self._commit, sweeps, states, alarms, work, now_ms)
        except (StoreError, CarbonError, ValueError, OverflowError) as error:
            if self.error is None:
                log.error("store refused a write reason=%s", error)
            self.error = str(error)
            return
        finally:
            self.writing = False
        if self.error is not None:
            log.info("store writes again")
        self.error = None
        self._saved_ms = now_ms
        self._meter.saved()
        if self._series is not None:
            self._series.written(raw_day)
        del self._unwritten[: len(sweeps)]
        del self._alarms[: len(alarms)]
        for found in aside:
            self.alarm("set_aside", found.name.device, f"{found.name.register}: {found.energy_mWh} mWh {found.why}")
        if raw_day is not None and raw_day.is_over:
            text = "the raw series have used up their budget of today; they go on at midnight UTC"
            self.alarm("raw_budget", "", text)
        if sweeps or alarms:
            self._on_close()

    def _commit(
        self,
        conn: sqlite3.Connection,
        sweeps: Sequence[Sweep],
        states: Sequence[RegisterState],
        alarms: Sequence[Alarm],
        work: Work | None,
        now_ms: int,
    ) -> tuple[list[Aside], RawDay | None]:
        """Everything in the one transaction it is called in; what was too large to be booked, and raw series today."""
        written = [close(conn, sweep=sweep, books=self._books, now_ms=now_ms) for sweep in sweeps]
        registers.save(conn, states)
        for alarm in alarms:
            meta = {"t_ms": alarm.t_ms, "what": alarm.what, "device": alarm.device, "text": alarm.text}
            outbox.append(conn, "events", "alarm", alarm.t_ms, alarm.t_ms, encode_block("alarm", meta, {}))
        raw_day = None if work is None else work.write(conn)
        return [found for each in written for found in each.aside], raw_day
