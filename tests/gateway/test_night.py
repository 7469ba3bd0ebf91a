"""An inverter that closes its port at night, over real sockets."""

from __future__ import annotations

import logging
import time

import pytest

from drivers.catalogue import Catalogue, shipped
from drivers.device import Device
from drivers.modbus.open import open_link
from drivers.modbus.server import TcpServer
from drivers.simulator import Simulator
from ext import Quality
from gateway.live import Live, Place

PROFILE = Catalogue([shipped()]).load("inverter/sunspec-103")
PLACE = Place(
    name="pv", link="roof", unit=1, role="pv", period_ms=1_000, profile_name="inverter/sunspec-103", profile=PROFILE
)


@pytest.mark.parametrize(("power_W", "state"), [(40, "asleep"), (20_000, "disconnected")])
async def test_a_port_that_closes_is_sleep_only_when_the_sun_was_going_down(
    power_W: int, state: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="huxi")
    live = Live([PLACE])
    server = TcpServer(Simulator(PROFILE, unit=1, shape="steady", power_W=power_W), "127.0.0.1", 0)
    async with server, open_link("roof", f"tcp://127.0.0.1:{server.port}") as link:
        device = Device(name="pv", unit=1, profile=PROFILE, link=link)
        live.take(await device.read())
        assert live.devices["pv"].state(time.monotonic_ns()) == "ok"
        await server.stop()
        for _ in range(20):
            live.take(await device.read())
    later_ns = time.monotonic_ns() + 10 * 10**9
    pv = live.devices["pv"]
    assert pv.state(later_ns) == state
    power = PROFILE.index("active_power")
    assert pv.qualities(later_ns, ())[power] == (Quality.ASLEEP if state == "asleep" else Quality.LINK_DOWN)
    assert live.power_W("pv", later_ns) is None
    assert len(caplog.records) < 8  # the link's changes of state, no line per poll
