"""A daemon to ask: the real web room on a real Unix socket, over a site with fixed answers."""

import asyncio
import copy
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli.main import main
from gateway.web.errors import NotFound
from gateway.web.ledger_site import ExportFormat
from gateway.web.server import WebServer

EMITTED_NG = 2**53 + 1
"""The first integer that a float cannot hold."""
NOW_MS = 1_790_000_000_000

STATUS: dict[str, Any] = {
    "gateway": "qiyang-01",
    "version": "0.1.0",
    "core": "cython",
    "pid": 4711,
    "started_ms": NOW_MS - 3 * 86_400_000,
    "now_ms": NOW_MS,
    "clock": {"trusted": True, "source": "kernel", "text": "a time service keeps it right"},
    "region": "CN-SC",
    "interval_s": 300,
    "lens": "location",
    "factor": {"id": "cn-sc-2023", "value_mg_per_kWh": 140_404, "data_year": 2023, "provisional": True},
    "links": [
        {
            "name": "屋顶",
            "url": "tcp://127.0.0.1:5020",
            "connected": True,
            "asleep": False,
            "ok": 99,
            "failed": 1,
            "last_error": None,
            "round_trip_ms": 3.25,
            "latest_ms": 1234.5,
        }
    ],
    "devices": {"total": 2, "live": 2, "asleep": 0},
    "buffer": {
        "records": 12,
        "bytes": 34_567,
        "oldest_unsent_ms": NOW_MS - 180_000,
        "disk_free_bytes": 2**34,
        "hours_left": 730.5,
        "written_bytes_per_day": 24_500_000,
        "raw_today_bytes": None,
        "raw_budget_bytes": None,
    },
    "sync": {
        "configured": True,
        "url": "https://central.example",
        "reachable": True,
        "last_error": None,
        "last_ack_ms": NOW_MS - 20_000,
        "backlog_records": 3,
        "quarantined": 1,
        "quarantine": [{"stream": "ledger", "seq": 7, "kind": "remainder", "t_ms": 0, "reason": "no such meter (422)"}],
        "streams": {"events": {"acked_through": 4}, "ledger": {"acked_through": 9}},
    },
    "mqtt": None,
    "today": {
        "energy_by_role_mWh": {"pv": 35_000_000, "grid": 64_154_000},
        "emitted_ng": str(EMITTED_NG),
        "baseline_ng": None,
        "avoided_ng": None,
    },
    "problems": [],
}

DEVICES: dict[str, Any] = {
    "devices": [
        {
            "name": "光伏棚",
            "title": "Huawei SUN2000",
            "profile": "inverter/huawei-sun2000",
            "link": "屋顶",
            "unit": 1,
            "role": "pv",
            "state": "ok",
            "age_s": 0.4,
            "power_W": 12345.5,
            "today_mWh": 35_000_000,
            "learnt": {"refused": [], "barriers": [], "max_block": None},
            "points": [
                {"name": "active_power", "value": 12345.5, "unit": "W", "quality": "ok", "text": None},
                {"name": "device_status", "value": 512, "unit": "", "quality": "ok", "text": "on grid"},
                {"name": "temperature", "value": None, "unit": "degC", "quality": "no_value", "text": None},
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
            "today_mWh": None,
            "learnt": {"refused": [], "barriers": [], "max_block": None},
            "points": [],
        },
    ]
}

TOTALS: dict[str, Any] = {
    "lens": "location",
    "registers": [
        {
            "device": "光伏棚",
            "register": "accumulated_yield",
            "flow": "generation",
            "account": "project",
            "energy_mWh": 35_000_500,
            "emitted_ng": "0",
            "baseline_ng": str(EMITTED_NG),
            "rows": 288,
            "missing_ms": 0,
        },
        {
            "device": "grid-meter",
            "register": "import_energy",
            "flow": "import",
            "account": "inventory",
            "energy_mWh": 64_154_000,
            "emitted_ng": str(EMITTED_NG),
            "baseline_ng": None,
            "rows": 280,
            "missing_ms": 2_400_000,
        },
    ],
    "from": "2026-09-01",
    "to": "2026-09-21",
}

ENTRY: dict[str, Any] = {
    "seq": 41,
    "row": 2,
    "entry_id": "0123456789abcdef0123456789abcdef",
    "kind": "normal",
    "reverses": None,
    "run": None,
    "reason": None,
    "booked_ms": NOW_MS + 2000,
    "device": "grid-meter",
    "register": "import_energy",
    "flow": "import",
    "epoch": 1,
    "t0_ms": NOW_MS - 300_000,
    "t1_ms": NOW_MS,
    "rows": 1,
    "energy_mWh": 1_234_567,
    "lo_mWh": None,
    "hi_mWh": None,
    "raw_begin": "18446744073709551615",
    "raw_end": "12",
    "lens": "location",
    "account": "inventory",
    "method": "measured",
    "factor": "cn-sc-2023",
    "matched_mWh": None,
    "emitted_ng": str(EMITTED_NG),
    "baseline_ng": None,
    "lo_ng": None,
    "hi_ng": None,
    "class": "measured",
    "flags": ["wrap"],
}


class FakeLedger:
    """Fixed answers about a ledger; a test changes what it needs."""

    def __init__(self) -> None:
        heads = {"ledger": {"seq": 9, "hash": 64 * "a"}}
        self.verification: dict[str, Any] = {"ok": True, "records": 12, "problems": [], "heads": heads}
        self.asked: list[tuple[object, ...]] = []

    async def totals(self, first: date, last: date, lens: str | None, as_of: date | None) -> dict[str, Any]:
        self.asked.append(("totals", first, last, lens, as_of))
        return TOTALS | {"as_of": as_of and as_of.isoformat(), "lens": lens or "location"}

    async def entries(self, limit: int, before_seq: int | None) -> dict[str, Any]:
        self.asked.append(("entries", limit, before_seq))
        return {"entries": [ENTRY], "next_before_seq": 41, "pruned_through": 0}

    async def trace_day(
        self, day: date, device: str, register: str | None, account: str | None, lens: str | None
    ) -> dict[str, Any]:
        self.asked.append(("trace_day", day, device, register, account, lens))
        empty: dict[str, Any] = {"totals": [], "entries": [], "missing": []}
        return {"day": day.isoformat(), "device": device, "lens": lens or "location", **empty}

    async def trace_entry(self, seq: int, row: int) -> dict[str, Any]:
        self.asked.append(("trace_entry", seq, row))
        raise NotFound(f"record {seq} of the ledger has no entries", "see `huxi ledger list` for those that have")

    async def verify(self) -> dict[str, Any]:
        return self.verification

    async def export(self, format: ExportFormat, rebuilt: bool) -> AsyncIterator[bytes]:
        self.asked.append(("export", format, rebuilt))
        yield b"seq,energy_mWh\n"
        yield b"1,100\n"


class FakeSite:
    """Fixed answers in the shape that the web room checks; a test changes what it needs."""

    def __init__(self) -> None:
        self.state = copy.deepcopy(STATUS)
        self.ledger = FakeLedger()
        self.desk: Any = None  # the tests of its commands have a real one
        self.device_list = copy.deepcopy(DEVICES["devices"])
        self.relearnt: list[str] = []
        self.drained: dict[str, Any] = {"drained": True, "error": None}

    async def status(self) -> dict[str, Any]:
        return self.state

    async def devices(self) -> dict[str, Any]:
        return {"devices": self.device_list}

    def live(self) -> dict[str, Any]:
        return {"t_ms": NOW_MS, "devices": []}

    def history(self, device: str, minutes: int) -> dict[str, Any]:
        return {"t_ms": [], "power_W": []}

    def relearn(self, device: str) -> dict[str, Any]:
        self.relearnt.append(device)
        return {"device": device}

    async def trust_clock(self) -> dict[str, Any]:
        return {"now_ms": NOW_MS}

    async def sync_now(self) -> dict[str, Any]:
        return self.drained


class Daemon:
    """A site that is served from a thread of its own, and the command asking it."""

    def __init__(self, data_dir: Path, site: FakeSite) -> None:
        self.data_dir = data_dir
        self.site = site

    def huxi(self, *args: str) -> Result:
        """The result of `huxi ARGS --data <our data folder>`."""
        return CliRunner().invoke(main, [*args, "--data", str(self.data_dir)], catch_exceptions=False)


@pytest.fixture
def huxi() -> Callable[..., Result]:
    """Calls the command; an exception that is no message for people fails the test."""

    def call(*args: str) -> Result:
        return CliRunner().invoke(main, args, catch_exceptions=False)

    return call


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that answers at <tmp_path>/api.sock."""
    site = FakeSite()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    ready = threading.Event()

    async def serve() -> None:
        async with WebServer(site, tmp_path / "api.sock", None):
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(5)
    yield Daemon(tmp_path, site)
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()
