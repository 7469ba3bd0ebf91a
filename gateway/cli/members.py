"""Who lives in the community of `huxi demo`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One device of the community."""

    name: str
    role: str
    profile: str
    listen: str
    """What the simulator listens on; {dir} is the community's folder."""
    period: str = "1s"
    arguments: tuple[str, ...] = ()
    """More arguments for `huxi simulate`."""
    extra: str = ""
    """More lines for its table in the configuration."""


def members(day_s: int) -> tuple[Member, ...]:
    """The five devices; a day's shape is compressed into `day_s` seconds, power times seconds stays the energy."""
    day = ("--day", str(day_s))
    return (
        Member(
            name="pv-pergola",
            role="pv",
            profile="inverter/huawei-sun2000",
            listen="tcp://127.0.0.1:0",
            arguments=("--shape", "sun", *day),
            extra='baseline = "grid"\nmax_power_W = 30000',
        ),
        Member(
            name="hydro-supply",
            role="hydro",
            profile="meter/eastron-sdm630",
            listen="line://{dir}/ttyHYDRO?baud=9600&parity=N",
            arguments=("--shape", "steady", *day),
        ),
        Member(
            name="ev-charger",
            role="charger",
            profile="charger/keba-p30",
            listen="tcp://127.0.0.1:0",
            period="5s",
            # A few seconds of charging away from the end of its 32-bit counter: it wraps during the demo.
            arguments=("--shape", "charging", *day, "--start", "energy_total=4294967146"),
        ),
        Member(
            name="grid-meter",
            role="grid",
            profile="meter/chint-dtsu666",
            listen="tcp://127.0.0.1:0",
            arguments=("--shape", "evening", *day),
        ),
        Member(
            name="courtyard-wwtp",
            role="wastewater",
            profile="wastewater/wwtp-generic-v1",
            listen="tcp://127.0.0.1:0",
            arguments=("--shape", "evening", "--power", "6000", *day),
            extra='supply = "own"',
        ),
    )
