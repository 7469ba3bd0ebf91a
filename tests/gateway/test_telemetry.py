"""What is told of a device: every shipped profile against what Home Assistant documents, and values as they are."""

import json
import re
from dataclasses import replace
from fractions import Fraction
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.catalogue import Catalogue, shipped
from drivers.device import Device, Reading
from drivers.point import Point
from drivers.units import QUANTITY_OF_UNIT, Quantity
from ext import Quality as Q
from gateway.clock import Anchor, Dating
from gateway.config_file import MqttSection
from gateway.live import Live, Place
from gateway.telemetry import Facts, newest, number, sensors, topics
from sync.telemetry import home_assistant
from sync.telemetry.home_assistant import Sensor, Thing
from tests.sync.telemetry.home_assistant_facts import TOPIC, objections

CATALOGUE = Catalogue([shipped()])
SECOND = 1_000_000_000
PV = "屋顶 pv"
SUN = "inverter/huawei-sun2000"


class Now:
    """Two clocks of one moment."""

    def __init__(self) -> None:
        self.ns = 100 * SECOND

    def mono_ns(self) -> int:
        return self.ns

    def wall_ms(self) -> int:
        return 1_800_000_000_000 + self.ns // 1_000_000

    def witness(self) -> Anchor:
        return Anchor(offset_ms=1_800_000_000_000, source="test")


class Site:
    """One device of a product, and what is told of it."""

    def __init__(self, product: str, name: str = PV, **mqtt: Any) -> None:
        self.now = Now()
        self.profile = CATALOGUE.load(product)
        place = Place(
            name=name, link="l", unit=1, role="pv", period_ms=1000, profile_name=product, profile=self.profile
        )
        self.live = Live([place])
        self.device = self.live.devices[name]
        dating = Dating(self.now, [self.now.witness])
        dating.observe()
        self.doubted: dict[str, list[str]] = {}
        self.facts = Facts(live=self.live, dating=dating, held=lambda: self.doubted, mono_ns=self.now.mono_ns)
        self.topics = topics("site.1", MqttSection(url="mqtt://b", **mqtt), self.facts)

    def take(self, qualities: dict[str, Q] | None = None, **raws: int) -> None:
        """A reading of examples: each number its raw count here or 1, each text a word."""
        self.live.take(reading(self.profile, self.device.place.name, self.now.ns, qualities or {}, raws))

    def newest(self) -> dict[str, Any]:
        return newest(self.device, self.facts)

    def document(self) -> dict[str, Any]:
        (payload,) = (payload() for payload in self.topics.announcements.values())
        found: dict[str, Any] = json.loads(payload)
        return found


def reading(profile: Any, name: str, now_ns: int, qualities: dict[str, Q], raws: dict[str, int]) -> Reading:
    blank = Device(name=name, unit=1, profile=profile, link=None)._last  # type: ignore[arg-type] # nothing is asked
    for index, point in enumerate(profile.points):
        quality = qualities.get(point.name, Q.OK)
        blank.quality[index] = quality
        if quality == Q.OK and point.is_text:
            blank.texts[index] = f"a {point.name}"
        elif quality == Q.OK:
            raw = raws.get(point.name, 1)
            blank.raws[index] = raw
            blank.values[index] = float(raw * point.sign * point.scale + point.offset)
    return replace(blank, mono_ns=now_ns)


@pytest.mark.parametrize("product", CATALOGUE.names())
def test_home_assistant_has_nothing_against_a_shipped_profile(product: str) -> None:
    site = Site(product)
    site.take()
    document = site.document()
    assert objections(document) == []
    assert all(TOPIC.fullmatch(topic) for topic in site.topics.announcements)
    shown, told = document["components"], site.newest()
    assert shown.keys() <= told["values"].keys() | told["texts"].keys()
    for name, component in shown.items():
        part, key = re.search(r"value_json\['(\w+)'\]\['(\w+)'\]", component["value_template"]).groups()  # type: ignore[union-attr]
        assert key == name == component["name"]
        assert told[part][key] is not None, "the template finds the value"


@pytest.mark.parametrize(
    ("unit", "is_counter"),
    [*((unit, False) for unit in QUANTITY_OF_UNIT), *((u, True) for u, q in QUANTITY_OF_UNIT.items() if q == "energy")],
)
def test_nor_against_any_unit_that_a_profile_may_have(unit: str, is_counter: bool) -> None:
    sensor = Sensor(
        name="x", unit=unit, quantity=QUANTITY_OF_UNIT[unit], is_counter=is_counter, is_text=False, is_fixed=False
    )
    assert objections(document_of(sensor)) == []


def document_of(*sensors: Sensor) -> dict[str, Any]:
    thing = Thing(gateway="g", name="d", manufacturer="m", model="n", serial=None, sensors=sensors)
    found: dict[str, Any] = json.loads(home_assistant.config(thing, value_topic="v", status_topic="s", version="1"))
    return found


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ({"unit_of_measurement": "degC"}, "x: degC is no unit of temperature"),
        ({"state_class": "total"}, "x: total is no state class of temperature"),
        ({"device_class": "warmth"}, "x: warmth is no device class that we know of"),
        ({"unique_id": ""}, "each component needs an id of its own"),
        ({"platform": "number"}, "x: the platform must be sensor"),
        ({"topic": "x"}, "x: topic is no key of a sensor"),
    ],
)
def test_the_oracle_objects(change: dict[str, str], objection: str) -> None:
    """Control: each kind of fault is found."""
    document = document_of(
        Sensor(name="x", unit="degC", quantity="temperature", is_counter=False, is_text=False, is_fixed=False)
    )
    document["components"]["x"] |= change
    assert objections(document) == [objection]


def test_every_quantity_is_thought_of() -> None:
    plain = {"share", "resistance", "level", "concentration", "turbidity", "other"}
    assert home_assistant.DEVICE_CLASSES.keys() | plain == set(get_args(Quantity))
    assert set(get_args(Quantity)) >= home_assistant.UNCLASSED_SUMS


def test_counters_rise_powers_are_measured_and_what_nobody_vouches_for_has_no_statistics() -> None:
    shown = Site(SUN).document()["components"]
    classes = {name: (shown[name].get("device_class"), shown[name].get("state_class")) for name in shown}
    assert classes["accumulated_yield"] == ("energy", "total_increasing")
    assert classes["active_power"] == ("power", "measurement")
    assert classes["daily_yield"] == ("energy", None)
    assert classes["battery_charge"] == (None, "measurement")
    assert classes["alarm1"] == classes["device_status"] == (None, None)
    assert shown["internal_temperature"]["unit_of_measurement"] == "°C"
    assert shown["rated_power"]["entity_category"] == "diagnostic"
    assert "entity_category" not in shown["active_power"]


def test_scale_registers_are_no_sensors() -> None:
    names = {sensor.name for sensor in sensors(CATALOGUE.load("inverter/sunspec-103"))}
    assert "active_power" in names
    assert "W_SF" not in names


def test_a_device_is_named_as_the_site_names_it_and_gets_its_serial_when_it_is_read() -> None:
    site = Site(SUN)
    before = site.document()
    assert before["device"] == {
        "identifiers": [f"huxi/site.1/{PV}"],
        "name": PV,
        "manufacturer": "Huawei",
        "model": "SUN2000",
    }
    site.take()
    after = site.document()
    assert (after["device"]["serial_number"], after["device"]["model"]) == ("a serial_number", "a model_name")
    site.take({"serial_number": Q.TIMEOUT, "model_name": Q.TIMEOUT})
    assert site.document() == after, "it does not forget"
    ids = [{name: part["unique_id"] for name, part in d["components"].items()} for d in (before, after)]
    assert ids[0] == ids[1]
    assert ids[0]["active_power"] == f"huxi/site.1/{PV}/active_power"


def test_ids_of_topics_stay_apart() -> None:
    found = {home_assistant.config_topic("ha", gateway, name) for gateway in ("a.b", "a_b", "a") for name in "屋_-"}
    assert len(found) == 9
    assert all(TOPIC.fullmatch(topic) for topic in found)


def test_without_discovery_only_values_are_told() -> None:
    site = Site(SUN, discovery=False, prefix="plant/east")
    assert (site.topics.announcements, site.topics.question, site.topics.ours) == ({}, None, None)
    assert list(site.topics.values) == [f"plant/east/devices/{PV}"]
    assert Site(SUN).topics.status == "huxi/site.1/status"


def test_no_value_is_null_and_says_why() -> None:
    site = Site(SUN)
    told = site.newest()
    assert (told["availability"], told["state"], told["t_ms"]) == ("offline", "never", None)
    assert set(told["values"].values()) | set(told["texts"].values()) == {None}
    site.take({"active_power": Q.NO_VALUE, "device_status": Q.REFUSED})
    told = site.newest()
    assert (told["availability"], told["t_ms"]) == ("online", site.now.wall_ms())
    assert told["values"]["active_power"] is told["texts"]["device_status"] is None
    assert told["quality"] == {"active_power": "no_value", "device_status": "refused"}
    assert told["values"]["frequency"] == 0.01


def test_a_device_that_fell_silent_is_unavailable_and_has_no_values() -> None:
    site = Site(SUN)
    site.take(active_power=3000)
    site.now.ns += 10 * SECOND
    told = site.newest()
    assert (told["state"], told["availability"], told["values"]["active_power"]) == ("late", "offline", None)
    site.take(dict.fromkeys((p.name for p in site.profile.points), Q.LINK_DOWN))
    assert (site.newest()["state"], site.newest()["availability"]) == ("disconnected", "offline")


def test_an_inverter_at_night_is_unavailable() -> None:
    site = Site(SUN)
    site.take(active_power=0, input_power=0)
    site.now.ns += 10 * SECOND
    assert (site.newest()["state"], site.newest()["availability"]) == ("asleep", "offline")
    assert set(site.newest()["values"].values()) == {None}


def test_frozen_values_and_doubted_registers_are_no_values() -> None:
    site = Site(SUN)
    site.take(dict.fromkeys((p.name for p in site.profile.points), Q.FROZEN))
    assert (site.newest()["availability"], site.newest()["values"]["active_power"]) == ("online", None)
    site.take()
    site.doubted = {PV: ["accumulated_yield"]}
    assert site.newest()["values"]["accumulated_yield"] is None
    assert site.newest()["quality"] == {"accumulated_yield": "implausible"}


def test_states_are_told_in_words_and_a_code_without_one_is_its_own() -> None:
    site = Site(SUN)
    codes = site.profile.points[site.profile.index("device_status")].states
    code, word = next(iter(codes.items()))
    site.take(device_status=code)
    assert (site.newest()["values"]["device_status"], site.newest()["texts"]["device_status"]) == (code, word)
    site.take(device_status=65_001)
    assert site.newest()["texts"]["device_status"] == "65001"


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from(["1", "0.1", "0.01", "1000"]), st.integers(-6, 6))
def test_whole_numbers_are_exact_and_others_the_nearest_float(raw: int, scale: str, exponent: int) -> None:
    point = Point(name="x", address=0, type="i64", scale=scale, unit="kWh", scale_register="s")  # type: ignore[arg-type]
    blank = Device(name="d", unit=1, profile=CATALOGUE.load(SUN), link=None)._last  # type: ignore[arg-type]
    blank.raws[0], blank.exponents[0] = raw, exponent
    exact = raw * Fraction(scale) * Fraction(10) ** exponent
    told = json.loads(json.dumps(number(point, 0, blank)))
    if exact.denominator == 1:
        assert isinstance(told, int) and told == exact
    else:
        assert told == float(exact)
