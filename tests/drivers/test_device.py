"""A device on a link that fails in every way: a reading always, a wrong value never."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from drivers.codec import encode
from drivers.device import Device, identity
from drivers.modbus.outcome import Outcome, OutcomeKind
from drivers.profile import Profile
from ext import Quality

# Three live blocks (by the holes between them) and one that is read once.
PROFILE = {
    "profile": {"title": "T", "make": "M", "model": "X", "kind": "meter"},
    "link": {"timeout_ms": 1500, "max_gap": 0},
    "point": [
        {"name": "a", "address": 10, "type": "u16"},
        {"name": "energy", "address": 20, "type": "u32", "unit": "Wh", "counter": {"flow": "import"}},
        {"name": "note", "address": 30, "type": "str2"},
        {"name": "serial", "address": 40, "type": "str2", "poll": "once"},
        {"name": "rating", "address": 42, "type": "u16", "poll": "once"},
    ],
    "identity": {"serial": "serial", "model": "rating"},
}
A, ENERGY, NOTE, SERIAL, RATING = range(5)
LIVE, ONCE = [10, 20, 30], [40]
RATING_ADDRESS = 42
REGISTERS = {
    (3, 10): 7,
    (3, 20): 1,
    (3, 21): 2,
    (3, 30): 0x4142,
    (3, 31): 0,
    (3, 40): 0x5345,
    (3, 41): 0x3100,
    (3, 42): 9,
}


@pytest.fixture
def rig(scripted_link):
    """A device and its link: `script` says what fails, `asked` which blocks the last poll asked for."""

    class Rig:
        def __init__(self) -> None:
            self.link = scripted_link(REGISTERS, lambda request: self.script.get(request.address))
            self.device = Device(name="m1", unit=5, profile=Profile.model_validate(PROFILE), link=self.link)
            self.script: dict[int, Outcome] = {}

        async def poll(self):
            self.link.requests.clear()
            return await self.device.read()

        @property
        def asked(self) -> list[int]:
            return [request.address for request in self.link.requests]

        def fail(self, *addresses: int, kind: OutcomeKind, code: int = 0) -> None:
            self.script = {address: Outcome(kind=kind, code=code, mono_ns=1) for address in addresses}

    return Rig()


def assert_without_value(reading, quality, *points):
    for index in points:
        assert reading.quality[index] == quality
        assert math.isnan(reading.values[index])
        assert (reading.raws[index], reading.ulps[index], reading.exponents[index]) == (0, 0, 0)
        assert index not in reading.texts


def assert_sound(reading, *points):
    values = {A: 7, ENERGY: 65538, RATING: 9}
    texts = {NOTE: "AB", SERIAL: "SE1"}
    for index in points:
        assert reading.quality[index] == Quality.OK
        if index in texts:
            assert reading.texts[index] == texts[index]
        else:
            assert (reading.values[index], reading.raws[index]) == (values[index], values[index])


async def test_a_healthy_poll(rig):
    reading = await rig.poll()
    assert reading.device == "m1"
    assert_sound(reading, A, ENERGY, NOTE, SERIAL, RATING)
    assert rig.asked == LIVE + ONCE
    assert {(request.unit, request.timeout_s) for request in rig.link.requests} == {(5, 1.5)}
    # the link stamps its n-th answer 1000 + n: the counter is in the second block
    assert reading.mono_ns == 1002


async def test_points_read_once_stay_in_later_readings(rig):
    await rig.poll()
    reading = await rig.poll()
    assert rig.asked == LIVE
    assert_sound(reading, A, ENERGY, NOTE, SERIAL, RATING)


async def test_a_reading_does_not_change_when_the_next_one_is_taken(rig):
    first = await rig.poll()
    rig.link.registers[3, 10] = 8
    rig.fail(30, kind=OutcomeKind.TIMEOUT)
    second = await rig.poll()
    assert_sound(first, A, ENERGY, NOTE)
    assert second.values[A] == 8
    assert_without_value(second, Quality.TIMEOUT, NOTE)


@pytest.mark.parametrize(
    ("kind", "code", "quality"),
    [
        (OutcomeKind.TIMEOUT, 0, Quality.TIMEOUT),
        (OutcomeKind.CORRUPT, 0, Quality.CORRUPT),
        (OutcomeKind.DESYNC, 0, Quality.CORRUPT),
        (OutcomeKind.EXCEPTION, 2, Quality.REFUSED),
        (OutcomeKind.EXCEPTION, 4, Quality.REFUSED),
        (OutcomeKind.EXCEPTION, 10, Quality.TIMEOUT),
        (OutcomeKind.EXCEPTION, 11, Quality.TIMEOUT),
    ],
)
@pytest.mark.parametrize(("address", "hit"), [(10, (A,)), (20, (ENERGY,)), (30, (NOTE,)), (40, (SERIAL, RATING))])
async def test_a_failing_block_leaves_the_others_unharmed(rig, address, hit, kind, code, quality):
    rig.fail(address, RATING_ADDRESS if address in ONCE else address, kind=kind, code=code)
    reading = await rig.poll()
    assert rig.asked[:4] == LIVE + ONCE
    assert_without_value(reading, quality, *hit)
    assert_sound(reading, *({A, ENERGY, NOTE, SERIAL, RATING} - set(hit)))


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\7\0"])
async def test_an_answer_of_the_wrong_size_is_corrupt(rig, data):
    rig.script = {10: Outcome(kind=OutcomeKind.OK, data=data, mono_ns=1)}
    reading = await rig.poll()
    assert_without_value(reading, Quality.CORRUPT, A)
    assert_sound(reading, ENERGY, NOTE, SERIAL, RATING)


async def test_texts_that_are_none(rig):
    rig.link.registers.update({(3, 30): 0, (3, 40): 0xC328, (3, 41): 0x4142})
    reading = await rig.poll()
    assert_without_value(reading, Quality.NO_VALUE, NOTE)
    assert_without_value(reading, Quality.BAD, SERIAL)
    assert_sound(reading, A, ENERGY, RATING)


async def test_a_text_that_goes_away_is_gone(rig):
    await rig.poll()
    rig.link.registers[3, 30] = 0
    assert_without_value(await rig.poll(), Quality.NO_VALUE, NOTE)


async def test_time_of_a_reading_is_that_of_its_first_energy(scripted_link):
    counter = {"type": "u32", "unit": "Wh", "counter": {"flow": "import"}}
    points = [{"name": f"energy{address}", "address": address, **counter} for address in (20, 60)]
    device = Device(
        name="m1",
        unit=5,
        profile=Profile.model_validate({**PROFILE, "point": [*points, *PROFILE["point"][3:]]}),
        link=scripted_link(REGISTERS),
    )
    assert (await device.read()).mono_ns == 1001


async def test_time_of_a_reading_without_its_energy_is_the_end_of_the_poll(rig):
    rig.fail(20, kind=OutcomeKind.TIMEOUT)
    assert (await rig.poll()).mono_ns > 1_000_000


async def test_a_silent_device_gets_one_request_a_poll_for_another_block_each_time(rig):
    await rig.poll()
    rig.fail(*LIVE, *ONCE, kind=OutcomeKind.TIMEOUT)
    reading = await rig.poll()
    assert rig.asked == LIVE
    assert_without_value(reading, Quality.TIMEOUT, A, ENERGY, NOTE, SERIAL, RATING)
    asked = []
    for _ in range(4):
        reading = await rig.poll()
        assert_without_value(reading, Quality.TIMEOUT, A, ENERGY, NOTE, SERIAL, RATING)
        asked.append(rig.asked)
    assert asked == [[20], [30], [40], [10]]


async def test_a_device_that_comes_back_is_read_whole_with_its_once_points(rig):
    await rig.poll()
    rig.fail(*LIVE, kind=OutcomeKind.TIMEOUT)
    await rig.poll()
    rig.script = {}
    rig.link.registers[3, 42] = 11
    reading = await rig.poll()
    assert sorted(rig.asked) == LIVE + ONCE
    assert_sound(reading, A, ENERGY, NOTE, SERIAL)
    assert reading.values[RATING] == 11


async def test_a_block_that_is_silent_for_ever_does_not_keep_a_device_from_coming_back(rig):
    rig.fail(*LIVE, *ONCE, kind=OutcomeKind.TIMEOUT)
    await rig.poll()
    rig.fail(10, kind=OutcomeKind.TIMEOUT)
    await rig.poll()
    reading = await rig.poll()
    assert_without_value(reading, Quality.TIMEOUT, A)
    assert_sound(reading, ENERGY, NOTE, SERIAL, RATING)


async def test_a_connection_that_was_lost_under_a_block_costs_that_block_and_makes_the_once_points_due(rig):
    await rig.poll()
    rig.fail(20, kind=OutcomeKind.LINK_DOWN)
    reading = await rig.poll()
    assert rig.asked == LIVE
    assert_sound(reading, A, NOTE)
    assert_without_value(reading, Quality.LINK_DOWN, ENERGY, SERIAL, RATING)
    rig.script = {}
    reading = await rig.poll()
    assert sorted(rig.asked) == LIVE + ONCE
    assert_sound(reading, A, ENERGY, NOTE, SERIAL, RATING)


async def test_once_points_are_asked_again_until_answered_or_refused_for_good(rig):
    rig.fail(40, kind=OutcomeKind.EXCEPTION, code=6)
    await rig.poll()
    await rig.poll()
    assert rig.asked == LIVE + ONCE
    rig.fail(40, RATING_ADDRESS, kind=OutcomeKind.EXCEPTION, code=2)
    await rig.poll()
    reading = await rig.poll()
    assert rig.asked == LIVE
    assert_without_value(reading, Quality.REFUSED, SERIAL, RATING)


async def test_identity_joins_serial_and_model(rig):
    assert identity(rig.device.profile, await rig.poll()) == "SE1|9"


@pytest.mark.parametrize("kind", [OutcomeKind.TIMEOUT, OutcomeKind.LINK_DOWN, OutcomeKind.CORRUPT])
async def test_identity_that_cannot_be_read_is_unknown(rig, kind):
    rig.fail(40, kind=kind)
    assert identity(rig.device.profile, await rig.poll()) is None


async def test_identity_that_is_blank_is_unknown(rig):
    rig.link.registers[3, 40] = 0
    assert identity(rig.device.profile, await rig.poll()) is None


async def test_a_profile_without_identity_has_an_empty_one(rig):
    profile = Profile.model_validate({key: table for key, table in PROFILE.items() if key != "identity"})
    assert identity(profile, await rig.poll()) == ""


async def test_a_profile_of_once_points_only(scripted_link):
    profile = Profile.model_validate({**PROFILE, "point": PROFILE["point"][3:]})
    link = scripted_link(REGISTERS)
    device = Device(name="m1", unit=5, profile=profile, link=link)
    await device.read()
    reading = await device.read()
    assert reading.texts == {0: "SE1"}
    assert len(link.requests) == 1


async def test_halves_that_lie_apart_and_decimals_are_read_as_one(scripted_link):
    """A dump by hand: the import counter of a one-phase Deye hybrid (78 and 80), the level of a QDY30A probe."""
    profile = Profile.model_validate(
        {
            **{key: PROFILE[key] for key in ("profile", "link")},
            "point": [
                {
                    "name": "import_total",
                    "address": 78,
                    "tail_address": 80,
                    "type": "u32",
                    "word_order": "little",
                    "scale": "0.1",
                    "unit": "kWh",
                },
                {"name": "frequency", "address": 79, "type": "u16", "scale": "0.01", "unit": "Hz"},
                {"name": "places", "address": 103, "type": "u16"},
                {
                    "name": "level",
                    "address": 104,
                    "type": "i16",
                    "unit": "m",
                    "scale_register": "places",
                    "decimals": True,
                },
            ],
        }
    )
    registers = {(3, 78): 0xD687, (3, 79): 4998, (3, 80): 0x0012, (3, 103): 3, (3, 104): 0xFF85}
    link = scripted_link(registers)
    reading = await Device(name="m1", unit=1, profile=profile, link=link).read()
    assert [(request.address, request.count) for request in link.requests] == [(78, 3), (103, 2)]
    assert list(reading.quality) == [Quality.OK] * 4
    assert list(reading.values) == [123456.7, 49.98, 3, -0.123]
    assert list(reading.raws) == [1234567, 4998, 3, -123]
    assert list(reading.exponents) == [0, 0, 0, -3]
    level = profile.points[profile.index("level")]
    assert encode(level, reading.values[3], level.exponent(3)) == [0xFF85]
    assert encode(profile.points[0], reading.values[0]) == [0xD687, 0x0012]


@pytest.mark.parametrize("exponent", range(-14, 15))
async def test_g4_a_scale_factor_outside_of_minus_10_to_10_gives_no_value(scripted_link, exponent):
    about = {"title": "-", "make": "-", "model": "-", "kind": "meter"}
    points = [
        {"name": "power", "address": 0, "type": "u16", "unit": "W", "scale_register": "power_sf"},
        {"name": "power_sf", "address": 1, "type": "i16"},
    ]
    profile = Profile.model_validate({"profile": about, "point": points})
    link = scripted_link({(3, 0): 7, (3, 1): exponent & 0xFFFF})
    reading = await Device(name="m1", unit=1, profile=profile, link=link).read()
    assert len(link.requests) == 1  # the value and its scale come together
    if abs(exponent) <= 10:
        assert (reading.quality[0], reading.values[0]) == (Quality.OK, pytest.approx(7 * 10.0**exponent))
    else:
        assert_without_value(reading, Quality.BAD, 0)


async def test_g5_words_in_the_wrong_order_are_out_of_the_range_of_a_voltage(scripted_link):
    about = {"title": "-", "make": "-", "model": "-", "kind": "meter"}
    swapped = {"name": "swapped", "address": 2, "type": "f32", "unit": "V", "valid": [180, 260], "word_order": "little"}
    points = [{"name": "right", "address": 0, "type": "f32", "unit": "V", "valid": [180, 260]}, swapped]
    profile = Profile.model_validate({"profile": about, "point": points})
    words = {(3, 0): 0x4366, (3, 1): 0x8000, (3, 2): 0x4366, (3, 3): 0x8000}  # 230.5, big-endian
    reading = await Device(name="m1", unit=1, profile=profile, link=scripted_link(words)).read()
    assert (reading.values[0], Quality(reading.quality[0])) == (230.5, Quality.OK)
    assert_without_value(reading, Quality.OUT_OF_RANGE, 1)


async def test_what_was_read_once_is_read_again_after_a_day(rig):
    first_ns = (await rig.poll()).mono_ns
    await rig.poll()
    rig.device._last = replace(rig.device._last, mono_ns=first_ns + 86_400 * 10**9 - 1)
    await rig.poll()
    assert rig.asked == LIVE
    rig.device._last = replace(rig.device._last, mono_ns=first_ns + 86_400 * 10**9)
    await rig.poll()
    assert rig.asked == LIVE + ONCE
    await rig.poll()
    assert rig.asked == LIVE


FROZEN = {"heartbeat": "a", "after_s": 10}


def watch(scripted_link, frozen, clock):
    """A device of which each read comes at `clock[0]` seconds."""
    energy = PROFILE["point"][1]
    power = {"name": "power", "address": 50, "type": "u16", "unit": "W"}
    points = [PROFILE["point"][0], energy, PROFILE["point"][3], power]
    profile = Profile.model_validate({"profile": PROFILE["profile"], "point": points, "frozen": frozen})
    link = scripted_link({**REGISTERS, (3, 50): 900})
    answer = link.read

    async def read(*args, **keys):
        return replace(await answer(*args, **keys), mono_ns=int(clock[0] * 1e9))

    link.read = read
    return Device(name="m1", unit=1, profile=profile, link=link), link


async def test_g7_a_device_whose_heartbeat_stands_still_has_no_values_until_it_moves(scripted_link, caplog):
    clock = [100.0]
    device, link = watch(scripted_link, FROZEN, clock)
    seen = []
    for second in range(30):
        clock[0] = 100 + second
        link.registers[3, 20] = second  # the counter moves: it is the heartbeat that counts
        link.registers[3, 10] = 1 if second < 25 else second
        reading = await device.read()
        seen.append(Quality(reading.quality[0]))
        assert reading.is_answer
        assert reading.quality[0] == reading.quality[1] == reading.quality[3]
        assert math.isnan(reading.values[1]) == (reading.quality[0] == Quality.FROZEN)
        assert reading.texts == {2: "SE1"}  # what was read once is no news anyway
    assert seen == [Quality.OK] * 10 + [Quality.FROZEN] * 15 + [Quality.OK] * 5
    assert [record.message for record in caplog.records] == [
        "device stands still device=m1",
        "device moves again device=m1",
    ]


async def test_g7_without_a_heartbeat_identical_numbers_are_frozen_while_there_is_power(scripted_link):
    clock = [100.0]
    device, link = watch(scripted_link, {"after_s": 10}, clock)
    await device.read()
    clock[0] = 111.0
    assert (await device.read()).quality[0] == Quality.FROZEN
    link.registers[3, 50] = 0  # night: nothing moves and nothing should
    assert (await device.read()).quality[0] == Quality.OK
    clock[0] = 1000.0
    assert (await device.read()).quality[0] == Quality.OK


async def test_a_silent_device_is_not_frozen(scripted_link):
    clock = [100.0]
    device, link = watch(scripted_link, FROZEN, clock)
    await device.read()
    link.script = lambda request: Outcome(kind=OutcomeKind.TIMEOUT, mono_ns=1)
    clock[0] = 200.0
    assert Quality.FROZEN not in (await device.read()).quality


async def test_a_block_for_which_the_line_had_no_time_says_nothing_about_the_device(rig):
    await rig.poll()
    rig.fail(*LIVE, kind=OutcomeKind.UNSENT)
    reading = await rig.poll()
    assert_without_value(reading, Quality.UNREAD, A, ENERGY, NOTE)
    assert_sound(reading, SERIAL, RATING)
    await rig.poll()
    assert rig.asked == LIVE
