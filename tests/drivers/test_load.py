"""The predicted time of a cycle, against the emulated line."""

import asyncio
import math

import pytest

from drivers.device import Device
from drivers.load import Polled, link_load
from drivers.modbus.line import EmulatedLine
from drivers.modbus.open import open_link
from drivers.modbus.url import parse_link_url
from drivers.plan import plan_blocks
from drivers.profile import Profile
from tests.slow_meters import SlowMeters


def profile(*runs: tuple[int, int], gap_ms: int = 0, once: int = 0) -> Profile:
    """A product with points in runs of (first address, registers), and registers that are read once."""
    addresses = [address + n for address, count in runs for n in range(count)]
    points = [{"name": f"p{n}", "address": n, "type": "u16"} for n in addresses]
    points += [{"name": f"o{n}", "address": 9000 + n, "type": "u16", "poll": "once"} for n in range(once)]
    about = {"title": "-", "make": "-", "model": "-", "kind": "meter"}
    return Profile.model_validate({"profile": about, "link": {"gap_ms": gap_ms, "serial": "2400-8E1"}, "point": points})


def load(url: str, *devices: Polled, turnaround_s: float = 0.02):
    return link_load(parse_link_url(url), devices, turnaround_s=turnaround_s)


@pytest.mark.parametrize(
    ("registers", "baud", "expected_ms"),
    [(1, 9600, 45), (20, 9600, 89), (60, 9600, 180), (20, 2400, 295), (60, 19200, 100), (125, 115200, 49)],
)
def test_one_read_takes_what_the_norm_says(registers: int, baud: int, expected_ms: float) -> None:
    runs = [(0, registers)] if registers <= 100 else [(0, 100), (5000, 25)]
    found = load(f"rtu:///dev/x?baud={baud}&parity=E", Polled(profile=profile(*runs), period_ms=1000))
    assert found.share * 1000 == pytest.approx(expected_ms, rel=0.2 if registers <= 100 else 0.7)


def test_a_load_is_of_each_shortest_period() -> None:
    quick = Polled(profile=profile((0, 20)), period_ms=1000)
    slow = Polled(profile=profile((0, 20)), period_ms=10_000)
    one, both = load("rtu:///dev/x", quick), load("rtu:///dev/x", quick, slow)
    assert both.share == pytest.approx(1.1 * one.share)
    assert (both.period_s, both.cycle_s) == (1, both.share)
    assert str(load("rtu:///dev/x", slow)) == "cycle 0.08 s of 10 s (1 %)"


def test_what_is_read_once_does_not_count() -> None:
    without, with_once = (load("rtu:///dev/x", Polled(profile=profile((0, 9), once=n), period_ms=500)) for n in (0, 50))
    assert without == with_once


def test_a_device_that_wants_pauses_may_not_get_round_though_the_line_has_room() -> None:
    sensitive = Polled(profile=profile((0, 2), (200, 2), (400, 2), gap_ms=400), period_ms=1000)
    assert load("tcp://plant:502", sensitive).share > 1.2


def test_behind_a_converter_the_factory_setting_of_the_device_stands_for_the_line() -> None:
    device = Polled(profile=profile((0, 20)), period_ms=1000)
    assert load("rtu+tcp://box:502", device).share == pytest.approx(
        load("rtu:///dev/x?baud=2400&parity=E", device).share
    )


def slow(baud: int, turnaround_s: float):
    return pytest.param(baud, turnaround_s, marks=pytest.mark.slow)


@pytest.mark.parametrize("runs", [[(0, 30)], [(0, 4), (100, 4), (300, 4)]], ids=["one block", "three small ones"])
@pytest.mark.parametrize(
    ("baud", "turnaround_s"),
    [(9600, 0.001), (19200, 0.02), (115_200, 0.02), slow(2400, 0.02), slow(9600, 0.04)],
)
async def test_it_is_within_a_tenth_of_the_emulated_line(tmp_path, runs, baud: int, turnaround_s: float) -> None:
    made = profile(*runs)
    assert len(plan_blocks(made.points, made.manners)) == len(runs)
    ends = tmp_path / "a", tmp_path / "b"
    url = f"rtu://{ends[0]}?baud={baud}&parity=E"
    async with EmulatedLine(ends, baud=baud), open_link("bus", url) as link:
        meters = SlowMeters(str(ends[1]), baud=baud, turnaround_s=turnaround_s)
        meters.start()
        devices = [Device(name=str(unit), unit=unit, profile=made, link=link) for unit in (1, 2, 3)]
        predicted = load(url, *[Polled(profile=made, period_ms=1000)] * 3, turnaround_s=turnaround_s)
        await devices[0].read()
        loop = asyncio.get_running_loop()
        best_s, cycles = [math.inf] * len(devices), 0  # of each device: a busy machine only adds
        while cycles < 3 or (sum(best_s) > 1.1 * predicted.cycle_s and cycles < 40):
            for position, device in enumerate(devices):
                begin = loop.time()
                assert (await device.read()).is_answer
                best_s[position] = min(best_s[position], loop.time() - begin)
            cycles += 1
        meters.close()
    assert predicted.cycle_s == pytest.approx(sum(best_s), rel=0.1)
