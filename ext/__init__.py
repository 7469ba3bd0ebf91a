"""The arithmetic core: register decoding, counters to energy, power to energy, energy times factor.

Compiled (`ext._core`) unless HUXI_PURE_PYTHON=1 asks for the plain-Python twin (`ext._twin`), which is the
reference and what type checkers see. There is no silent slow path: a missing core is an error.
"""

import os
from typing import TYPE_CHECKING, Literal

from ext.counter_spec import CounterSpec
from ext.event_kind import EventKind
from ext.events import Events
from ext.overflow import CounterOverflow, PowerOverflow, ProductOverflow
from ext.point_spec import PointSpec
from ext.point_type import PointType
from ext.policy import Policy
from ext.power_events import PowerEvents
from ext.quality import Quality

IMPLEMENTATION: Literal["cython", "python"]

if TYPE_CHECKING or os.environ.get("HUXI_PURE_PYTHON") == "1":
    from ext._twin import (
        BlockDecoder,
        CounterTable,
        PowerTable,
        allocate,
        apportion,
        carbon,
        deltas,
        float_canonical,
        multiply,
        ratio,
    )

    IMPLEMENTATION = "python"
else:
    try:
        from ext._core import (
            BlockDecoder,
            CounterTable,
            PowerTable,
            allocate,
            apportion,
            carbon,
            deltas,
            float_canonical,
            multiply,
            ratio,
        )
    except ImportError as error:
        raise ImportError(
            f"huxi's compiled core cannot be loaded ({error}): run `make setup`, or set HUXI_PURE_PYTHON=1"
        ) from error

    IMPLEMENTATION = "cython"

__all__ = [
    "IMPLEMENTATION",
    "BlockDecoder",
    "CounterOverflow",
    "CounterSpec",
    "CounterTable",
    "EventKind",
    "Events",
    "PointSpec",
    "PointType",
    "Policy",
    "PowerEvents",
    "PowerOverflow",
    "PowerTable",
    "ProductOverflow",
    "Quality",
    "allocate",
    "apportion",
    "carbon",
    "deltas",
    "float_canonical",
    "multiply",
    "ratio",
]
