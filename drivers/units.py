"""Units of measure a profile may use, and what they measure."""

from __future__ import annotations

from typing import Literal

Quantity = Literal[
    "energy",
    "power",
    "apparent_power",
    "reactive_power",
    "reactive_energy",
    "voltage",
    "current",
    "frequency",
    "temperature",
    "share",
    "duration",
    "resistance",
    "flow",
    "volume",
    "level",
    "concentration",
    "turbidity",
    "other",
]

QUANTITY_OF_UNIT: dict[str, Quantity] = {
    "Wh": "energy",
    "kWh": "energy",
    "MWh": "energy",
    "W": "power",
    "kW": "power",
    "MW": "power",
    "VA": "apparent_power",
    "kVA": "apparent_power",
    "var": "reactive_power",
    "kvar": "reactive_power",
    "varh": "reactive_energy",
    "kvarh": "reactive_energy",
    "mV": "voltage",
    "V": "voltage",
    "kV": "voltage",
    "mA": "current",
    "A": "current",
    "Hz": "frequency",
    "degC": "temperature",
    "%": "share",
    "ms": "duration",
    "s": "duration",
    "min": "duration",
    "h": "duration",
    "Ohm": "resistance",
    "kOhm": "resistance",
    "MOhm": "resistance",
    "m3/h": "flow",
    "L": "volume",
    "m3": "volume",
    "m": "level",
    "mg/L": "concentration",
    "NTU": "turbidity",
}

# Milliwatt-hours or milliwatts in one unit of energy or power.
MILLI = {
    "Wh": 10**3,
    "kWh": 10**6,
    "MWh": 10**9,
    "W": 10**3,
    "kW": 10**6,
    "MW": 10**9,
}
