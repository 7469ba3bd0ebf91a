"""Devices with plans on a faulty bus: what each of their points said, and whether it was true."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from drivers.device import Device
from drivers.modbus.link import Link
from drivers.profile import Profile
from ext import Quality
from tests.drivers.modbus.truth_registers import is_true
from tests.drivers.modbus.truth_run import FAULTY, HEALTHY, PERIOD_S, TIMEOUT_S

_ADDRESSES = (0, 1, 4, 5, 6, 7, 12, 13, 20, 21, 22, 23)  # with holes: several blocks of one length


@dataclass(slots=True)
class Points:
    """What the points of all readings were."""

    good: int = 0
    missing: int = 0
    wrong: list[str] = field(default_factory=list)


async def poll_devices(link: Link, *, polls: int) -> Points:
    """Read one device on each unit, each period."""
    points = Points()
    async with asyncio.TaskGroup() as tasks:
        for unit in (*HEALTHY, *FAULTY):
            device = Device(name=f"d{unit}", unit=unit, profile=_profile(), link=link)
            tasks.create_task(_poll(device, polls, points))
    return points


async def _poll(device: Device, polls: int, points: Points) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(polls):
        since_s = loop.time()
        reading = await device.read()
        for index, point in enumerate(device.profile.points):
            if reading.quality[index] != Quality.OK:
                points.missing += 1
                continue
            points.good += 1
            word = reading.raws[index].to_bytes(2, "big")
            place = {"unit": device.unit, "function": point.function, "address": point.address}
            if not is_true(word, **place, since_s=since_s, until_s=loop.time()):
                points.wrong.append(f"{place} at {since_s:.3f}: {word.hex()}")
        await asyncio.sleep(max(0.0, since_s + PERIOD_S - loop.time()))


def _profile() -> Profile:
    points = [
        {"name": f"f{function}_{address}", "address": address, "type": "u16", "function": function}
        for function in (3, 4)
        for address in _ADDRESSES
    ]
    return Profile.model_validate(
        {
            "profile": {"title": "Truth", "make": "T", "model": "T", "kind": "meter"},
            "link": {"timeout_ms": int(TIMEOUT_S * 1000), "max_gap": 0},
            "point": points,
        }
    )
