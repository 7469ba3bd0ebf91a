"""Every profile there is, on a register dump of its device."""

from __future__ import annotations

import math

import pytest

from drivers.catalogue import Catalogue, shipped
from drivers.codec import encode, encode_bits, encode_raw
from drivers.device import Device, identity
from ext import Quality

CATALOGUE = Catalogue([shipped()])

every_profile = pytest.mark.parametrize("name", CATALOGUE.names())


def test_there_are_profiles():
    assert {"inverter/huawei-sun2000", "meter/eastron-sdm630", "charger/keba-p30"} <= set(CATALOGUE.names())


@every_profile
async def test_profile_reads_its_dump(name, scripted_link, load_dump):
    profile, dump = CATALOGUE.load(name), load_dump(name)
    assert sorted([*dump.expected, *dump.no_value]) == sorted(point.name for point in profile.points)

    link = scripted_link(dump.registers)
    device = Device(name="it", unit=7, profile=profile, link=link)
    reading = await device.read()

    planned = [index for block in device.plan for index in block.points]
    assert sorted(planned) == list(range(len(profile.points)))
    assert [(r.function, r.address, r.count) for r in link.requests] == [
        (block.function, block.address, block.count) for block in device.plan
    ]
    assert all(request.count <= profile.manners.max_block for request in link.requests)
    for index, point in enumerate(profile.points):
        if point.name in dump.no_value:
            assert_no_value(reading, index, point.name)
            continue
        expected = dump.expected[point.name]
        assert reading.quality[index] == Quality.OK, point.name
        if point.is_text:
            assert reading.texts[index] == expected, point.name
            continue
        assert reading.values[index] == expected["value"], point.name
        assert reading.exponents[index] == expected.get("exponent", 0), point.name
        if "raw" in expected:
            assert reading.raws[index] == expected["raw"], point.name
        assert not point.states or point.is_bits or reading.raws[index] in point.states, point.name


@every_profile
async def test_reading_encodes_back_to_the_dump(name, scripted_link, load_dump):
    profile, dump = CATALOGUE.load(name), load_dump(name)
    reading = await Device(name="it", unit=1, profile=profile, link=scripted_link(dump.registers)).read()

    for index, point in enumerate(profile.points):
        words = words_of(dump.registers, point)
        if reading.quality[index] != Quality.OK or point.absolute:
            continue  # the sign that absolute dropped cannot come back
        if point.is_text:
            assert encode(point, reading.texts[index]) == [word if word != 0x2020 else 0 for word in words]
            continue
        assert encode(point, reading.values[index], reading.exponents[index]) == words, point.name
        if not point.is_float or point.canonical is not None:
            assert encode_raw(point, reading.raws[index]) == words, point.name


@every_profile
async def test_sentinels_give_no_value(name, scripted_link, load_dump):
    profile, dump = CATALOGUE.load(name), load_dump(name)
    for index, point in enumerate(profile.points):
        for bits in point.sentinels:
            link = scripted_link(dump.registers)
            put(link.registers, point, encode_bits(point, bits))
            reading = await Device(name="it", unit=1, profile=profile, link=link).read()
            assert_no_value(reading, index, f"{point.name} {bits:#x}")


@every_profile
async def test_examples_are_read_as_written(name, scripted_link):
    profile = CATALOGUE.load(name)
    link = scripted_link({})
    exponents = {point.name: point.example for point in profile.points}
    for point in profile.points:
        assert point.example is not None, point.name
        put(link.registers, point, encode(point, point.example, int(exponents.get(point.scale_register, 0))))
    reading = await Device(name="it", unit=1, profile=profile, link=link).read()
    for index, point in enumerate(profile.points):
        if point.is_text:
            assert reading.texts[index] == point.example
        else:
            step = float(point.scale) * 10.0 ** reading.exponents[index] if not point.is_float else 1e-6
            assert reading.values[index] == pytest.approx(point.example, abs=step / 2, rel=1e-6), point.name


@every_profile
async def test_identity_is_read_where_the_profile_names_one(name, scripted_link, load_dump):
    profile, dump = CATALOGUE.load(name), load_dump(name)
    device = Device(name="it", unit=1, profile=profile, link=scripted_link(dump.registers))
    found = identity(profile, await device.read())
    wanted = [part for part in (profile.identity.serial, profile.identity.model) if part]
    texts = [
        dump.expected[part] if isinstance(dump.expected[part], str) else dump.expected[part]["raw"] for part in wanted
    ]
    assert found == "|".join(str(text) for text in texts)


@every_profile
def test_every_fact_has_a_source(name):
    profile = CATALOGUE.load(name)
    assert profile.about.sources
    assert profile.simulate is not None
    assert [point.name for point in profile.points if not point.source] == []
    assert any(point.counter or point.integrate for point in profile.points)
    for point in profile.points:
        assert point.counter is None or point.counter.power is not None, point.name


def assert_no_value(reading, index, what):
    assert reading.quality[index] == Quality.NO_VALUE, what
    assert math.isnan(reading.values[index]), what
    assert reading.raws[index] == 0, what
    assert index not in reading.texts, what


def words_of(registers, point):
    return [registers[point.function, point.address + offset] for offset in range(point.words)]


def put(registers, point, words):
    registers.update({(point.function, point.address + offset): word for offset, word in enumerate(words)})
