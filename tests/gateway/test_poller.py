"""Polls on a grid of the wall second; dead devices asked ever more seldom; what a dead one costs its line."""

import asyncio
import logging
import random
from array import array
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from drivers.device import Device, Reading
from drivers.modbus.framing import RtuFraming
from drivers.modbus.link import Link
from drivers.modbus.manners import LinkManners
from drivers.modbus.pdu import rtu_frame
from drivers.profile import Profile
from ext import Quality
from gateway.poller import Poller, Turn
from tests.virtual_bus import FakeTransport, Replies, run_in_virtual_time

MIDDLE = 0.5  # a chance that leaves waiting times as they are


def turn(period_ms: int, due_ms: int = 0, *, chance: float = MIDDLE) -> Turn:
    return Turn(period_ms=period_ms, due_ms=due_ms, random=lambda: chance)


def waits_of_a_dead_device(polled: Turn, polls: int) -> list[int]:
    waits = []
    for _ in range(polls):
        due_ms = polled.due_ms
        polled.unheard(due_ms + 10, asked=True)
        waits.append(polled.due_ms - due_ms)
    return waits


def test_turns_lie_on_a_grid_that_does_not_drift() -> None:
    polled = turn(1_000, 400)
    for late_ms in (0, 3, 250, 999, 1, 40):
        due_ms = polled.due_ms
        polled.answered(due_ms + late_ms)
        assert polled.due_ms == due_ms + 1_000


def test_what_was_missed_is_not_made_up_for() -> None:
    polled = turn(1_000, 400)
    polled.answered(5_900)
    assert polled.due_ms == 6_400


def test_a_device_that_never_answered_is_asked_after_5_10_20_and_at_most_300_s() -> None:
    waits = waits_of_a_dead_device(turn(1_000), 9)
    assert waits == [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]


def test_one_that_has_answered_gets_two_more_polls_before_it_counts_as_dead() -> None:
    polled = turn(1_000)
    polled.answered(10)
    assert waits_of_a_dead_device(polled, 5) == [1_000, 1_000, 5_000, 10_000, 20_000]


def test_once_it_answers_it_is_asked_each_period_again() -> None:
    polled = turn(1_000)
    waits_of_a_dead_device(polled, 8)
    due_ms = polled.due_ms
    polled.answered(due_ms + 10)
    assert (polled.due_ms - due_ms, polled.silent) == (1_000, 0)
    assert waits_of_a_dead_device(polled, 4) == [1_000, 1_000, 5_000, 10_000]


@pytest.mark.parametrize(("chance", "wait_ms"), [(0.0, 4_000), (0.9999, 6_000)])
def test_probes_vary_by_a_fifth(chance: float, wait_ms: int) -> None:
    assert waits_of_a_dead_device(turn(500, chance=chance), 1) == [wait_ms]


def test_a_slow_device_is_never_asked_more_often_than_its_period() -> None:
    assert waits_of_a_dead_device(turn(60_000), 5) == [60_000, 60_000, 60_000, 60_000, 120_000]


def test_a_link_that_is_down_is_no_silence_of_its_devices() -> None:
    polled = turn(1_000)
    for _ in range(20):
        due_ms = polled.due_ms
        polled.unheard(due_ms + 1, asked=False)
        assert polled.due_ms - due_ms == 1_000


class LoopClock:
    """The loop's time as both clocks; a quarter of a second past the full one at the start."""

    def mono_ns(self) -> int:
        return round(asyncio.get_running_loop().time() * 1e9)

    def wall_ms(self) -> int:
        return 1_800_000_000_250


def profile(registers: int) -> Profile:
    """A product with one live block."""
    points = [
        {"name": f"p{n}", "address": n, "type": "u16", "quantity": "power", "unit": "W"} for n in range(registers)
    ]
    about = {"title": "-", "make": "-", "model": "-", "kind": "meter"}
    return Profile.model_validate({"profile": about, "point": points})


PROFILE = profile(1)


class ScriptedDevice:
    """Answers after a while with one quality."""

    profile = PROFILE

    def __init__(self, name: str, quality: Quality, takes_s: float) -> None:
        self.name = name
        self.plan: tuple[object, ...] = ()
        self.read_at: list[float] = []
        self._quality, self._takes_s = quality, takes_s

    async def read(self) -> Reading:
        loop = asyncio.get_running_loop()
        self.read_at.append(loop.time())
        await asyncio.sleep(self._takes_s)
        return Reading(
            device=self.name,
            mono_ns=0,
            values=array("d", [0.0]),
            raws=array("q", [0]),
            exponents=array("b", [0]),
            ulps=array("q", [0]),
            quality=array("B", [self._quality]),
            texts={},
        )


def test_each_device_keeps_its_own_grid() -> None:
    quick = ScriptedDevice("quick", Quality.OK, 0.02)
    slow = ScriptedDevice("slow", Quality.OK, 1.7)  # longer than its period: never asked twice at once

    async def main() -> None:
        devices: list[tuple[Device, int]] = [(quick, 500), (slow, 1_000)]  # type: ignore[list-item]
        poller = Poller(devices, clock=LoopClock(), on_reading=lambda reading: None)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await poller.run()
        assert poller.first_round.is_set()

    run_in_virtual_time(main())
    assert quick.read_at[:4] == pytest.approx([1000, 1000.25, 1000.75, 1001.25])
    assert slow.read_at[:4] == pytest.approx([1000, 1001.75, 1003.75, 1005.75])


class Flapping(ScriptedDevice):
    """Answers every other poll."""

    async def read(self) -> Reading:
        self._quality = Quality.TIMEOUT if self._quality is Quality.OK else Quality.OK
        return await super().read()


def test_a_device_that_comes_and_goes_is_no_flood(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="huxi.poller")
    device = Flapping("loose wire", Quality.OK, 0.02)

    async def main() -> None:
        poller = Poller([(device, 1_000)], clock=LoopClock(), on_reading=lambda reading: None)  # type: ignore[list-item]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(600):
                await poller.run()

    run_in_virtual_time(main())
    assert len(device.read_at) > 300
    assert 0 < len(caplog.records) < 5


def test_a_poll_without_end_is_seen() -> None:
    device = ScriptedDevice("hung", Quality.OK, 1e6)

    async def main() -> None:
        poller = Poller([(device, 1_000)], clock=LoopClock(), on_reading=lambda reading: None)  # type: ignore[list-item]
        task = asyncio.create_task(poller.run())
        await asyncio.sleep(50)
        assert not poller.stuck
        await asyncio.sleep(50)
        assert poller.stuck
        task.cancel()

    run_in_virtual_time(main())


class Line:
    """A serial line of 9600 baud with ten meters, some of them dead."""

    TURNAROUND_S = 0.02
    BYTE_S = 11 / 9600

    def __init__(self, is_dead: Callable[[int, float], bool]) -> None:
        self._is_dead = is_dead

    def answer(self, frame: bytes) -> Replies:
        if self._is_dead(frame[0], asyncio.get_running_loop().time() - 1000):
            return []
        reply = rtu_frame(frame[0], bytes([3, 2 * frame[5]]) + bytes(2 * frame[5]))
        return [((len(frame) + len(reply)) * self.BYTE_S + self.TURNAROUND_S, reply)]


def polls_of_ten(is_dead: Callable[[int, float], bool], seconds: float, registers: int, period_ms: int) -> Counter[str]:
    """Answered polls of each of ten devices on the line."""
    got: Counter[str] = Counter()

    def count(reading: Reading) -> None:
        got[reading.device] += reading.is_answer

    async def main() -> None:
        transport = FakeTransport(Line(is_dead).answer, reopening_helps=False)
        manners = LinkManners(gap_s=0.005)
        async with Link(name="bus", transport=transport, framing=RtuFraming(), manners=manners) as link:
            devices = [
                (Device(name=f"m{unit}", unit=unit, profile=profile(registers), link=link), period_ms)
                for unit in range(1, 11)
            ]
            chance = random.Random(7)
            poller = Poller(devices, clock=LoopClock(), on_reading=count, random=chance.random)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(seconds):
                    await poller.run()

    run_in_virtual_time(main())
    return got


@pytest.mark.parametrize(("registers", "period_ms"), [(10, 1_000), (40, 2_000)])
@pytest.mark.parametrize("dies_at_s", [0, 31], ids=["dead from the start", "dies"])
def test_one_dead_of_ten_leaves_the_others_95_percent_of_their_polls(
    registers: int, period_ms: int, dies_at_s: float
) -> None:
    seconds = 130
    got = polls_of_ten(lambda unit, now_s: unit == 4 and now_s >= dies_at_s, seconds, registers, period_ms)
    others = [got[f"m{unit}"] for unit in range(1, 11) if unit != 4]
    assert min(others) >= 0.95 * seconds * 1000 / period_ms, got


def test_a_dead_device_that_comes_back_is_noticed_by_a_probe() -> None:
    got = polls_of_ten(lambda unit, now_s: unit == 4 and now_s < 20, 60, 10, 1_000)
    assert got["m4"] >= 15, got  # a probe between 28 and 42 s; from then on each second


class LossyLine(Line):
    """The same line, which loses answers; never the first, by which a link learns how quick a unit is."""

    def __init__(self, chance: random.Random, share: float) -> None:
        super().__init__(lambda unit, now_s: False)
        self._chance, self._share = chance, share
        self.asked = self.lost = 0

    def answer(self, frame: bytes) -> Replies:
        self.asked += 1
        if self.asked > 1 and self._chance.random() < self._share:
            self.lost += 1
            return []
        return super().answer(frame)


@pytest.mark.parametrize("seed", range(10))
def test_a_device_of_one_block_is_read_within_three_periods_though_an_answer_is_lost(seed: int) -> None:
    """Serial framing has no numbers: after a lost answer nothing of its shape is asked until none can come late."""
    line = LossyLine(random.Random(seed), 0.05)
    answered: list[tuple[float, int]] = []  # when, and how many answers were lost by then

    def note(reading: Reading) -> None:
        if reading.is_answer:
            answered.append((asyncio.get_running_loop().time(), line.lost))

    async def main() -> None:
        transport = FakeTransport(line.answer, reopening_helps=False)
        async with Link(name="bus", transport=transport, framing=RtuFraming(), manners=LinkManners()) as link:
            device = Device(name="m", unit=1, profile=profile(10), link=link)
            poller = Poller([(device, 1_000)], clock=LoopClock(), on_reading=note)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1_000):
                    await poller.run()

    run_in_virtual_time(main())
    longest_s: dict[int, float] = {}
    for (before_s, lost_before), (now_s, lost) in pairwise(answered):
        in_a_row = lost - lost_before
        longest_s[in_a_row] = max(longest_s.get(in_a_row, 0.0), now_s - before_s)
    assert longest_s[1] <= 3.0 + 1e-6
    assert longest_s.get(2, 0.0) <= 5.0 + 1e-6  # each one costs two periods
    assert len(answered) >= 0.85 * 1_000
