"""What Home Assistant has to be told of a device so that it shows it by itself: MQTT discovery, as documented.

Sources: home-assistant.io, "MQTT" (device discovery payload, availability) and "MQTT sensor"; developers'
documentation, "Sensor entity" (device classes, their units and state classes).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

STATUS_LEVEL: Final = "status"
"""Below the discovery prefix: where Home Assistant says `online` when it has started."""
LONGEST_STATE: Final = 255
UNITS: Final = {"degC": "°C", "m3": "m³", "m3/h": "m³/h", "Ohm": "Ω", "kOhm": "kΩ", "MOhm": "MΩ"}
"""Units that it spells in another way."""
DEVICE_CLASSES: Final = {
    "energy": "energy",
    "power": "power",
    "apparent_power": "apparent_power",
    "reactive_power": "reactive_power",
    "reactive_energy": "reactive_energy",
    "voltage": "voltage",
    "current": "current",
    "frequency": "frequency",
    "temperature": "temperature",
    "duration": "duration",
    "volume": "volume",
    "flow": "volume_flow_rate",
}
"""Quantities that it has a device class for; the others stay plain numbers with a unit."""
UNCLASSED_SUMS: Final = frozenset({"energy", "reactive_energy", "volume", "duration", "other"})
"""Quantities whose long-term statistics depend on what the number counts, and nobody says that it is a counter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """One value of a device."""

    name: str
    """In the device's own words; also its key in the payload."""
    unit: str
    quantity: str
    is_counter: bool
    """It only rises, and may start again at zero."""
    is_text: bool
    """Words, not a number."""
    is_fixed: bool
    """It tells what the device is, not how it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A device as Home Assistant shows it."""

    gateway: str
    name: str
    manufacturer: str
    model: str
    serial: str | None
    sensors: Sequence[Sensor]


def config_topic(prefix: str, gateway: str, name: str) -> str:
    """Where the configuration of a device belongs."""
    return f"{prefix}/device/{_id('huxi-' + gateway)}/{_id(name)}/config"


def config_pattern(prefix: str, gateway: str) -> str:
    """Where all configurations of a gateway are."""
    return f"{prefix}/device/{_id('huxi-' + gateway)}/+/config"


def config(thing: Thing, *, value_topic: str, status_topic: str, version: str) -> bytes:
    """The configuration of a device: all its sensors, in one message.

    A sensor is there while the gateway and the device are; one without a value is unknown. Its id is that of the
    ledger: gateway, device and register by their names, so a device that gets another name is another one.
    """
    identity = f"huxi/{thing.gateway}/{thing.name}"
    device = {
        "identifiers": [identity],
        "name": thing.name,
        "manufacturer": thing.manufacturer,
        "model": thing.model,
        **({"serial_number": thing.serial} if thing.serial else {}),
    }
    document = {
        "device": device,
        "origin": {"name": "huxi", "sw_version": version},
        "availability": [
            {"topic": status_topic},
            {"topic": value_topic, "value_template": "{{ value_json['availability'] }}"},
        ],
        "availability_mode": "all",
        "state_topic": value_topic,
        "components": {sensor.name: _component(sensor, identity) for sensor in thing.sensors},
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _component(sensor: Sensor, identity: str) -> dict[str, Any]:
    # By index: a point may have the name of a method of dict.
    value = f"value_json['{'texts' if sensor.is_text else 'values'}']['{sensor.name}']"
    component = {
        "platform": "sensor",
        "unique_id": f"{identity}/{sensor.name}",
        "name": sensor.name,
        # The words of a sensor may have LONGEST_STATE letters; no words are "None", as its templates write null.
        "value_template": f"{{{{ ({value} or 'None')[:{LONGEST_STATE}] }}}}"
        if sensor.is_text
        else f"{{{{ {value} }}}}",
    }
    if sensor.is_fixed:
        component["entity_category"] = "diagnostic"
    if not sensor.is_text:
        if device_class := DEVICE_CLASSES.get(sensor.quantity):
            component["device_class"] = device_class
        if state_class := _state_class(sensor):
            component["state_class"] = state_class
        if sensor.unit:
            component["unit_of_measurement"] = UNITS.get(sensor.unit, sensor.unit)
    return component


def _state_class(sensor: Sensor) -> str | None:
    if sensor.is_counter:
        return "total_increasing"
    return None if sensor.is_fixed or sensor.quantity in UNCLASSED_SUMS else "measurement"


def _id(text: str) -> str:
    """A text as [A-Za-z0-9_-]+, different for different texts."""
    return re.sub(r"[^A-Za-z0-9-]", lambda match: "".join(f"_{byte:02x}" for byte in match[0].encode()), text)
