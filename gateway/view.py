"""What the outside may know of the running gateway: fulfils `gateway.web.site.Site`."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ext
from drivers.modbus.link import Link
from drivers.point import Point
from ext.quality import Quality
from gateway.carbon.errors import FactorError
from gateway.carbon.factors.factor_set import Factor
from gateway.clock import Dating
from gateway.config import Config
from gateway.health import Facts, problems
from gateway.ledger_desk import LedgerDesk
from gateway.ledger_view import LedgerView
from gateway.live import Live, LiveDevice
from gateway.recorder import Recorder
from gateway.store import outbox, quarantine, set_aside, totals
from gateway.store.database import Store
from gateway.store.errors import StoreError
from gateway.store.set_aside import Quarantine
from gateway.store.space import Level
from gateway.store.totals import DayTotal
from gateway.web.errors import NotFound
from sync.forwarder import Forwarder


@dataclass(slots=True, kw_only=True)
class View:
    """Answers from memory, and from the store in the store's own thread."""

    config: Config
    started_ms: int
    links: Mapping[str, Link]
    live_state: Live
    dating: Dating
    store: Store
    ledger: LedgerView
    desk: LedgerDesk
    recorder: Recorder
    forwarder: Forwarder | None
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
        facts = Facts(
            states=states,
            links={
                name: (link.stats.connected, link.stats.last_error)
                for name, link in self.links.items()
                if not self._is_asleep(name, states)
            },
            sync=sync,
            store_error=store_error,
            clock_trusted=self.dating.trusted,
            clock_behind_ms=self.dating.behind_ms,
            disk_free_bytes=_disk_free(self.store.data_dir),
            evicting=self.recorder.level >= Level.EVICT,
            set_aside=quarantine.reasons(self.store.data_dir),
            undecided=len(self.desk.undecided.found),
            core=ext.IMPLEMENTATION,
        )
        return {
            "gateway": self.config.gateway.id,
            "version": version("huxi"),
            "core": ext.IMPLEMENTATION,
            "pid": os.getpid(),
            "started_ms": self.started_ms,
            "now_ms": now_ms,
            "clock": {"trusted": self.dating.trusted, "source": "system"},
            "region": self.config.gateway.region,
            "interval_s": self.config.carbon.interval_ms // 1000,
            "lens": self.config.carbon.lenses[0],
            "factor": factor and _factor_json(factor),
            "links": [self._link(name, link, self._is_asleep(name, states)) for name, link in self.links.items()],
            "devices": {"total": len(states), **_counts(states)},
            "buffer": {
                "records": stats.records,
                "bytes": stats.bytes,
                "oldest_unsent_ms": stats.oldest_unsent_ms if self.config.sync else None,
                "disk_free_bytes": facts.disk_free_bytes,
            },
            "sync": sync,
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
        if device not in self.live_state.devices:
            raise NotFound(f"there is no device called {device!r}", "see `huxi devices`")
        times, powers = self.live_state.history(device, minutes, self.dating.now_ms())
        return {"t_ms": times, "power_W": powers}

    async def sync_now(self) -> dict[str, Any]:
        """`web.models.Drained`."""
        if self.forwarder is None:
            return {"drained": False, "error": "no receiver is configured: add a [sync] table"}
        drained = await self.forwarder.flush()
        error = self.forwarder.state()["last_error"]
        return {"drained": drained, "error": None if drained else error or "records are still waiting"}

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
        baselines = [row for row in rows if row.account == "project" and row.baseline_ng is not None]
        baseline_ng = sum(row.baseline_ng or 0 for row in baselines) if has_baseline else None
        avoided_ng = sum((row.baseline_ng or 0) - row.emitted_ng for row in baselines) if has_baseline else None
        return {
            "energy_by_role_mWh": energies,
            "emitted_ng": str(sum(row.emitted_ng for row in inventory)) if has_grid else None,
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


def _disk_free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:  # the folder is gone, which the status says
        return 0


def _word(point: Point, value: float | None) -> str | None:
    return None if value is None or not point.states else point.word(int(value))


def _factor_json(factor: Factor) -> dict[str, Any]:
    return {
        "id": factor.id,
        "value_mg_per_kWh": factor.value_mg_per_kWh,
        "data_year": factor.data_year,
        "provisional": factor.provisional,
    }
