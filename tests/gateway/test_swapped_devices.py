"""Two meters on one bus that change places: an alarm for both, and no counter goes on in the other's."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from drivers.device import Device, identity
from drivers.modbus.open import open_link
from drivers.modbus.server import TcpServer
from drivers.profile import Profile
from ext import CounterSpec
from gateway.carbon.metering.meter import Meter
from gateway.carbon.metering.register_spec import RegisterSpec
from gateway.store.flag import Flag

MIN = 60_000
T0 = 1_790_000_100_000 // (5 * MIN) * (5 * MIN)
COUNTER = CounterSpec(modulus=2**32, scale_num=1000, scale_den=1, p_max_W=50_000, refresh_s=60, jitter=1, policy=0)
PROFILE = Profile.model_validate(
    {
        "profile": {"title": "-", "make": "-", "model": "-", "kind": "meter"},
        "point": [
            {
                "name": "energy",
                "address": 0,
                "type": "u32",
                "unit": "Wh",
                "counter": {"flow": "import", "max_power_W": 50_000},
            },
            {"name": "serial", "address": 10, "type": "str2", "poll": "once"},
        ],
        "identity": {"serial": "serial"},
    }
)


@dataclass
class Individual:
    """One meter; `energy` is its counter."""

    serial: bytes
    energy: int


class Bus:
    """A RegisterBank with a meter at each unit."""

    def __init__(self, *meters: Individual) -> None:
        self.at = dict(enumerate(meters, 1))

    def read(self, unit: int, function: int, address: int, count: int) -> list[int] | int:
        if unit not in self.at:
            return 0x0B
        words = {0: struct.pack(">I", self.at[unit].energy), 10: self.at[unit].serial}.get(address)
        return list(struct.unpack(f">{count}H", words)) if words and len(words) == 2 * count else 2

    def write(self, unit: int, function: int, address: int, words: Sequence[int]) -> int:
        return 1


class Site:
    """Two devices, read each minute, and the meter behind them."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self.devices = devices
        self.meter = Meter([_spec(device.name) for device in devices], 5 * MIN, lambda t0_ms, t1_ms: [])
        self.minute = 0
        self.alarms: list[tuple[str, str]] = []

    async def pass_minutes(self, minutes: int, bus: Bus, wh: int = 10) -> None:
        for _ in range(minutes):
            self.minute += 1
            for each in bus.at.values():
                each.energy += wh
            for device in self.devices:
                reading = await device.read()
                self.meter.note_identity(device.name, identity(PROFILE, reading))
                notices = self.meter.feed(reading, T0 + self.minute * MIN)
                self.alarms += [(notice.what, notice.device) for notice in notices]


def _spec(name: str) -> RegisterSpec:
    return RegisterSpec(device=name, register="energy", flow="import", point=0, max_gap_ms=3 * MIN, counter=COUNTER)


@pytest.mark.parametrize("others_energy", [1_000_000, 1_005], ids=["far apart", "so near that no counter shows it"])
@pytest.mark.parametrize("are_unplugged", [True, False], ids=["unplugged", "between two polls"])
async def test_b3_two_meters_that_are_swapped_raise_an_alarm_and_mix_no_counters(
    others_energy: int, are_unplugged: bool
) -> None:
    one, two = Individual(b"A001", 1_000), Individual(b"B002", others_energy)
    bus = Bus(one, two)
    server = TcpServer(bus, "127.0.0.1", 0)
    async with server, open_link("bus", f"tcp://127.0.0.1:{server.port}") as link:
        devices = [Device(name=f"m{unit}", unit=unit, profile=PROFILE, link=link) for unit in (1, 2)]
        site = Site(devices)
        await site.pass_minutes(10, bus)
        if are_unplugged:
            bus.at = {}
            await site.pass_minutes(1, bus)
        bus.at = {1: two, 2: one}
        if not are_unplugged:
            for device in devices:  # a day later: nobody noticed that they were away
                device._last = replace(device._last, mono_ns=device._last.mono_ns + 86_400 * 10**9)
        await site.pass_minutes(20, bus)
    swept = site.meter.sweep(T0 + site.minute * MIN).intervals
    assert sorted(set(site.alarms)) == [("swap", "m1"), ("swap", "m2")]
    energies = [energy or 0 for energy in swept.energy_mWh]
    assert max(energies) <= 5 * 10_000  # five minutes of what each did count
    assert sum(Flag.SWAP in Flag(flags) for flags in swept.flags) == 2
