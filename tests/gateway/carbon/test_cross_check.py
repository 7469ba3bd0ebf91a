"""CrossCheck: a counter and the power beside it must tell the same day."""

from array import array

import pytest

from drivers.device import Reading
from ext import CounterSpec, Quality
from gateway.carbon.metering.cross_check import agrees
from gateway.carbon.metering.meter import Meter
from gateway.carbon.metering.register_spec import RegisterSpec
from gateway.store.flag import Flag

MIN = 60_000
DAY = 86_400_000
T0 = 1_790_000_000_000 // DAY * DAY
COUNTER = CounterSpec(modulus=2**32, scale_num=1000, scale_den=1, p_max_W=50_000, refresh_s=60, jitter=1, policy=0)


def meter(flow: str = "import") -> Meter:
    spec = RegisterSpec(
        device="m",
        register="energy",
        flow=flow,
        point=0,
        max_gap_ms=3 * MIN,
        counter=COUNTER,
        cross=1,
        cross_is_back=flow == "export",
        power_num=1000,
    )
    return Meter([spec], 60 * MIN, lambda t0, t1: [])


def reading(counts: int, power_W: int, quality: Quality = Quality.OK) -> Reading:
    return Reading(
        device="m",
        mono_ns=0,
        values=array("d", [0.0, 0.0]),
        raws=array("q", [counts, power_W]),
        exponents=array("b", [0, 0]),
        ulps=array("q", [0, 0]),
        quality=array("B", [Quality.OK, quality]),
        texts={},
    )


def run(to: Meter, *, power_W: int, days: int = 3, skip: range = range(0)) -> list[str]:
    """Days of 6 kW as the counter sees it, and of `power_W`; returns what was noticed."""
    found = []
    for minute in range(days * 1440 + 1):
        if minute not in skip:
            notices = to.feed(reading(100 * minute, power_W), T0 + minute * MIN)
            found += [f"{notice.what} {minute // 1440}" for notice in notices]
    return found


def test_a_power_that_belongs_to_its_counter_is_never_mentioned() -> None:
    assert run(meter(), power_W=6000) == []
    assert run(meter("export"), power_W=-6000) == []
    assert run(meter(), power_W=6299) == []


@pytest.mark.parametrize(("flow", "power_W"), [("import", 60_000), ("import", 5000), ("export", 6000)])
def test_g6_a_wrong_scale_or_direction_is_told_for_each_whole_day(flow: str, power_W: int) -> None:
    m = meter(flow)
    assert run(m, power_W=power_W) == ["disagree 2", "disagree 3"]  # the first day began before we did
    flagged = [Flag.DISAGREE in Flag(flags) for flags in m.sweep(T0 + 4 * DAY).intervals.flags]
    assert flagged.count(True) == 2


def test_a_day_with_a_gap_is_not_compared() -> None:
    assert run(meter(), power_W=60_000, skip=range(1500, 1510)) == ["disagree 3"]


def test_power_without_a_value_is_not_compared() -> None:
    m = meter()
    for minute in range(3 * 1440):
        assert m.feed(reading(100 * minute, 0, Quality.NO_VALUE), T0 + minute * MIN) == []


def test_the_bound_is_five_per_cent_and_two_steps() -> None:
    assert agrees(1_000_000, 1_050_000, 0)
    assert not agrees(1_000_000, 1_050_001, 0)
    assert agrees(0, 200, 100)
    assert not agrees(0, 201, 100)
