"""What a device refused is remembered from run to run, of that device only: a real store, real sockets."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from drivers.device import Device, Reading
from drivers.learnt import Learnt
from drivers.modbus.open import open_link
from drivers.modbus.server import TcpServer
from drivers.profile import Profile
from ext import Quality
from gateway.lessons import Lessons
from gateway.store import lessons
from gateway.store.database import Store

SERIAL = 100


def profile(points: int = 40, *, max_block: int = 100) -> Profile:
    live = [{"name": f"p{n}", "address": n, "type": "u16"} for n in range(points)]
    serial = {"name": "serial", "address": SERIAL, "type": "u16", "poll": "once"}
    about = {"title": "-", "make": "-", "model": "-", "kind": "meter"}
    tables = {"profile": about, "link": {"max_block": max_block}, "identity": {"serial": "serial"}}
    return Profile.model_validate({**tables, "point": [*live, serial]})


@dataclass
class Meter:
    """A register bank that has not all registers, and takes only short reads."""

    missing: Collection[int] = ()
    longest: int = 125
    serial: int = 7
    refusals: int = 0
    asked: list[tuple[int, int]] = field(default_factory=list)

    def read(self, unit: int, function: int, address: int, count: int) -> list[int] | int:
        self.asked.append((address, count))
        code = 3 if count > self.longest else 2 if {*range(address, address + count)} & {*self.missing} else 0
        self.refusals += code > 0
        return code or [self.serial if at == SERIAL else at for at in range(address, address + count)]

    def write(self, unit: int, function: int, address: int, words: object) -> int:
        return 1


@dataclass
class Site:
    """One device on one link; each `run` is a new process over the same store."""

    folder: Path
    meter: Meter
    unit: int = 1
    profile: Profile = field(default_factory=profile)

    async def run(self, polls: int, *, url: str | None = None, relearn: bool = False) -> tuple[Learnt, list[Reading]]:
        self.meter.refusals = 0
        self.meter.asked.clear()
        server = TcpServer(self.meter, "127.0.0.1", 0)
        async with (
            server,
            Store.open(self.folder) as store,
            open_link("bus", f"tcp://127.0.0.1:{server.port}") as link,
        ):
            device = Device(name="m", unit=self.unit, profile=self.profile, link=link)
            taught = Lessons([(device, url or "tcp://plant:502")])
            taught.resume(await store.read(lessons.load_all))
            if relearn:
                taught.forget("m")
            readings = [await device.read() for _ in range(polls)]
            await store.run(lessons.save, taught.texts())
            return taught.learnt("m"), readings


def refused(reading: Reading) -> set[int]:
    return {index for index, quality in enumerate(reading.quality) if quality == Quality.REFUSED}


@pytest.mark.parametrize(
    ("meter", "learnt", "lost"),
    [
        (Meter(missing=[21]), Learnt(refused=frozenset({"p21"})), {21}),
        (Meter(longest=25), Learnt(max_block=20), set()),
    ],
    ids=["exception 2", "exception 3"],
)
async def test_it_is_remembered_over_a_restart(tmp_path: Path, meter: Meter, learnt: Learnt, lost: set[int]) -> None:
    site = Site(tmp_path, meter)
    assert (await site.run(1))[0] == learnt
    assert meter.refusals > 0
    for _ in range(2):
        again, (reading,) = await site.run(1)
        assert (again, refused(reading)) == (learnt, lost)
        assert meter.refusals == 0


@pytest.mark.parametrize("change", ["unit", "link", "profile"])
async def test_another_place_is_learnt_anew(tmp_path: Path, change: str) -> None:
    site = Site(tmp_path, Meter(missing=[21]))
    await site.run(1)
    site.unit += change == "unit"
    site.profile = profile(max_block=99) if change == "profile" else site.profile
    learnt, _ = await site.run(1, url="tcp://elsewhere:502" if change == "link" else None)
    assert site.meter.refusals > 0
    assert learnt == Learnt(refused=frozenset({"p21"}))


async def test_a_device_that_was_replaced_is_learnt_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(tmp_path, Meter(missing=[21]))
    await site.run(1)
    site.meter = Meter(missing=[5], serial=8)
    with caplog.at_level(logging.INFO, logger="huxi.drivers"):
        learnt, (_, second, third) = await site.run(3)
    assert learnt == Learnt(refused=frozenset({"p5"}))
    assert refused(second) == refused(third) == {5}
    assert second.raws[21] == 21
    assert "device plan forgotten device=m" in [record.message for record in caplog.records]


async def test_a_device_that_is_replaced_under_way_is_learnt_anew(tmp_path: Path) -> None:
    meter = Meter(missing=[21])
    server = TcpServer(meter, "127.0.0.1", 0)
    async with server, open_link("bus", f"tcp://127.0.0.1:{server.port}") as link:
        device = Device(name="m", unit=1, profile=profile(), link=link)
        await device.read()
        assert device.learnt.refused == {"p21"}
        await server.stop()  # somebody changes the meter
        await device.read()
        meter.missing, meter.serial = (), 8
        await server.start()
        async with asyncio.timeout(10):
            while device.learnt != Learnt():
                await device.read()
                await asyncio.sleep(0.05)
        reading = await device.read()
    assert refused(reading) == set()
    assert device.learnt == Learnt()
    assert device.identity == "8"


async def test_an_installer_may_have_it_forgotten(tmp_path: Path) -> None:
    site = Site(tmp_path, Meter(missing=[21]))
    await site.run(1)
    site.meter.missing = ()  # new firmware
    assert refused((await site.run(1))[1][0]) == {21}
    learnt, (reading,) = await site.run(1, relearn=True)
    assert learnt == Learnt()
    assert refused(reading) == set()
    assert refused((await site.run(1))[1][0]) == set()


async def test_the_store_keeps_it_beside_its_own(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        await store.run(lessons.save, {"m": "one", "光伏棚": "two"})
        await store.run(lessons.save, {"m": "three"})
        assert await store.read(lessons.load_all) == {"m": "three", "光伏棚": "two"}

        def keys(conn: sqlite3.Connection) -> set[str]:
            return {key for (key,) in conn.execute("SELECT key FROM meta")}

        assert "epoch" in await store.read(keys)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '[1,"",[],[7],null]', '[["x"],"",{"a":[]},[[1]],null]'])
async def test_a_damaged_text_counts_for_nothing(text: str) -> None:
    async with open_link("roof", "tcp://127.0.0.1:1") as link:
        device = Device(name="meter", unit=1, profile=profile(), link=link)
        Lessons([(device, "tcp://127.0.0.1:1")]).resume({"meter": text})
        assert device.learnt == Learnt()
