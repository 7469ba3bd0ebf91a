"""What the outside may know of the running gateway: fulfils `gateway.web.site.Site`."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import Any

import ext
from drivers.learnt import Learnt
from drivers.modbus.link import Link
from drivers.point import Point
from ext.quality import Quality
from gateway.buffer_gauge import BufferGauge
from gateway.carbon.errors import FactorError
from gateway.carbon.factors.factor_set import Factor
from gateway.clock import Clock, Dating
from gateway.config import Config
from gateway.health import Facts, clock_text, problems
from gateway.ledger_desk import LedgerDesk
from gateway.ledger_view import LedgerView
from gateway.lessons import Lessons
from gateway.live import Live, LiveDevice
from gateway.recorder import Recorder
from gateway.series import Series
from gateway.store import disk, outbox, quarantine, set_aside, totals
from gateway.store.database import Store
from gateway.store.errors import StoreError
from gateway.store.series.chart import chart
from gateway.store.set_aside import Quarantine
from gateway.store.space import Level
from gateway.store.totals import DayTotal
from gateway.web.errors import Busy, NotFound
from gateway.witness import hand
from sync.forwarder import Forwarder
from sync.telemetry.telemetry import Telemetry


@dataclass(slots=True, kw_only=True)
class View:
    """Answers from memory, and from the store in the store's own thread."""

    config: Config
    started_ns: int
    """Monotonic: the wall clock may be set while we run."""
    links: Mapping[str, Link]
    live_state: Live
    lessons: Lessons
    clock: Clock
    dating: Dating
    store: Store
    ledger: LedgerView
    desk: LedgerDesk
    recorder: Recorder
    series: Series
    gauge: BufferGauge
    forwarder: Forwarder | None
    telemetry: Telemetry | None
    today_mWh: dict[str, int] = field(default_factory=dict)
    """Energy of each device's first register today, as of the last look at the store."""
    _stats: outbox.BufferStats = outbox.NO_STATS
    _rows: Sequence[DayTotal] = ()
    _quarantine: Quarantine = set_aside.NOTHING

    def line(self) -> str:
        """The state in one line, from memory, for `systemctl status`."""
        now_ns = time.monotonic_ns()
        states = [device.state(now_ns) for device in self.live_state.devices.values()]
        asleep = f", {states.count('asleep')} asleep" if "asleep" in states else ""
        line = f"{states.count('ok')} of {len(states)} devices answer{asleep}"
        if self.recorder.error:
            return f"{line}; nothing can be written: {self.recorder.error}"
        if self.forwarder and self.forwarder.state()["reachable"] is False:
            return f"{line}; the receiver cannot be reached, everything is kept"
        return line

    def note_today(self, rows: Iterable[DayTotal]) -> None:
        """Keeps what the day's totals say of each device, for answers from memory."""
        main = {name: device.main_register for name, device in self.live_state.devices.items()}
        self.today_mWh = {row.device: row.energy_mWh for row in rows if main.get(row.device) == row.register}

    async def status(self) -> dict[str, Any]:
        """`web.models.Status`."""
        now_ms, now_ns = self.dating.now_ms(), time.monotonic_ns()
        store_error = await self._look(now_ms)
        stats, rows = self._stats, self._rows
        factor = self._factor(now_ms)
        states = {name: device.state(now_ns) for name, device in self.live_state.devices.items()}
        sync = self._sync(stats.backlog_records)
        mqtt = None if self.telemetry is None else self.telemetry.state()
        facts = Facts(
            states=states,
            strange={
                name: device.reading.strange for name, device in self.live_state.devices.items() if device.reading
            },
            links={
                name: (link.stats.connected, link.stats.last_error)
                for name, link in self.links.items()
                if not self._is_asleep(name, states)
            },
            sync=sync,
            mqtt=mqtt,
            store_error=store_error,
            clock_trusted=self.dating.trusted,
            clock_astray_ms=self.dating.astray_ms,
            disk_free_bytes=disk.free_bytes(self.store.data_dir),
            evicting=self.recorder.level >= Level.EVICT,
            set_aside=quarantine.reasons(self.store.data_dir),
            doubted=self.recorder.doubted(),
            undecided=len(self.desk.undecided.found),
            core=ext.IMPLEMENTATION,
        )
        return {
            "gateway": self.config.gateway.id,
            "version": version("huxi"),
            "core": ext.IMPLEMENTATION,
            "pid": os.getpid(),
            "started_ms": now_ms - (now_ns - self.started_ns) // 1_000_000,
            "now_ms": now_ms,
            "clock": self._clock(),
            "region": self.config.gateway.region,
            "interval_s": self.config.carbon.interval_ms // 1000,
            "lens": self.config.carbon.lenses[0],
            "factor": factor and _factor_json(factor),
            "links": [self._link(name, link, self._is_asleep(name, states)) for name, link in self.links.items()],
            "devices": {"total": len(states), **_counts(states)},
            "buffer": self._buffer(facts.disk_free_bytes),
            "sync": sync,
            "mqtt": mqtt,
            "today": self._today(rows),
            "problems": [problem.as_json() for problem in problems(facts)],
        }

    async def _look(self, now_ms: int) -> str | None:
        """Looks at the store; what is wrong with it, None when nothing is. Then the last look stands."""
        today = datetime.fromtimestamp(now_ms / 1000, self.config.zone).date().isoformat()
        try:
            lens = self.config.carbon.lenses[0]
            self._stats, self._rows, self._quarantine = await self.store.read(_look, today, lens)
            await self.store.read(self.desk.undecided.advance)
        except StoreError as error:  # the page must say what is wrong just when the disk is
            return self.recorder.error or str(error)
        self.note_today(self._rows)
        if not self.store.is_in_place:
            return "the database was moved or deleted while it was open; stop the gateway, bring the data folder back"
        return self.recorder.error

    async def devices(self) -> dict[str, Any]:
        """`web.models.Devices`."""
        await self._look(self.dating.now_ms())
        now_ns = time.monotonic_ns()
        held = self.recorder.held()
        return {"devices": [self._device(device, now_ns, held) for device in self.live_state.devices.values()]}

    def live(self) -> dict[str, Any]:
        """`web.models.Live`."""
        now_ns = time.monotonic_ns()
        held = self.recorder.held()
        return {
            "t_ms": self.dating.now_ms(),
            "devices": [
                {
                    "name": name,
                    "state": device.state(now_ns),
                    "power_W": self.live_state.power_W(name, now_ns),
                    "values": {
                        point.name: _value(device, index, quality)
                        for index, (point, quality) in enumerate(_points(device, now_ns, held))
                        if not point.is_text
                    },
                }
                for name, device in self.live_state.devices.items()
            ],
        }

    def live_line(self) -> bytes:
        """The newest values as they are shown to the receiver: one JSON object."""
        return json.dumps({"live": True, **self.live()}, separators=(",", ":"), allow_nan=False).encode()

    def history(self, device: str, minutes: int) -> dict[str, Any]:
        """`web.models.History`; NotFound when no device has that name."""
        self._require(device)
        times, powers = self.live_state.history(device, minutes, self.dating.now_ms())
        return {"t_ms": times, "power_W": powers}

    def relearn(self, device: str) -> dict[str, Any]:
        """`web.models.Relearning`; NotFound when no device has that name."""
        self._require(device)
        self.lessons.forget(device)
        return {"device": device}

    async def trust_clock(self) -> dict[str, Any]:
        """`web.models.ClockTrusted`; Busy when the clock cannot be right."""
        now_ms = self.clock.wall_ms()
        anchor = hand(self.clock)
        if anchor is None:
            raise Busy("the clock cannot be right", "set it first: sudo date -s '2026-01-31 12:00'")
        self.dating.hear(anchor)
        return {"now_ms": now_ms}

    async def chart(self, device: str, point: str | None, t0_ms: int, t1_ms: int) -> dict[str, Any]:
        """`web.models.Chart`; NotFound when no device or point has that name."""
        self._require(device)
        shown = self.live_state.devices[device]
        if point is None and shown.power_index is not None:
            point = shown.place.profile.points[shown.power_index].name
        minutes_from_ms = self.dating.now_ms() - self.series.keeping.minutes_ms
        found = None
        if point is not None:
            found = await chart(self.store, device, point, t0_ms=t0_ms, t1_ms=t1_ms, minutes_from_ms=minutes_from_ms)
        if found is None:
            raise NotFound(
                f"device {device!r} has no point {point or 'of its power'!r} with numbers", "see /api/v1/devices"
            )
        return found

    async def sync_now(self) -> dict[str, Any]:
        """`web.models.Drained`."""
        if self.forwarder is None:
            return {"drained": False, "error": "no receiver is configured: add a [sync] table"}
        drained = await self.forwarder.flush()
        error = self.forwarder.state()["last_error"]
        return {"drained": drained, "error": None if drained else error or "records are still waiting"}

    def _require(self, device: str) -> None:
        if device not in self.live_state.devices:
            raise NotFound(f"there is no device called {device!r}", "see `huxi devices`")

    def _clock(self) -> dict[str, Any]:
        anchor = self.dating.anchor
        source = None if anchor is None else anchor.source
        return {
            "trusted": source is not None,
            "source": source,
            "text": clock_text(source, vouched=self.dating.vouched),
        }

    def _buffer(self, disk_free_bytes: int) -> dict[str, Any]:
        stats, figures, keeping = self._stats, self.gauge.figures(), self.series.keeping
        raw_today = self.series.raw_today
        return {
            "records": stats.records,
            "bytes": stats.bytes,
            "oldest_unsent_ms": stats.oldest_unsent_ms if self.config.sync else None,
            "disk_free_bytes": disk_free_bytes,
            "hours_left": figures.hours_left,
            "written_bytes_per_day": figures.written_bytes_per_day,
            "raw_today_bytes": raw_today and raw_today.written_bytes,
            "raw_budget_bytes": keeping.raw_bytes_per_day if keeping.raw_ms else None,
        }

    def _sync(self, backlog_records: int) -> dict[str, Any]:
        empty: dict[str, Any] = {"reachable": None, "last_error": None, "last_ack_ms": None, "streams": {}}
        state = empty if self.forwarder is None else self.forwarder.state()
        url = self.config.sync and self.config.sync.url
        return {
            "configured": url is not None,
            "url": url,
            "backlog_records": backlog_records if url else 0,
            "quarantined": self._quarantine.records,
            "quarantine": [kept._asdict() for kept in self._quarantine.newest],
            **state,
        }

    def _factor(self, now_ms: int) -> Factor | None:
        region, lens = self.config.gateway.region, self.config.carbon.lenses[0]
        try:
            return self.config.factors.lookup(region, lens, now_ms, now_ms)
        except FactorError:  # a clock of 1970: nothing was published yet
            return None

    def _link(self, name: str, link: Link, is_asleep: bool) -> dict[str, Any]:
        stats = link.stats
        url = next(section.url for section in self.config.links if section.name == name)
        return {
            "name": name,
            "url": url,
            "connected": stats.connected,
            "asleep": is_asleep,
            "ok": stats.ok,
            "failed": stats.failed,
            "last_error": stats.last_error or None,
            "round_trip_ms": stats.round_trip_ms,
            "latest_ms": stats.latest_ms,
        }

    def _is_asleep(self, link: str, states: Mapping[str, str]) -> bool:
        """True when every device of a link is asleep: a port that is closed at night is no fault."""
        devices = self.live_state.devices.values()
        return all(states[device.place.name] == "asleep" for device in devices if device.place.link == link)

    def _device(self, device: LiveDevice, now_ns: int, held: Mapping[str, Collection[str]]) -> dict[str, Any]:
        place, answered_ns = device.place, device.answered_ns
        return {
            "name": place.name,
            "title": place.profile.about.title,
            "profile": place.profile_name,
            "link": place.link,
            "unit": place.unit,
            "role": place.role,
            "state": device.state(now_ns),
            "age_s": None if answered_ns is None else round((now_ns - answered_ns) / 1e9, 1),
            "power_W": self.live_state.power_W(place.name, now_ns),
            "today_mWh": self.today_mWh.get(place.name),
            "learnt": _learnt(self.lessons.learnt(place.name)),
            "points": [
                _point(device, index, point, quality)
                for index, (point, quality) in enumerate(_points(device, now_ns, held))
            ],
        }

    def _today(self, rows: Sequence[DayTotal]) -> dict[str, Any]:
        """Energy by role (of the devices' first registers), and the day's carbon: that of the inventory account."""
        energies: dict[str, int] = {}
        for name, device in self.live_state.devices.items():
            if name in self.today_mWh:
                role = device.place.role
                energies[role] = energies.get(role, 0) + self.today_mWh[name]
        has_grid = any(device.role == "grid" for device in self.config.devices)
        # Sold certificates leave no avoided figure, under any lens.
        has_baseline = any(d.baseline and d.attributes_retained is not False for d in self.config.devices)
        inventory = [row for row in rows if row.account == "inventory"]
        projects = [row for row in rows if row.account == "project" and row.baseline_ng is not None]
        baselines = projects if has_baseline else []
        # What was not booked yet is not zero.
        baseline_ng = sum(row.baseline_ng or 0 for row in baselines) if baselines else None
        avoided_ng = sum((row.baseline_ng or 0) - row.emitted_ng for row in baselines) if baselines else None
        return {
            "energy_by_role_mWh": energies,
            "emitted_ng": str(sum(row.emitted_ng for row in inventory)) if has_grid and inventory else None,
            "baseline_ng": None if baseline_ng is None else str(baseline_ng),
            "avoided_ng": None if avoided_ng is None else str(avoided_ng),
        }


def _look(conn: sqlite3.Connection, day: str, lens: str) -> tuple[outbox.BufferStats, list[DayTotal], Quarantine]:
    rows = [total for total in totals.query(conn, day, day) if total.lens == lens]
    return outbox.stats(conn), rows, set_aside.quarantine(conn)


def _counts(states: Mapping[str, str]) -> dict[str, int]:
    found = list(states.values())
    return {"live": found.count("ok"), "asleep": found.count("asleep")}


def _points(device: LiveDevice, now_ns: int, held: Mapping[str, Collection[str]]) -> Iterable[tuple[Point, Quality]]:
    """The points of a device, each with why it has, or has not, a value now."""
    qualities = device.qualities(now_ns, held.get(device.place.name, ()))
    return zip(device.place.profile.points, qualities, strict=True)


def _point(device: LiveDevice, index: int, point: Point, quality: Quality) -> dict[str, Any]:
    value = _value(device, index, quality)
    return {
        "name": point.name,
        "value": value,
        "unit": point.unit,
        "quality": quality.name.lower(),
        "text": None if point.is_text else _word(point, value),
    }


def _value(device: LiveDevice, index: int, quality: Quality) -> Any:
    """A number or a text, None unless it stands for now."""
    if quality != Quality.OK or device.reading is None:
        return None
    return device.reading.texts.get(index, device.reading.values[index])


def _learnt(learnt: Learnt) -> dict[str, Any]:
    return {
        "refused": sorted(learnt.refused),
        "barriers": [f"{function}:{address}" for function, address in sorted(learnt.barriers)],
        "max_block": learnt.max_block,
    }


def _word(point: Point, value: float | None) -> str | None:
    return None if value is None or not point.states else point.word(int(value))


def _factor_json(factor: Factor) -> dict[str, Any]:
    return {
        "id": factor.id,
        "value_mg_per_kWh": factor.value_mg_per_kWh,
        "data_year": factor.data_year,
        "provisional": factor.provisional,
    }
