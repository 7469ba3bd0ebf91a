"""The daemon at a real broker: what it tells there, what remains when it dies, and a broker that freezes."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.catalogue import Catalogue, shipped
from drivers.modbus.server import TcpServer
from drivers.simulator import Simulator
from tests.site.test_daemon import huxi, said, write_config
from tests.sync.telemetry.mosquitto import Mosquitto, needs_mosquitto, witness

pytestmark = [pytest.mark.slow, needs_mosquitto]

STATUS = "huxi/test-01/status"
METER = "huxi/test-01/devices/grid-meter"
CONFIG = "homeassistant/device/huxi-test-01/grid-meter/config"


class Yard:
    """A simulated meter, a broker, and the daemon between them."""

    def __init__(self, folder: Path, broker: Mosquitto, meter: TcpServer) -> None:
        mqtt = f'[mqtt]\nurl = "mqtt://127.0.0.1:{broker.port}"\nperiod = "1s"\n'
        self.config = write_config(folder, device_port=meter.port, extra=mqtt)
        self.broker = broker

    def start(self) -> subprocess.Popen[str]:
        return huxi("run", "-c", str(self.config))


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    broker = Mosquitto(tmp_path)
    await broker.start()
    simulator = Simulator(Catalogue([shipped()]).load("meter/chint-dtsu666"))
    async with TcpServer(simulator, "127.0.0.1", 0, one_client=False) as meter:
        yield Yard(tmp_path, broker, meter)
    await broker.stop()


async def test_it_is_told_and_a_killed_daemon_is_seen_offline(yard: Yard) -> None:
    async with witness(yard.broker.port) as other:
        daemon = yard.start()
        await other.until(lambda: any(json.loads(told)["availability"] == "online" for told in other.of(METER)))
        told = json.loads(other.of(METER)[-1])
        assert told["state"] == "ok"
        assert told["values"]["power_total"] is not None
        assert told["values"]["import_total"] > 0
        assert json.loads(other.of(CONFIG)[0])["device"]["name"] == "grid-meter"
        ran = await asyncio.to_thread(said, "status", "-c", str(yard.config))
        assert f"mqtt://127.0.0.1:{yard.broker.port} ok" in ran.stdout
        daemon.send_signal(signal.SIGKILL)
        await asyncio.to_thread(daemon.communicate)
        await other.until(lambda: other.of(STATUS) == [b"online", b"offline"])


async def test_a_stopped_daemon_says_goodbye(yard: Yard) -> None:
    async with witness(yard.broker.port) as other:
        daemon = yard.start()
        await other.until(lambda: other.of(METER) != [])
        daemon.terminate()
        _, log = await asyncio.to_thread(daemon.communicate, timeout=15)
        assert (daemon.returncode, "Traceback" in log) == (0, False), log
        await other.until(lambda: other.of(STATUS) == [b"online", b"offline"])


async def test_a_daemon_at_a_frozen_broker_polls_says_so_and_stops(yard: Yard) -> None:
    async with witness(yard.broker.port) as other:
        daemon = yard.start()
        await other.until(lambda: other.of(METER) != [])
    yard.broker.freeze()
    try:
        problems: list[str] = []
        until = time.monotonic() + 20
        while "mqtt_unreachable" not in problems and time.monotonic() < until:
            ran = await asyncio.to_thread(said, "status", "--json", "-c", str(yard.config))
            status = json.loads(ran.stdout)
            problems = [problem["what"] for problem in status["problems"]]
        assert problems == ["mqtt_unreachable"], "and nothing else is wrong"
        assert status["devices"] == {"total": 1, "live": 1, "asleep": 0}
        doctor = await asyncio.to_thread(said, "doctor", "-c", str(yard.config))
        assert "bad   mqtt broker: the broker 127.0.0.1" in doctor.stdout
        began = time.monotonic()
        daemon.terminate()
        await asyncio.to_thread(daemon.communicate, timeout=15)
        assert daemon.returncode == 0
        assert time.monotonic() - began < 15, "systemd would have killed it"
    finally:
        yard.broker.thaw()
        if daemon.poll() is None:
            daemon.kill()


def test_without_a_broker_the_library_is_not_loaded() -> None:
    """What imports what decides memory."""
    code = "import sys, gateway.app; print(*sorted(sys.modules))"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "sync.telemetry.telemetry" in names
    assert {"aiomqtt", "paho", "sync.telemetry.broker"}.isdisjoint(names)


async def test_a_port_that_is_no_broker_keeps_nothing_from_starting(tmp_path: Path) -> None:
    simulator = Simulator(Catalogue([shipped()]).load("meter/chint-dtsu666"))
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        async with TcpServer(simulator, "127.0.0.1", 0, one_client=False) as meter:
            mqtt = f'[mqtt]\nurl = "mqtt://127.0.0.1:{deaf.getsockname()[1]}"\n'
            config = write_config(tmp_path, device_port=meter.port, extra=mqtt)
            daemon = huxi("run", "-c", str(config))
            try:
                ran = None
                until = time.monotonic() + 20
                while (ran is None or "1 of 1 answer" not in ran.stdout) and time.monotonic() < until:
                    ran = await asyncio.to_thread(said, "status", "-c", str(config))
                assert ran is not None and "1 of 1 answer" in ran.stdout
            finally:
                daemon.terminate()
                await asyncio.to_thread(daemon.communicate, timeout=15)
    assert daemon.returncode == 0
