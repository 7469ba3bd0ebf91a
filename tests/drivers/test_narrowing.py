"""What a device refuses is found out once, and nothing wrong is ever read meanwhile."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.device import Device
from drivers.learnt import Learnt
from drivers.modbus.outcome import Outcome, OutcomeKind
from drivers.profile import Profile
from ext import Quality


def profile(*points: dict[str, object], **link: object) -> Profile:
    about = {"title": "T", "make": "M", "model": "X", "kind": "meter"}
    return Profile.model_validate({"profile": about, "link": link, "point": points})


def singles(count: int, **keys: object) -> list[dict[str, object]]:
    return [{"name": f"p{n}", "address": n, "type": "u16", **keys} for n in range(count)]


class Bus:
    """A link to a device that has some registers; each shows its address, or the time in `clocks`.

    The time moves with each request. Exception 2 for what it has not, 3 for too much, 1 for a function it has not.
    """

    def __init__(
        self,
        missing: Iterable[int] = (),
        *,
        longest: int = 125,
        functions: tuple[int, ...] = (3, 4),
        clocks: Iterable[int] = (),
    ) -> None:
        self.missing, self.longest, self.functions, self.clocks = set(missing), longest, functions, set(clocks)
        self.trouble: dict[int, Outcome] = {}  # what comes instead, by the number of the request
        self.failing: dict[int, int] = {}  # exception codes, by the address of a request
        self.asked: list[tuple[int, int]] = []
        self.refusals = 0
        self.now = 0

    async def read(self, unit: int, function: int, address: int, count: int, *, timeout_s: float) -> Outcome:
        self.asked.append((address, count))
        self.now += 1
        if self.now in self.trouble:
            return self.trouble[self.now]
        code = self.failing.get(address, 0)
        if code:
            return Outcome(kind=OutcomeKind.EXCEPTION, code=code, mono_ns=self.now)
        if function not in self.functions:
            code = 1
        elif count > self.longest:
            code = 3
        elif self.missing.intersection(range(address, address + count)):
            code = 2
        if code:
            self.refusals += 1
            return Outcome(kind=OutcomeKind.EXCEPTION, code=code, mono_ns=self.now)
        words = [self.now if at in self.clocks else at for at in range(address, address + count)]
        return Outcome(kind=OutcomeKind.OK, data=struct.pack(f">{count}H", *words), mono_ns=self.now)

    async def poll(self, device: Device):
        self.asked.clear()
        self.refusals = 0
        return await device.read()


def connect(bus: Bus, of: Profile) -> Device:
    return Device(name="m1", unit=1, profile=of, link=bus)


def refused(device: Device, reading) -> set[int]:
    found = {index for index, quality in enumerate(reading.quality) if quality == Quality.REFUSED}
    for index, quality in enumerate(reading.quality):
        if quality == Quality.OK:
            assert reading.raws[index] == device.profile.points[index].address
    return found


async def test_a_missing_register_is_found_in_the_first_poll_and_never_asked_for_again(caplog):
    bus = Bus(missing=[21])
    device = connect(bus, profile(*singles(40)))
    with caplog.at_level(logging.INFO, logger="huxi.drivers"):
        assert refused(device, await bus.poll(device)) == {21}
    assert bus.refusals <= 7  # the block, and once for each halving of 40
    assert device.learnt == Learnt(refused=frozenset({"p21"}))
    for _ in range(3):
        assert refused(device, await bus.poll(device)) == {21}
        assert bus.asked == [(0, 21), (22, 18)]
    assert [record.message for record in caplog.records] == [
        "device plan narrowed device=m1 refused=p21 barriers=none max_block=100"
    ]


async def test_a_hole_that_may_not_be_read_over_becomes_a_barrier():
    bus = Bus(missing=[12])
    points = [point for point in singles(20) if point["address"] not in (11, 12, 13)]
    device = connect(bus, profile(*points))
    assert refused(device, await bus.poll(device)) == set()
    assert device.learnt == Learnt(barriers=frozenset({(3, 14)}))
    await bus.poll(device)
    assert bus.asked == [(0, 11), (14, 6)]


async def test_a_device_that_takes_shorter_reads_than_its_profile_says_is_asked_for_shorter_ones():
    bus = Bus(longest=60)
    device = connect(bus, profile(*singles(180), max_block=90))
    assert refused(device, await bus.poll(device)) == set()
    assert device.learnt == Learnt(max_block=45)
    await bus.poll(device)
    assert bus.refusals == 0
    assert [count for _, count in bus.asked] == [45] * 4


async def test_a_register_refused_with_exception_3_does_not_shorten_the_others():
    bus = Bus()
    bus.trouble = {n: Outcome(kind=OutcomeKind.EXCEPTION, code=3, mono_ns=n) for n in (1, 2)}
    device = connect(
        bus, profile({"name": "a", "address": 0, "type": "u16"}, {"name": "b", "address": 1, "type": "u16"})
    )
    await bus.poll(device)
    assert device.learnt == Learnt(refused=frozenset({"a"}))


async def test_a_function_that_the_device_has_not_is_not_searched():
    bus = Bus(functions=(3,))
    device = connect(
        bus, profile(*singles(4), *({**point, "name": f"i{n}", "function": 4} for n, point in enumerate(singles(4))))
    )
    assert refused(device, await bus.poll(device)) == {4, 5, 6, 7}
    assert bus.refusals == 1
    await bus.poll(device)
    assert bus.asked == [(0, 4)]


@pytest.mark.parametrize("code", [4, 5, 6, 8, 10, 11, 128])
async def test_other_exceptions_pass(code):
    bus = Bus()
    bus.trouble = {1: Outcome(kind=OutcomeKind.EXCEPTION, code=code, mono_ns=1)}
    device = connect(bus, profile(*singles(10)))
    await bus.poll(device)
    assert len(bus.asked) == 1
    assert refused(device, await bus.poll(device)) == set()
    assert device.learnt == Learnt()


@pytest.mark.parametrize("code", [4, 8, 128])
async def test_a_block_that_fails_inside_the_device_is_asked_more_seldom_after_three_polls(code, caplog):
    bus = Bus()
    sound, faulty = singles(2), [{"name": "faulty", "address": 500, "type": "u16"}]
    device = connect(bus, profile(*sound, *faulty))
    bus.failing = {500: code}
    asked = []
    for _ in range(40):
        reading = await bus.poll(device)
        asked.append((500, 1) in bus.asked)
        assert refused(device, reading) == {2}
        assert (0, 2) in bus.asked
    assert [poll for poll, is_asked in enumerate(asked) if is_asked] == [0, 1, 2, 4, 7, 12, 21, 30, 39]
    bus.failing = {}
    for _ in range(9):
        reading = await bus.poll(device)
    assert refused(device, reading) == set()
    assert [record.message for record in caplog.records] == [
        f"block degraded device=m1 block=3:500 exception={code}",
        "block is read again device=m1 block=3:500 exception=0",
    ]


@pytest.mark.parametrize("code", [10, 11])
async def test_a_gateway_that_does_not_reach_the_unit_does_not_degrade_a_block(code):
    bus = Bus()
    device = connect(bus, profile(*singles(2), {"name": "far", "address": 500, "type": "u16"}))
    bus.failing = {500: code}
    for _ in range(10):
        reading = await bus.poll(device)
        assert (500, 1) in bus.asked
    assert reading.quality[2] == Quality.TIMEOUT


async def test_a_device_of_which_all_blocks_fail_is_asked_whenever_it_is_its_turn():
    bus = Bus()
    device = connect(bus, profile(*singles(2)))
    bus.failing = {0: 4}
    for _ in range(10):
        await bus.poll(device)
        assert bus.asked == [(0, 2)]


async def test_what_was_given_once_and_is_refused_later_is_not_searched_but_asked_again():
    bus = Bus()
    device = connect(bus, profile(*singles(10)))
    await bus.poll(device)
    bus.missing = {3}
    assert refused(device, await bus.poll(device)) == set(range(10))
    assert len(bus.asked) == 1
    bus.missing = set()
    assert refused(device, await bus.poll(device)) == set()


async def test_a_device_that_refuses_everything_teaches_nothing_and_is_searched_ever_more_seldom():
    bus = Bus(missing=range(10))
    device = connect(bus, profile(*singles(10)))
    searched = []
    for n in range(20):
        assert refused(device, await bus.poll(device)) == set(range(10))
        searched += [n] if len(bus.asked) > 1 else []
    assert searched == [0, 1, 2, 4, 8, 16]
    assert device.learnt == Learnt()
    bus.missing = {3}
    for _ in range(13):
        reading = await bus.poll(device)
    assert refused(device, reading) == {3}
    assert device.learnt == Learnt(refused=frozenset({"p3"}))


async def test_what_only_identifies_the_way_to_a_device_does_not_make_its_refusals_lasting():
    serial = {"name": "serial", "address": 50, "type": "u16", "poll": "once"}
    bus = Bus(missing=range(10))
    device = connect(bus, profile(*singles(10), serial))
    assert refused(device, await bus.poll(device)) == set(range(10))
    assert device.learnt == Learnt()


@pytest.mark.parametrize("kind", [OutcomeKind.LINK_DOWN, OutcomeKind.UNSENT])
async def test_a_link_that_fails_in_the_search_teaches_nothing(kind):
    bus = Bus(missing=[3])
    bus.trouble = {n: Outcome(kind=kind, mono_ns=n) for n in range(3, 30)}
    device = connect(bus, profile(*singles(10)))
    await bus.poll(device)
    assert device.learnt == Learnt()
    bus.trouble = {}
    assert refused(device, await bus.poll(device)) == {3}


@given(
    missing=st.sets(st.integers(0, 59), max_size=12),
    longest=st.integers(4, 125),
    widths=st.lists(st.sampled_from(["u16", "u32", "u64"]), min_size=8, max_size=30),
    gaps=st.lists(st.integers(0, 3), min_size=30, max_size=30),
)
async def test_every_point_that_the_device_has_is_read_and_then_without_refusals(missing, longest, widths, gaps):
    address, points = 0, []
    for number, (type_, gap) in enumerate(zip(widths, gaps, strict=False)):
        points.append({"name": f"p{number}", "address": address + gap, "type": type_})
        address += gap + {"u16": 1, "u32": 2, "u64": 4}[type_]
    bus = Bus(missing, longest=longest)
    device = connect(bus, profile(*points))
    lost = {index for index, point in enumerate(device.profile.points) if missing.intersection(point.addresses)}
    for _ in range(8):
        reading = await bus.poll(device)
    assert {index for index, quality in enumerate(reading.quality) if quality != Quality.OK} == lost
    assert bus.refusals == 0 or len(lost) == len(points)


@given(
    missing=st.sets(st.integers(0, 39), max_size=3),
    cut=st.dictionaries(st.integers(1, 40), st.integers(0, 60), max_size=10),
    longest=st.integers(6, 60),
)
async def test_a_value_is_never_put_together_from_two_reads(missing, cut, longest):
    """All registers show the number of the read that they came in, some reads come back in part only."""
    wide = [{"name": f"v{n}", "address": 4 * n, "type": "u32"} for n in range(5)]
    split = {"name": "split", "address": 21, "type": "u32", "tail_address": 23}
    scaled = {"name": "scaled", "address": 30, "type": "u16", "scale_register": "power"}
    places = {"name": "places", "address": 33, "type": "u16", "scale_register": "decimals", "decimals": True}
    scales = [{"name": "power", "address": 35, "type": "i16"}, {"name": "decimals", "address": 34, "type": "u16"}]
    device_profile = profile(*wide, split, scaled, places, *scales, max_block=60)
    bus = Bus(missing, longest=longest, clocks=range(40))
    for request, size in cut.items():
        bus.trouble[request] = Outcome(kind=OutcomeKind.OK, data=bytes([0, request]) * size, mono_ns=request)
    device = connect(bus, device_profile)
    names = [point.name for point in device_profile.points]
    for _ in range(6):
        reading = await bus.poll(device)
        for index, name in enumerate(names):
            if reading.quality[index] != Quality.OK:
                assert reading.raws[index] == 0
                continue
            raw = reading.raws[index]
            if name in ("scaled", "places"):
                # the exponent is of the same read as the value
                assert reading.exponents[index] == (raw if name == "scaled" else -raw)
                assert reading.values[index] == pytest.approx(raw * 10.0 ** reading.exponents[index])
            elif name not in ("power", "decimals"):
                assert raw >> 16 == raw & 0xFFFF, f"{name} has its words from two reads"
