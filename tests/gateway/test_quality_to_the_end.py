"""Why there is no value: one device over a real socket, one state after another, down to the receiver's own file."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from drivers.device import Device, Reading, identity
from drivers.modbus.manners import LinkManners
from drivers.modbus.open import open_link
from drivers.modbus.outcome import LinkProtocol, Outcome
from drivers.modbus.server import TcpServer
from drivers.profile import Profile
from ext import CounterSpec, Quality
from gateway.carbon.booking.close import Books
from gateway.carbon.booking.entries import Scope
from gateway.carbon.booking.rules import Declaration
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.metering.meter import Meter
from gateway.carbon.metering.register_spec import RegisterSpec
from gateway.carbon.metering.sweep import Lateness
from gateway.carbon.metering.undated import Undated
from gateway.clock import EARLIEST_MS, Dating
from gateway.live import Live, Place
from gateway.recorder import Recorder
from gateway.store.database import Store
from gateway.store.delivery import StoreOutbox
from gateway.store.space import Space
from sync.central.store import CentralStore
from sync.wire import decode_block, encode_batch
from tests.hand_clock import HandClock

MIN_MS = 60_000
START_MS = EARLIEST_MS + 300 * 86_400_000
ENERGY, POWER, BEAT, CELSIUS = range(4)
COUNTER = CounterSpec(modulus=2**32, scale_num=1000, scale_den=1, p_max_W=5_000, refresh_s=60, jitter=1, policy=0)
NONE_U16, NONE_U32 = 0xFFFF, 0xFFFFFFFF
PROFILE = Profile.model_validate(
    {
        "profile": {"title": "T", "make": "M", "model": "X", "kind": "inverter"},
        "link": {"timeout_ms": 100},
        "point": [
            {
                "name": "energy",
                "address": 0,
                "type": "u32",
                "unit": "Wh",
                "valid": [0, 1e6],
                "sentinels": [NONE_U32],
                "counter": {"flow": "generation", "max_power_W": 5000},
            },
            {"name": "power", "address": 2, "type": "u16", "unit": "W", "quantity": "power", "sentinels": [NONE_U16]},
            {"name": "beat", "address": 3, "type": "u16"},
            {"name": "celsius", "address": 4, "type": "i16", "valid": [-40, 90]},
        ],
        "sleep": {"below_W": 100},
        "frozen": {"heartbeat": "beat", "after_s": 120},
    }
)


@dataclass
class Inverter:
    """The registers of one; `refuses` is a code that stands instead of any answer."""

    energy: int = 1_000
    power: int = 2_000
    beat: int = 0
    celsius: int = 20
    refuses: int = 0

    def read(self, unit: int, function: int, address: int, count: int) -> list[int] | int:
        words = [self.energy >> 16, self.energy & 0xFFFF, self.power, self.beat, self.celsius & 0xFFFF]
        return self.refuses or words[address : address + count]

    def write(self, unit: int, function: int, address: int, words: Sequence[int]) -> int:
        return 1


@dataclass
class Dated:
    """A link whose outcomes are of the site's time."""

    link: LinkProtocol
    clock: HandClock

    async def read(self, unit: int, function: int, address: int, count: int, *, timeout_s: float) -> Outcome:
        outcome = await self.link.read(unit, function, address, count, timeout_s=timeout_s)
        return replace(outcome, mono_ns=self.clock.mono_ns())


@dataclass
class Site:
    """A gateway with one inverter, and its receiver."""

    inverter: Inverter
    server: TcpServer
    device: Device
    store: Store
    central: CentralStore
    clock: HandClock = field(default_factory=lambda: HandClock(START_MS, 1_000))
    is_stuck: bool = False

    def __post_init__(self) -> None:
        self.device._link = Dated(self.device._link, self.clock)
        place = Place(name="pv", link="l", unit=1, role="pv", period_ms=MIN_MS // 2, profile_name="t", profile=PROFILE)
        self.live = Live([place])
        factors = FactorSet.load(shipped())
        spec = RegisterSpec(
            device="pv", register="energy", flow="generation", point=ENERGY, max_gap_ms=3 * MIN_MS, counter=COUNTER
        )
        self.recorder = Recorder(
            meter=Meter([spec], MIN_MS, lambda t0_ms, t1_ms: []),
            store=self.store,
            undated=Undated([spec], MIN_MS, "boot-1"),
            dating=Dating(self.clock, [self.clock.witness]),
            clock=self.clock,
            books=Books(
                scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"),
                factors=factors,
                devices={"pv": Declaration(role="pv")},
            ),
            interval_ms=MIN_MS,
            checkpoint_ms=MIN_MS,
            identity=lambda reading: identity(PROFILE, reading),
            on_close=lambda: None,
            asleep=lambda: self.live.asleep(self.clock.mono_ns()),
            lessons=dict,
            space=Space(self.store.data_dir, lambda folder: (100, 0, 100)),
        )

    async def pass_minutes(self, minutes: int, *, step: int) -> Reading:
        """One poll a minute; the counter and the heartbeat move by `step`."""
        for _ in range(minutes):
            self.clock.pass_ms(MIN_MS)
            self.inverter.energy += 0 if self.is_stuck else step
            self.inverter.beat += not self.is_stuck
            reading = await self.device.read()
            if not reading.is_answer:
                reading = replace(reading, mono_ns=self.clock.mono_ns())
            self.live.take(reading)
            self.recorder.take(reading)
            await self.recorder.round()
        self.clock.pass_ms(3_000)
        await self.recorder.round()
        await self._deliver()
        return reading

    async def _deliver(self) -> None:
        outbox = StoreOutbox(self.store, "site")
        for stream in outbox.streams:
            while batch := await outbox.pending(stream, 1 << 18):
                seq = await self.central.take("site", stream, encode_batch(batch))
                await outbox.settle(stream, seq)

    async def told(self) -> list[str]:
        """What the receiver says of the register now: nothing while it is in time."""
        return [register["state"] for register in await self.central.coverage("site")]

    async def alarms(self) -> list[str]:
        rows = await self.central._run(lambda db: db.execute("SELECT body FROM record WHERE kind = 'alarm'"))
        return [decode_block(body).meta["what"] for (body,) in rows]

    async def booked_until_ms(self) -> int:
        """The end of the last row that the receiver has of the register."""
        rows = await self.central._run(lambda db: db.execute("SELECT max(t1_ms) FROM interval"))
        return int(rows[0][0])


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    inverter = Inverter()
    server = TcpServer(inverter, "127.0.0.1", 0)
    async with (
        server,
        open_link("l", f"tcp://127.0.0.1:{server.port}", LinkManners(late_s=0.0)) as link,
        Store.open(folder / "data") as store,
        CentralStore.open(folder / "central.db") as central,
    ):
        device = Device(name="pv", unit=1, profile=PROFILE, link=link)
        yield Site(inverter, server, device, store, central)


async def fall_silent(at: Site) -> None:
    at.inverter.refuses = 0x0B  # what a gateway on the way says of a unit that does not answer


async def fall_asleep(at: Site) -> None:
    at.inverter.power = 20
    await at.pass_minutes(1, step=10)
    at.inverter.refuses = 0x0B


async def cut_off(at: Site) -> None:
    await at.server.stop()


async def stand_still(at: Site) -> None:
    at.is_stuck = True


async def leave_the_range(at: Site) -> None:
    at.inverter.energy = 2_000_000


async def say_none(at: Site) -> None:
    at.inverter.energy = NONE_U32


async def refuse(at: Site) -> None:
    at.inverter.refuses = 4


async def contradict(at: Site) -> None:
    at.inverter.energy = 0


@dataclass(frozen=True)
class Case:
    """A state: how it begins, and its word at each place."""

    begin: Callable[[Site], Awaitable[None]]
    device: str
    """The word of `huxi devices` and the page for the device."""
    quality: Quality
    """And for the point."""
    receiver: str
    alarms: tuple[str, ...] = ()


CASES = {
    "stale": Case(fall_silent, "silent", Quality.TIMEOUT, "silent"),
    "asleep": Case(fall_asleep, "asleep", Quality.ASLEEP, "asleep"),
    "disconnected": Case(cut_off, "disconnected", Quality.LINK_DOWN, "disconnected"),
    "frozen": Case(stand_still, "frozen", Quality.FROZEN, "frozen"),
    "out of range": Case(leave_the_range, "ok", Quality.OUT_OF_RANGE, "out of range"),
    "no value": Case(say_none, "ok", Quality.NO_VALUE, "no value"),
    "refused": Case(refuse, "silent", Quality.REFUSED, "refused"),
    "implausible": Case(contradict, "ok", Quality.IMPLAUSIBLE, "held", ("held",)),
}


@pytest.mark.parametrize("state", CASES)
async def test_each_state_is_told_distinctly_from_the_wire_to_the_receiver(
    state: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = CASES[state]
    async with site(tmp_path) as at:
        await at.pass_minutes(5, step=10)
        assert (at.live.devices["pv"].state(at.clock.mono_ns()), await at.told()) == ("ok", [])
        await case.begin(at)
        begin_ms = at.clock.wall_ms()
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="huxi"):
            await at.pass_minutes(8, step=0)
        now_ns, pv = at.clock.mono_ns(), at.live.devices["pv"]
        assert pv.state(now_ns) == case.device
        assert pv.qualities(now_ns, at.recorder.held().get("pv", ()))[ENERGY] == case.quality
        assert await at.told() == [case.receiver]
        assert await at.alarms() == [*case.alarms]
        doubted = {
            "out of range": Lateness.OUT_OF_RANGE,
            "implausible": Lateness.HELD,
            "refused": Lateness.REFUSED,
        }.get(state)
        assert at.recorder.doubted() == ({("pv", "energy"): doubted} if doubted else {})
        assert await at.booked_until_ms() <= begin_ms + 2 * MIN_MS  # no row says zero for what nobody knows
        assert len(caplog.records) <= 4, [record.message for record in caplog.records]  # 8 polls


async def say_none_at_night(at: Site) -> None:
    at.inverter.energy, at.inverter.power = NONE_U32, NONE_U16


@pytest.mark.parametrize("begin", [say_none_at_night, stand_still, leave_the_range, refuse])
async def test_f1_night_is_sleep_whatever_the_device_answers_then(
    begin: Callable[[Site], Awaitable[None]], tmp_path: Path
) -> None:
    async with site(tmp_path) as at:
        await at.pass_minutes(5, step=10)
        at.inverter.power = 20
        await at.pass_minutes(1, step=10)
        await begin(at)
        if begin is leave_the_range:
            at.inverter.power = NONE_U16
        await at.pass_minutes(10, step=0)
        assert at.live.devices["pv"].state(at.clock.mono_ns()) == "asleep"
        assert await at.told() == ["asleep"]
        assert await at.alarms() == []


def test_the_words_are_distinct() -> None:
    assert len({(case.quality, case.receiver) for case in CASES.values()}) == len(CASES)
    assert len({case.receiver for case in CASES.values()}) == len(CASES)


async def test_a_device_that_is_back_is_back_at_the_receiver(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        await at.pass_minutes(5, step=10)
        await fall_silent(at)
        await at.pass_minutes(8, step=10)
        assert await at.told() == ["silent"]
        at.inverter.refuses = 0
        await at.pass_minutes(5, step=10)
        assert await at.told() == []


async def test_what_is_stale_is_told_as_stale_on_the_page_and_in_the_command(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        await at.pass_minutes(5, step=10)
        pv = at.live.devices["pv"]
        hours_later_ns = at.clock.mono_ns() + 3_600 * 10**9  # nobody asked meanwhile
        assert (pv.state(hours_later_ns), pv.qualities(hours_later_ns, ())[ENERGY]) == ("silent", Quality.STALE)
