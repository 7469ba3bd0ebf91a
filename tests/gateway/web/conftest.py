"""A fake site with a small community, and clients on real sockets."""

import time
from collections.abc import AsyncIterator, Callable
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.web.errors import NotFound
from gateway.web.ledger_site import ExportFormat
from gateway.web.server import WebServer
from gateway.web.site import Site

EMITTED_NG = 2**53 + 1  # the first integer that a JSON number in a browser cannot hold


def point(name: str, value: object, unit: str, quality: str = "ok", text: str | None = None) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "quality": quality, "text": text}


class FakeLedger:
    """Fixed answers about a ledger of one entry."""

    def __init__(self, now_ms: int, asked: list[tuple[object, ...]]) -> None:
        self.now_ms = now_ms
        self.asked = asked
        self.chunks = [b"seq,energy_mWh\n", b"1,100\n"]

    async def totals(self, first: date, last: date, lens: str | None, as_of: date | None) -> dict[str, Any]:
        self.asked.append(("totals", first, last, lens, as_of))
        row = {
            "device": "grid-meter",
            "register": "import",
            "flow": "import",
            "account": "inventory",
            "energy_mWh": 64_154_000,
            "emitted_ng": str(EMITTED_NG),
            "baseline_ng": None,
            "rows": 12,
            "missing_ms": 0,
        }
        day = as_of and as_of.isoformat()
        days = {"from": first.isoformat(), "to": last.isoformat(), "as_of": day}
        return {"lens": lens or "location", "registers": [row], **days}

    async def entries(self, limit: int, before_seq: int | None) -> dict[str, Any]:
        self.asked.append(("entries", limit, before_seq))
        entry = {
            "seq": 12,
            "row": 0,
            "entry_id": "0123456789abcdef0123456789abcdef",
            "kind": "normal",
            "reverses": None,
            "run": None,
            "reason": None,
            "booked_ms": self.now_ms,
            "device": "grid-meter",
            "register": "import",
            "flow": "import",
            "epoch": 1,
            "t0_ms": self.now_ms - 300_000,
            "t1_ms": self.now_ms,
            "rows": 1,
            "energy_mWh": 100_000,
            "lo_mWh": None,
            "hi_mWh": None,
            "raw_begin": str(2**53 + 1),
            "raw_end": str(2**53 + 2),
            "lens": "location",
            "account": "inventory",
            "method": "grid-import",
            "factor": "cn-sc-location-2022",
            "matched_mWh": None,
            "emitted_ng": "14040000000",
            "baseline_ng": None,
            "lo_ng": None,
            "hi_ng": None,
            "class": "measured",
            "flags": ["provisional"],
        }
        return {"entries": [entry], "next_before_seq": None, "pruned_through": 0}

    async def trace_day(
        self, day: date, device: str, register: str | None, account: str | None, lens: str | None
    ) -> dict[str, Any]:
        self.asked.append(("trace_day", day, device, register, account, lens))
        empty: dict[str, Any] = {"totals": [], "entries": [], "missing": []}
        return {"day": day.isoformat(), "device": device, "lens": lens or "location", **empty}

    async def trace_entry(self, seq: int, row: int) -> dict[str, Any]:
        self.asked.append(("trace_entry", seq, row))
        raise NotFound(f"record {seq} of the ledger has no entries", "see `huxi ledger list`")

    async def verify(self) -> dict[str, Any]:
        return {"ok": True, "records": 288, "problems": [], "heads": {"ledger": {"seq": 288, "hash": 64 * "a"}}}

    async def export(self, format: ExportFormat, rebuilt: bool) -> AsyncIterator[bytes]:
        self.asked.append(("export", format, rebuilt))
        for chunk in self.chunks:
            yield chunk


class FakeDesk:
    """One suspect row, which can be decided."""

    def __init__(self, now_ms: int, asked: list[tuple[object, ...]]) -> None:
        self.asked = asked
        self.suspect = {
            "id": "7:3",
            "device": "grid-meter",
            "register": "import",
            "flow": "import",
            "t0_ms": now_ms - 300_000,
            "t1_ms": now_ms,
            "lo_mWh": "0",
            "hi_mWh": str(2**53 + 1),
            "raw_begin": "100",
            "raw_end": "900",
            "flags": ["jump"],
        }

    async def suspects(self) -> dict[str, Any]:
        return {"suspects": [self.suspect]}

    async def accept(self, seq: int, row: int, energy_mWh: int | None, reason: str) -> dict[str, Any]:
        self.asked.append(("accept", seq, row, energy_mWh, reason))
        return self.suspect

    async def restatement_plan(self, factor_set: str, first: date, last: date) -> dict[str, Any]:
        self.asked.append(("restatement_plan", factor_set, first, last))
        return {"run": f"{factor_set}@2026-09-21", "days": ["2026-01-01"]}

    async def restate(self, day: date, factor_set: str, run: str, reason: str, dry_run: bool) -> dict[str, Any]:
        self.asked.append(("restate", day, factor_set, run, reason, dry_run))
        return {"day": day.isoformat(), "state": "unchanged", "changes": []}


class FakeSite:
    """Fixed answers in the shape of the models; a test changes what it needs."""

    def __init__(self) -> None:
        self.now_ms = int(time.time() * 1000)
        self.asked: list[tuple[object, ...]] = []
        self.ledger = FakeLedger(self.now_ms, self.asked)
        self.desk = FakeDesk(self.now_ms, self.asked)
        self.problems: list[dict[str, Any]] = []
        self.device_list: list[dict[str, Any]] = [
            {
                "name": "pv-pergola",
                "title": "Huawei SUN2000",
                "profile": "inverter/huawei-sun2000",
                "link": "roof",
                "unit": 1,
                "role": "pv",
                "state": "ok",
                "age_s": 0.4,
                "power_W": 12345.6,
                "today_mWh": 35_000_000,
                "learnt": {"refused": [], "barriers": [], "max_block": None},
                "points": [
                    point("active_power", 12345.6, "W"),
                    point("accumulated_yield", 51234.56, "kWh"),
                    point("device_status", 512, "", text="on grid"),
                    point("internal_temperature", None, "°C", "no_value"),
                    point("serial_number", "HV2050098311", ""),
                ],
            },
            {
                "name": "grid-meter",
                "title": "Acrel ADL400",
                "profile": "meter/acrel-adl400",
                "link": "cabinet",
                "unit": 3,
                "role": "grid",
                "state": "silent",
                "age_s": 95.0,
                "power_W": None,
                "today_mWh": 64_154_000,
                "learnt": {"refused": [], "barriers": [], "max_block": None},
                "points": [point("active_power", None, "kW", "timeout")],
            },
        ]

    async def status(self) -> dict[str, Any]:
        return {
            "gateway": "qiyang-01",
            "version": "0.1.0",
            "core": "cython",
            "pid": 4711,
            "started_ms": self.now_ms - 7_200_000,
            "now_ms": self.now_ms,
            "clock": {"trusted": True, "source": "kernel", "text": "a time service keeps it right"},
            "region": "CN-SC",
            "interval_s": 300,
            "lens": "location",
            "factor": {
                "id": "cn-sc-location-2022",
                "value_mg_per_kWh": 140_400,
                "data_year": 2022,
                "provisional": True,
            },
            "links": [
                {
                    "name": "roof",
                    "url": "tcp://192.168.1.20:502",
                    "connected": True,
                    "asleep": False,
                    "ok": 7200,
                    "failed": 3,
                    "last_error": None,
                    "round_trip_ms": 8.5,
                    "latest_ms": 0.0,
                }
            ],
            "devices": {"total": 2, "live": 1, "asleep": 0},
            "buffer": {
                "records": 288,
                "bytes": 1_234_567,
                "oldest_unsent_ms": self.now_ms - 600_000,
                "disk_free_bytes": 21_000_000_000,
                "hours_left": 730.5,
                "written_bytes_per_day": 24_500_000,
                "raw_today_bytes": None,
                "raw_budget_bytes": None,
            },
            "sync": {
                "configured": True,
                "url": "https://central.example",
                "reachable": False,
                "last_error": "connection refused",
                "last_ack_ms": self.now_ms - 600_000,
                "backlog_records": 4,
                "quarantined": 1,
                "quarantine": [
                    {"stream": "ledger", "seq": 7, "kind": "remainder", "t_ms": 0, "reason": "no such meter (422)"}
                ],
                "streams": {"ledger": {"acked_through": 284}},
            },
            "mqtt": None,
            "today": {
                "energy_by_role_mWh": {"pv": 35_000_000, "grid": 64_154_000},
                "emitted_ng": str(EMITTED_NG),
                "baseline_ng": "4914000000000",
                "avoided_ng": "4914000000000",
            },
            "problems": self.problems,
        }

    async def devices(self) -> dict[str, Any]:
        return {"devices": self.device_list}

    def live(self) -> dict[str, Any]:
        return {
            "t_ms": int(time.time() * 1000),
            "devices": [
                {
                    "name": device["name"],
                    "state": device["state"],
                    "power_W": device["power_W"],
                    "values": {p["name"]: p["value"] for p in device["points"] if not isinstance(p["value"], str)},
                }
                for device in self.device_list
            ],
        }

    async def chart(self, device: str, point: str | None, t0_ms: int, t1_ms: int) -> dict[str, Any]:
        self.asked.append(("chart", device, point, t0_ms, t1_ms))
        if device not in {known["name"] for known in self.device_list}:
            raise NotFound(f"there is no device {device!r}", "see /api/v1/devices")
        step_ms = 60_000 if t1_ms - t0_ms <= 2 * 86_400_000 else 900_000
        times = list(range(t0_ms // step_ms * step_ms, t1_ms, step_ms))
        values = [None if 300 <= at < 420 else float(at) for at in range(len(times))]
        columns = dict.fromkeys(("min", "mean", "max", "last"), values)
        readings = [0 if value is None else 60 for value in values]
        return {"unit": "W", "step_ms": step_ms, "t_ms": times, "readings": readings, **columns}

    def history(self, device: str, minutes: int) -> dict[str, Any]:
        self.asked.append(("history", device, minutes))
        if device not in {known["name"] for known in self.device_list}:
            raise NotFound(f"there is no device {device!r}", "see /api/v1/devices")
        times = range(self.now_ms - minutes * 60_000, self.now_ms, 60_000)
        return {
            "t_ms": list(times),
            "power_W": [None if i % 9 == 4 else 100.0 * i for i in range(len(times))],
        }

    def relearn(self, device: str) -> dict[str, Any]:
        self.asked.append(("relearn", device))
        return {"device": device}

    async def trust_clock(self) -> dict[str, Any]:
        self.asked.append(("trust_clock",))
        return {"now_ms": self.now_ms}

    async def sync_now(self) -> dict[str, Any]:
        self.asked.append(("sync_now",))
        return {"drained": True, "error": None}


@pytest.fixture
def site() -> FakeSite:
    return FakeSite()


@pytest.fixture
async def server(site: FakeSite, tmp_path: Path) -> AsyncIterator[WebServer]:
    contract: Site = site
    async with WebServer(contract, tmp_path / "api.sock", ("127.0.0.1", 0)) as running:
        yield running


@pytest.fixture
async def unix(server: WebServer, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client on the Unix socket."""
    async with unix_client(str(tmp_path / "api.sock")) as client:
        yield client


@pytest.fixture
async def tcp(server: WebServer) -> AsyncIterator[httpx.AsyncClient]:
    """A client on the TCP door."""
    async with httpx.AsyncClient(base_url=server.urls[0], trust_env=False) as client:
        yield client


def unix_client(address: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url="http://huxi", transport=httpx.AsyncHTTPTransport(uds=address), trust_env=False)


@pytest.fixture
def connect() -> Callable[[str], httpx.AsyncClient]:
    """Make a client for the Unix socket at an address."""
    return unix_client
