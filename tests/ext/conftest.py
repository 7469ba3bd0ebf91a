"""Every test that asks for `core` runs on both twins; HUXI_PURE_PYTHON=1 leaves the plain one."""

import importlib
import os
from array import array
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from ext.counter_spec import CounterSpec
from ext.event_kind import EventKind
from ext.events import Events

TWINS = ["ext._twin"] if os.environ.get("HUXI_PURE_PYTHON") == "1" else ["ext._twin", "ext._core"]


class Event(NamedTuple):
    kind: EventKind
    t0_ms: int
    t1_ms: int
    energy_mWh: int
    raw_begin: int
    raw_end: int
    lo_mWh: int
    hi_mWh: int
    epoch: int


def events_of(events: Events) -> list[Event]:
    columns = [getattr(events, name) for name in Event._fields]
    return [Event(EventKind(row[0]), *row[1:]) for row in zip(*columns, strict=True)]


class Meter:
    """One register of a counter table, fed reading by reading; times in seconds."""

    def __init__(self, core: ModuleType, spec: CounterSpec) -> None:
        self.table = core.CounterTable([spec])
        self.events: list[Event] = []

    def read(self, t_s: float, raw: int, ulp: int = 0) -> list[Event]:
        """Feed one reading; gives the events that it made."""
        columns = [array("q", [number]) for number in (raw, ulp, round(1000 * t_s))]
        made = events_of(self.table.step(array("i", [0]), *columns))
        self.events += made
        return made

    def read_each(self, period_s: float, raws: Iterable[int]) -> "Meter":
        for i, raw in enumerate(raws):
            self.read(i * period_s, raw)
        return self

    @property
    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.events]

    @property
    def total_mWh(self) -> int:
        return sum(event.energy_mWh for event in self.events)


@pytest.fixture(scope="session", params=TWINS)
def core(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(request.param)


@pytest.fixture(scope="session")
def meter(core: ModuleType) -> Callable[..., Meter]:
    """Makes a Meter: `meter(modulus=…, scale=…)`; by default 32 bits, 0.1 kWh, 50 kW, refreshed each 60 s."""

    def make(**changes: Any) -> Meter:
        known = {
            "modulus": 2**32,
            "scale_num": 100_000,
            "scale_den": 1,
            "p_max_W": 50_000,
            "refresh_s": 60,
            "jitter": 1,
            "policy": 0,
        }
        return Meter(core, CounterSpec(**(known | changes)))

    return make
