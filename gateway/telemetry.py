"""What others are told over MQTT of each device: its newest values, and what Home Assistant has to know of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from importlib.metadata import version
from typing import Any

from drivers.device import Reading
from drivers.point import Point
from drivers.profile import Profile
from ext.quality import Quality
from gateway.clock import Dating
from gateway.config_file import MqttSection
from gateway.live import Live, LiveDevice
from sync.telemetry import home_assistant
from sync.telemetry.address import level
from sync.telemetry.home_assistant import Sensor, Thing
from sync.telemetry.telemetry import Payload, Topics

PRESENT = ("ok", "frozen")
"""States of a device that answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Where the newest values are."""

    live: Live
    dating: Dating
    held: Callable[[], Mapping[str, Collection[str]]]
    """The registers, by device, whose readings contradict each other now."""
    mono_ns: Callable[[], int]


def topics(gateway: str, mqtt: MqttSection, facts: Facts) -> Topics:
    """The topics of this gateway, each with what makes its payload."""
    prefix = mqtt.prefix or f"huxi/{level(gateway)}"
    status = f"{prefix}/status"
    values: dict[str, Payload] = {}
    announcements: dict[str, Payload] = {}
    for name, device in facts.live.devices.items():
        topic = f"{prefix}/devices/{level(name)}"
        values[topic] = partial(_newest, device, facts)
        if mqtt.discovery:
            where = home_assistant.config_topic(mqtt.discovery_prefix, gateway, name)
            announcements[where] = Announcement(device, gateway=gateway, value_topic=topic, status_topic=status)
    return Topics(
        status=status,
        announcements=announcements,
        values=values,
        question=f"{mqtt.discovery_prefix}/{home_assistant.STATUS_LEVEL}" if mqtt.discovery else None,
        ours=home_assistant.config_pattern(mqtt.discovery_prefix, gateway) if mqtt.discovery else None,
    )


class Announcement:
    """What Home Assistant is told of a device; made anew only when its serial number or model has become known."""

    def __init__(self, device: LiveDevice, *, gateway: str, value_topic: str, status_topic: str) -> None:
        self._device = device
        self._gateway = gateway
        self._topics = {"value_topic": value_topic, "status_topic": status_topic}
        self._identity: tuple[str | None, str | None] | None = None
        self._payload = b""

    def __call__(self) -> bytes:
        profile, reading = self._device.place.profile, self._device.reading
        known = self._identity or (None, None)
        serial = _said(profile, profile.identity.serial, reading) or known[0]
        model = _said(profile, profile.identity.model, reading) or known[1]
        if (serial, model) != self._identity:
            self._identity = serial, model
            thing = Thing(
                gateway=self._gateway,
                name=self._device.place.name,
                manufacturer=profile.about.make,
                model=model or profile.about.model,
                serial=serial,
                sensors=sensors(profile),
            )
            self._payload = home_assistant.config(thing, **self._topics, version=version("huxi"))
        return self._payload


def sensors(profile: Profile) -> list[Sensor]:
    """What a product has to show; scale registers are how it counts, not what."""
    scales = {point.scale_register for point in profile.points}
    return [
        Sensor(
            name=point.name,
            unit=point.unit,
            quantity=point.quantity,
            is_counter=point.counter is not None,
            is_text=point.is_text or bool(point.states),
            is_fixed=point.poll == "once",
        )
        for point in profile.points
        if point.name not in scales
    ]


def newest(device: LiveDevice, facts: Facts) -> dict[str, Any]:
    """The newest of one device, as JSON: null for what has no value now, and why under `quality`.

    `values` holds numbers in the units of the profile, `texts` words, `t_ms` the time of the last answer.
    """
    place, now_ns = device.place, facts.mono_ns()
    state = device.state(now_ns)
    qualities = device.qualities(now_ns, facts.held().get(place.name, ()))
    values: dict[str, int | float | None] = {}
    texts: dict[str, str | None] = {}
    for index, (point, quality) in enumerate(zip(place.profile.points, qualities, strict=True)):
        reading = device.reading if quality == Quality.OK else None
        if not point.is_text:
            values[point.name] = None if reading is None else number(point, index, reading)
        if point.is_text or point.states:
            texts[point.name] = None if reading is None else _text(point, index, reading)
    return {
        "t_ms": None if device.answered_ns is None else facts.dating.date_ms(device.answered_ns),
        "state": state,
        "availability": "online" if state in PRESENT else "offline",
        "values": values,
        "texts": texts,
        "quality": {
            point.name: quality.name.lower()
            for point, quality in zip(place.profile.points, qualities, strict=True)
            if quality != Quality.OK
        },
    }


def number(point: Point, index: int, reading: Reading) -> int | float:
    """The value of a number point in its unit: a whole number as such, however large; else the nearest float."""
    if point.is_float:
        return reading.values[index]
    exact = reading.raws[index] * point.sign * point.scale * Fraction(10) ** reading.exponents[index] + point.offset
    return int(exact) if exact.denominator == 1 else float(exact)


def _newest(device: LiveDevice, facts: Facts) -> bytes:
    return json.dumps(newest(device, facts), ensure_ascii=False, separators=(",", ":")).encode()


def _text(point: Point, index: int, reading: Reading) -> str:
    """Its text, or the word for its code; a code without a word is its own."""
    if point.is_text:
        return reading.texts[index]
    code = reading.raws[index]
    return point.word(code) or str(code)


def _said(profile: Profile, name: str | None, reading: Reading | None) -> str | None:
    """What the device itself says under this name, None when it has not."""
    if name is None or reading is None:
        return None
    index = profile.index(name)
    if reading.quality[index] != Quality.OK:
        return None
    return reading.texts.get(index, str(reading.raws[index]))
