"""What is known right now, and what is said to be wrong."""

import math
from array import array
from dataclasses import replace
from typing import get_args

import pytest

from drivers.catalogue import Catalogue, shipped
from drivers.device import Reading
from drivers.profile_tables import Sleep
from ext import Quality
from gateway.carbon.metering.sweep import Lateness
from gateway.health import LOW_DISK_BYTES, Facts, clock_text, problems
from gateway.live import HISTORY_STEP_MS, Live, Place, main_register
from sync.telemetry.telemetry import Trouble

PROFILE = Catalogue([shipped()]).load("meter/chint-dtsu666")
POWER = PROFILE.index("power_total")
GOOD_SYNC = {
    "configured": True,
    "reachable": True,
    "last_error": None,
    "url": "https://central.example",
    "quarantined": 0,
}
MQTT = {"url": "mqtt://broker.lan", "connected": False, "trouble": None, "last_error": "the broker is away"}
GOOD = Facts(
    states={"grid": "ok"},
    strange={},
    links={"yard": (True, "")},
    sync=GOOD_SYNC,
    mqtt=None,
    store_error=None,
    clock_trusted=True,
    clock_astray_ms=0,
    disk_free_bytes=10 * LOW_DISK_BYTES,
    evicting=False,
    set_aside={},
    doubted={},
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


def states(live: Live, name: str, *seconds: float) -> list[str]:
    return [live.devices[name].state(int(second * 1e9)) for second in seconds]


def test_a_device_behind_a_lost_link_is_disconnected_and_not_silent(live: Live) -> None:
    live.take(reading(100, 0, Quality.LINK_DOWN))
    assert states(live, "grid", 100) == ["disconnected"]
    live.take(reading(101, 500.0))
    live.take(reading(102, 0, Quality.LINK_DOWN))
    assert states(live, "grid", 102, 106) == ["ok", "disconnected"]
    live.take(reading(107, 0, Quality.TIMEOUT))
    assert states(live, "grid", 107, 200) == ["late", "silent"]


def test_a_device_that_stands_still_is_frozen_and_has_no_power(live: Live) -> None:
    live.take(reading(100, 500.0))
    live.take(reading(101, 500.0, Quality.FROZEN))
    assert states(live, "grid", 101) == ["frozen"]
    assert live.power_W("grid", int(101e9)) is None


@pytest.fixture
def night() -> Live:
    """An inverter whose silence is sleep below 100 W, for 20 hours."""
    profile = PROFILE.model_copy(update={"sleep": Sleep(below_W=100, longest_h=20)})
    place = Place(
        name="grid", link="roof", unit=1, role="pv", period_ms=1_000, profile_name="inverter/any", profile=profile
    )
    return Live([place])


@pytest.mark.parametrize("silence", [Quality.TIMEOUT, Quality.LINK_DOWN])
def test_silence_after_little_power_is_sleep_for_some_hours(night: Live, silence: Quality) -> None:
    night.take(reading(100, -5.0))
    assert night.asleep(int(102e9)) == frozenset()
    night.take(reading(110, 0, silence))
    hour = 3600
    awake = "disconnected" if silence == Quality.LINK_DOWN else "silent"
    assert states(night, "grid", 110, 100 + 19.9 * hour, 100 + 20.1 * hour) == ["asleep", "asleep", awake]
    assert night.asleep(int(110e9)) == {"grid"}
    night.take(reading(100 + 10 * hour, 20.0))
    assert states(night, "grid", 100 + 10 * hour) == ["ok"]


def test_silence_after_much_power_is_no_sleep(night: Live) -> None:
    night.take(reading(100, 500.0))
    night.take(reading(110, 0, Quality.TIMEOUT))
    assert states(night, "grid", 110, 200) == ["late", "silent"]


def test_an_inverter_that_slept_before_a_restart_sleeps_on_until_it_is_heard(night: Live) -> None:
    night.resume({"grid", "gone"}, int(100e9))
    night.take(reading(101, 0, Quality.TIMEOUT))
    assert states(night, "grid", 101, 100 + 19 * 3600, 100 + 21 * 3600) == ["asleep", "asleep", "silent"]
    night.take(reading(200, 500.0))
    night.take(reading(210, 0, Quality.TIMEOUT))
    assert states(night, "grid", 210) == ["late"]


def test_an_inverter_that_was_never_heard_is_not_said_to_sleep(night: Live) -> None:
    night.take(reading(100, 0, Quality.TIMEOUT))
    assert states(night, "grid", 101) == ["silent"]


def test_each_reason_for_no_value_has_its_word(live: Live, night: Live) -> None:
    device, sleeper = live.devices["grid"], night.devices["grid"]
    name = PROFILE.points[POWER].name

    def quality(second: float, *implausible: str) -> Quality:
        return device.qualities(int(second * 1e9), implausible)[POWER]

    assert quality(1) == Quality.UNREAD
    live.take(reading(100, 500.0))
    assert quality(101) == Quality.OK
    assert quality(101, name) == Quality.IMPLAUSIBLE
    assert quality(110) == Quality.STALE
    for told in (Quality.NO_VALUE, Quality.OUT_OF_RANGE, Quality.FROZEN, Quality.REFUSED, Quality.LINK_DOWN):
        live.take(reading(110, 500.0, told))
        assert quality(110, name) == told
    night.take(reading(100, 5.0))
    assert sleeper.qualities(int(110e9), ())[POWER] == Quality.ASLEEP
    night.take(reading(111, 0, Quality.TIMEOUT))
    assert sleeper.qualities(int(111e9), ())[POWER] == Quality.ASLEEP


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
        ({"evicting": True}, "evicting"),
        ({"set_aside": {"quarantine/0001": "its epoch is damaged"}}, "set_aside"),
        ({"sync": GOOD_SYNC | {"last_error": "differs", "forked": True}}, "fork"),
        ({"clock_trusted": False}, "clock"),
        ({"clock_astray_ms": -5_000}, "clock_astray"),
        ({"undecided": 2}, "decision"),
        ({"links": {"yard": (False, "refused")}}, "link"),
        ({"states": {"grid": "late"}}, "device"),
        ({"states": {"grid": "never"}}, "device"),
        ({"states": {"grid": "silent"}}, "device"),
        ({"states": {"grid": "disconnected"}}, "disconnected"),
        ({"states": {"grid": "silent"}, "strange": {"grid": "a reply from unit 255 instead of 1"}}, "strange"),
        ({"states": {"grid": "frozen"}}, "frozen"),
        ({"doubted": {("grid", "import"): Lateness.HELD}}, "implausible"),
        ({"doubted": {("grid", "import"): Lateness.OUT_OF_RANGE}}, "out_of_range"),
        ({"doubted": {("grid", "import"): Lateness.REFUSED}}, "refused"),
        ({"sync": GOOD_SYNC | {"reachable": False, "last_error": "no route"}}, "sync"),
        ({"sync": GOOD_SYNC | {"last_error": "record 7 is rejected"}}, "sync_held"),
        ({"sync": GOOD_SYNC | {"quarantined": 2}}, "sync_quarantine"),
        *(({"mqtt": MQTT | {"trouble": trouble}}, f"mqtt_{trouble}") for trouble in get_args(Trouble)),
        ({"core": "python"}, "core"),
    ],
)
def test_each_trouble_is_said_with_a_remedy(changes: dict[str, object], what: str) -> None:
    (problem,) = problems(replace(GOOD, **changes))  # type: ignore[arg-type]
    assert problem.what == what
    assert problem.text.endswith(".")
    assert problem.remedy


def test_a_sleeping_device_is_no_trouble() -> None:
    assert list(problems(replace(GOOD, states={"pv": "asleep"}))) == []


def test_a_site_that_keeps_everything_local_has_no_sync_trouble() -> None:
    local = {"configured": False, "reachable": None, "last_error": None, "url": None}
    assert list(problems(replace(GOOD, sync=local))) == []


@pytest.mark.parametrize("connected", [None, True])
def test_a_broker_that_is_connected_or_not_tried_yet_is_no_trouble(connected: bool | None) -> None:
    assert list(problems(replace(GOOD, mqtt=MQTT | {"connected": connected}))) == []


def test_the_register_that_stands_for_a_device_is_no_part_of_another() -> None:
    catalogue = Catalogue([shipped()])
    assert main_register(catalogue.load("wastewater/wwtp-generic-v1")) == "energy_pv_total"
    assert main_register(catalogue.load("charger/keba-p30")) == "energy_total"


def test_the_clock_is_told_in_one_sentence_with_who_vouches_for_it() -> None:
    assert clock_text(None, vouched=False).startswith("nobody vouches for it")
    assert clock_text("kernel", vouched=True) == "a time service keeps it right"
    assert clock_text("hand", vouched=False).startswith("a person said that it was right; nobody vouches for it now")
    assert clock_text("receiver", vouched=True) == "the receiver vouches for it"
