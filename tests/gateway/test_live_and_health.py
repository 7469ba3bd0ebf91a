"""What is known right now, and what is said to be wrong."""

import math
from array import array
from dataclasses import replace

import pytest

from drivers.catalogue import Catalogue, shipped
from drivers.device import Reading
from ext import Quality
from gateway.health import LOW_DISK_BYTES, Facts, problems
from gateway.live import HISTORY_STEP_MS, Live, Place, main_register

PROFILE = Catalogue([shipped()]).load("meter/chint-dtsu666")
POWER = PROFILE.index("power_total")
GOOD_SYNC = {"configured": True, "reachable": True, "last_error": None, "url": "https://central.example"}
GOOD = Facts(
    states={"grid": "ok"},
    links={"yard": (True, "")},
    sync=GOOD_SYNC,
    store_error=None,
    clock_trusted=True,
    clock_behind_ms=0,
    disk_free_bytes=10 * LOW_DISK_BYTES,
    undecided=0,
    core="cython",
)


def reading(seconds: float, power_W: float, quality: Quality = Quality.OK) -> Reading:
    size = len(PROFILE.points)
    values = array("d", [math.nan]) * size
    values[POWER] = power_W
    return Reading(
        device="grid",
        mono_ns=int(seconds * 1e9),
        values=values,
        raws=array("q", [0]) * size,
        exponents=array("b", [0]) * size,
        ulps=array("q", [0]) * size,
        quality=array("B", [quality]) * size,
        texts={},
    )


@pytest.fixture
def live() -> Live:
    return Live(
        [
            Place(
                name="grid",
                link="yard",
                unit=1,
                role="grid",
                period_ms=1_000,
                profile_name="meter/chint-dtsu666",
                profile=PROFILE,
            )
        ]
    )


def test_a_value_counts_only_while_it_is_new(live: Live) -> None:
    device = live.devices["grid"]
    assert device.state(0) == "never"
    live.take(reading(100, 500.0))
    assert [device.state(int(s * 1e9)) for s in (101, 103.9, 105, 159, 161)] == ["ok", "ok", "late", "late", "silent"]
    assert live.power_W("grid", int(101e9)) == 500.0
    assert live.power_W("grid", int(120e9)) is None


def test_no_value_is_none_and_never_zero(live: Live) -> None:
    live.take(reading(100, 0.0, Quality.NO_VALUE))
    assert live.power_W("grid", int(100e9)) is None
    live.take(reading(101, 0.0))
    assert live.power_W("grid", int(101e9)) == 0.0


def test_history_keeps_gaps_as_gaps(live: Live) -> None:
    step_s = HISTORY_STEP_MS // 1000
    for slot, power_W in ((100, 1.0), (101, 2.0), (104, 3.0)):
        live.take(reading(slot * step_s, power_W))
    times, powers = live.history("grid", 1, 1_000_000)
    assert powers[-5:] == [1.0, 2.0, None, None, 3.0]
    assert times[-1] == 1_000_000
    assert len(times) == 60_000 // HISTORY_STEP_MS


def test_history_of_an_hour_ago_is_forgotten(live: Live) -> None:
    live.take(reading(10, 7.0))
    live.take(reading(10 + 2 * 3600, 8.0))
    _, powers = live.history("grid", 60, 0)
    assert [power for power in powers if power is not None] == [8.0]


def test_when_all_is_well_nothing_is_said() -> None:
    assert list(problems(GOOD)) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"store_error": "the disk is full"}, "store"),
        ({"disk_free_bytes": LOW_DISK_BYTES - 1}, "disk"),
        ({"clock_trusted": False}, "clock"),
        ({"clock_behind_ms": 5_000}, "clock_back"),
        ({"undecided": 2}, "decision"),
        ({"links": {"yard": (False, "refused")}}, "link"),
        ({"states": {"grid": "late"}}, "device"),
        ({"states": {"grid": "never"}}, "device"),
        ({"sync": GOOD_SYNC | {"reachable": False, "last_error": "no route"}}, "sync"),
        ({"sync": GOOD_SYNC | {"last_error": "record 7 is rejected"}}, "sync_held"),
        ({"core": "python"}, "core"),
    ],
)
def test_each_trouble_is_said_with_a_remedy(changes: dict[str, object], what: str) -> None:
    (problem,) = problems(replace(GOOD, **changes))  # type: ignore[arg-type]
    assert problem.what == what
    assert problem.text.endswith(".")
    assert problem.remedy


def test_a_site_that_keeps_everything_local_has_no_sync_trouble() -> None:
    local = {"configured": False, "reachable": None, "last_error": None, "url": None}
    assert list(problems(replace(GOOD, sync=local))) == []


def test_the_register_that_stands_for_a_device_is_no_part_of_another() -> None:
    catalogue = Catalogue([shipped()])
    assert main_register(catalogue.load("wastewater/wwtp-generic-v1")) == "energy_pv_total"
    assert main_register(catalogue.load("charger/keba-p30")) == "energy_total"
