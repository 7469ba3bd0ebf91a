"""What Home Assistant accepts of a sensor, as it documents it: the oracle of the discovery tests.

Sources, read in November 2026:
- device classes and their units: home-assistant.io/integrations/sensor ("Device class") and
  developers.home-assistant.io/docs/core/entity/sensor ("Available device classes"); in home-assistant/core
  DEVICE_CLASS_UNITS and DEVICE_CLASS_STATE_CLASSES of homeassistant/components/sensor/const.py
- keys of a sensor: home-assistant.io/integrations/sensor.mqtt ("Configuration variables")
- keys of a device message: home-assistant.io/integrations/mqtt ("Device discovery payload", "Discovery topic")
Only classes that we may ever use are here.
"""

import re
from typing import Any

UNITS = {
    "apparent_power": {"VA", "kVA"},
    "current": {"A", "mA"},
    "duration": {"d", "h", "min", "s", "ms"},
    "energy": {"J", "kJ", "MJ", "GJ", "mWh", "Wh", "kWh", "MWh", "GWh", "TWh", "cal", "kcal", "Mcal", "Gcal"},
    "frequency": {"Hz", "kHz", "MHz", "GHz"},
    "power": {"mW", "W", "kW", "MW", "GW", "TW"},
    "reactive_energy": {"varh", "kvarh"},
    "reactive_power": {"mvar", "var", "kvar"},
    "temperature": {"°C", "°F", "K"},
    "voltage": {"V", "mV", "µV", "kV", "MV"},
    "volume": {"L", "mL", "gal", "fl. oz.", "m³", "ft³", "CCF"},
    "volume_flow_rate": {"m³/h", "ft³/min", "L/min", "gal/min"},
}
ANY = {"measurement", "total", "total_increasing"}
SUMS = {"total", "total_increasing"}
STATE_CLASSES = {name: {"measurement"} for name in UNITS} | {
    "duration": ANY,
    "energy": SUMS,
    "reactive_energy": SUMS,
    "volume": SUMS,
}
SENSOR_KEYS = {
    *("platform", "unique_id", "name", "value_template", "entity_category"),
    *("device_class", "state_class", "unit_of_measurement"),
}
DEVICE_KEYS = {"identifiers", "name", "manufacturer", "model", "serial_number"}
ROOT_KEYS = {"device", "origin", "components", "availability", "availability_mode", "state_topic"}
TOPIC = re.compile(r"[^+#]+/device/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config")


def objections(document: dict[str, Any]) -> list[str]:
    """What Home Assistant would refuse or warn of in a device message, one sentence each."""
    found = [f"{key} is no key of a device message" for key in document.keys() - ROOT_KEYS]
    found += [f"{key} is missing" for key in ROOT_KEYS - document.keys()]
    device = document.get("device", {})
    found += [f"{key} is no key of a device" for key in device.keys() - DEVICE_KEYS]
    found += [] if device.get("identifiers") else ["a device needs an identifier"]
    found += [] if document.get("origin", {}).get("name") else ["an origin needs a name"]
    found += [f"{topic} lacks a topic" for topic in document.get("availability", []) if not topic.get("topic")]
    ids = [component.get("unique_id") for component in document.get("components", {}).values()]
    found += [] if len(set(ids)) == len(ids) and all(ids) else ["each component needs an id of its own"]
    for name, component in document.get("components", {}).items():
        found += [f"{name}: {objection}" for objection in _of_sensor(component)]
    return found


def _of_sensor(sensor: dict[str, Any]) -> list[str]:
    found = [f"{key} is no key of a sensor" for key in sensor.keys() - SENSOR_KEYS]
    kind, state, unit = (sensor.get(key) for key in ("device_class", "state_class", "unit_of_measurement"))
    if sensor.get("platform") != "sensor":
        found.append("the platform must be sensor")
    if sensor.get("entity_category", "diagnostic") != "diagnostic":
        found.append("a sensor can be diagnostic only")
    if kind is not None and kind not in UNITS:
        found.append(f"{kind} is no device class that we know of")
    elif kind is not None and unit not in UNITS[kind]:
        found.append(f"{unit} is no unit of {kind}")
    if state is not None and state not in STATE_CLASSES.get(str(kind), ANY):
        found.append(f"{state} is no state class of {kind}")
    return found
