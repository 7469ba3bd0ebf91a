"""The comparison at the end of a demo: the devices' truth, the gateway's ledger, the receiver's ledger."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway.cli.client import daemon
from gateway.cli.community import GATEWAY_ID, Community
from gateway.cli.errors import CommandError

PATIENCE_S = 45.0
MWH_MW_MS = 3_600_000
"""Milliwatt-milliseconds in a milliwatt-hour."""
Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRow:
    """One counter register in the three books; None where a book does not know it."""

    device: str
    register: str
    simulator_mWh: int
    gateway_mWh: int | None
    receiver_mWh: int | None
    gateway_ng: str | None
    receiver_ng: str | None

    @property
    def equal(self) -> bool:
        """The three agree to the unit."""
        return self.simulator_mWh == self.gateway_mWh == self.receiver_mWh and (
            self.gateway_ng is not None and self.gateway_ng == self.receiver_ng
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegralRow:
    """One register that only has power: its integral in the books, and how far off it may be."""

    device: str
    register: str
    simulator_mWh: int
    gateway_mWh: int | None
    receiver_mWh: int | None
    bound_mWh: int

    @property
    def within(self) -> bool:
        """Gateway and receiver agree to the unit, and lie within the bound of the truth."""
        off_mWh = self.off_mWh
        return off_mWh is not None and self.gateway_mWh == self.receiver_mWh and off_mWh <= self.bound_mWh

    @property
    def off_mWh(self) -> int | None:
        """How far the gateway is from the truth, None when it has nothing booked."""
        return None if self.gateway_mWh is None else abs(self.gateway_mWh - self.simulator_mWh)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """All registers compared."""

    registers: tuple[RegisterRow, ...]
    power_only: tuple[IntegralRow, ...]
    starts: Mapping[str, int]
    """How often gateway and receiver were started: 1 unless they died."""

    @property
    def equal(self) -> bool:
        """Every register agrees; a comparison of nothing does not count."""
        return (
            bool(self.registers)
            and all(row.equal for row in self.registers)
            and all(row.within for row in self.power_only)
        )

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return {
            "registers": [asdict(row) | {"equal": row.equal} for row in self.registers],
            "power_only": [asdict(row) | {"within": row.within} for row in self.power_only],
            "starts": dict(self.starts),
            "equal": self.equal,
        }


async def wait_until_equal(community: Community, compare: Callable[[], Awaitable[Reckoning]]) -> Reckoning:
    """Stops the devices' counters, waits for the last poll, close and delivery, and returns the comparison.

    Returns the last comparison when the books still differ after PATIENCE_S.
    """
    for name in community.devices:
        await community.tell(name, "return")
        await community.tell(name, "freeze")
    deadline = time.monotonic() + PATIENCE_S
    while True:
        await asyncio.sleep(1)
        try:
            result = await compare()
        except CommandError:
            # The gateway or the receiver is being started again just now.
            if time.monotonic() > deadline:
                raise
            continue
        if result.equal or time.monotonic() > deadline:
            return result


async def reckon(community: Community) -> Reckoning:
    """Asks the devices, the gateway and the receiver, and lays their answers side by side."""
    truths = {name: (await community.tell(name, "truth"))["registers"] for name in community.devices}
    gateway = await asyncio.to_thread(_gateway_totals, community.data_dir)
    receiver = await asyncio.to_thread(_receiver_totals, community.central_url, community.token)
    booked, held = _by_register(gateway), _by_register(receiver)
    counters: list[RegisterRow] = []
    integrals: list[IntegralRow] = []
    for device, registers in truths.items():
        for register, truth in registers.items():
            key = (device, register)
            if truth["kind"] == "counter":
                counters.append(_counter(key, truth, booked, held))
            else:
                integrals.append(_integral(key, truth, booked, held, community))
    starts = {name: child.starts for name, child in community.supervised.items()}
    return Reckoning(registers=tuple(counters), power_only=tuple(integrals), starts=starts)


def _gateway_totals(data_dir: Path) -> list[dict[str, Any]]:
    with daemon(data_dir, data_dir) as client:
        client.post("/api/v1/sync/now", timeout_s=30)
        rows = client.get("/api/v1/ledger/totals?from=2000-01-01&to=2999-12-31")["registers"]
    assert isinstance(rows, list)
    return rows


def _receiver_totals(url: str, token: str) -> list[dict[str, Any]]:
    address = f"{url}/v1/gateways/{GATEWAY_ID}/totals"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            rows = json.load(answer)["registers"]
    except (OSError, ValueError) as error:
        raise CommandError(f"the receiver at {url} does not answer: {error}", 1) from None
    assert isinstance(rows, list)
    return rows


def _by_register(rows: list[dict[str, Any]]) -> dict[Key, dict[str, Any]]:
    """Rows by register. A register may stand in several accounts: its energy is the same in each, its carbon adds."""
    books: dict[Key, dict[str, Any]] = {}
    for row in rows:
        key = (row["device"], row["register"])
        energy_mWh = int(row["energy_mWh"])
        book = books.setdefault(key, {"energy_mWh": energy_mWh, "emitted_ng": 0, "missing_ms": 0})
        if book["energy_mWh"] != energy_mWh:
            raise CommandError(f"the accounts of {key[0]}/{key[1]} disagree about its energy", 1)
        book["emitted_ng"] += int(row["emitted_ng"])
        book["missing_ms"] = max(book["missing_ms"], row.get("missing_ms", 0))
    return books


def _counter(key: Key, truth: dict[str, Any], booked: dict[Key, Any], held: dict[Key, Any]) -> RegisterRow:
    gateway, receiver = booked.get(key), held.get(key)
    return RegisterRow(
        device=key[0],
        register=key[1],
        simulator_mWh=truth["served_mWh"],
        gateway_mWh=gateway and gateway["energy_mWh"],
        receiver_mWh=receiver and receiver["energy_mWh"],
        gateway_ng=gateway and str(gateway["emitted_ng"]),
        receiver_ng=receiver and str(receiver["emitted_ng"]),
    )


def _integral(
    key: Key, truth: dict[str, Any], booked: dict[Key, Any], held: dict[Key, Any], community: Community
) -> IntegralRow:
    """The bound of an integral of samples: half a period for each change of the power that lies between two of them
    (three quarters, since polls jitter), and full power for a gap, for what is missing, and for a checkpoint a kill."""
    gateway, receiver = booked.get(key), held.get(key)
    period_ms = community.period_ms(key[0])
    restarts = community.supervised["gateway"].starts - 1
    unsure_ms = 3 * period_ms + (gateway["missing_ms"] if gateway else 0) + restarts * community.checkpoint_ms
    between_mWh = truth["variation_mW"] * period_ms * 3 // (4 * MWH_MW_MS)
    return IntegralRow(
        device=key[0],
        register=key[1],
        simulator_mWh=truth["served_mWh"],
        gateway_mWh=gateway and gateway["energy_mWh"],
        receiver_mWh=receiver and receiver["energy_mWh"],
        bound_mWh=between_mWh + truth["max_power_W"] * unsure_ms // 3600,
    )
