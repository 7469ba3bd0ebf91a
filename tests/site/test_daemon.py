"""The daemon as a process: readiness, a clean stop, and refusals that leave nothing half-started."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.catalogue import Catalogue, shipped
from drivers.modbus.server import TcpServer
from drivers.simulator import Simulator
from gateway.cli.community import free_port

pytestmark = pytest.mark.slow

HUXI = [sys.executable, "-c", "from gateway.cli.main import main; main()"]


def write_config(folder: Path, *, device_port: int, page: str = "enabled = false", extra: str = "") -> Path:
    path = folder / "huxi.toml"
    path.write_text(
        f"""\
[gateway]
id = "test-01"
region = "CN-SC"
data_dir = "data"
checkpoint = "1s"
clock = "system"

[[link]]
name = "yard"
url = "tcp://127.0.0.1:{device_port}"

[[device]]
name = "grid-meter"
link = "yard"
profile = "meter/chint-dtsu666"
role = "grid"
{extra}
[web]
{page}
""",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def notifications(tmp_path: Path) -> Iterator[socket.socket]:
    """A notification socket as systemd would offer it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "notify"))
        server.settimeout(15)
        yield server


def huxi(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    env = os.environ | variables
    return subprocess.Popen([*HUXI, *arguments], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def said(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*HUXI, *arguments], capture_output=True, text=True, timeout=30, check=False)


def refused(*arguments: str) -> str:
    """What the command says when it refuses; it must end by itself with exit code 2 and no traceback."""
    ran = said(*arguments)
    assert ran.returncode == 2, ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stderr


async def test_ready_alive_stopped(tmp_path: Path, notifications: socket.socket) -> None:
    """READY comes after the first stored reading, then the watchdog is fed; SIGTERM ends it cleanly."""
    simulator = Simulator(Catalogue([shipped()]).load("meter/chint-dtsu666"))
    async with TcpServer(simulator, "127.0.0.1", 0, one_client=False) as server:
        config = write_config(tmp_path, device_port=server.port)
        daemon = huxi("run", "-c", str(config), NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="3000000")
        heard = [(await asyncio.to_thread(notifications.recv, 4096)).decode() for _ in range(4)]
        ran = await asyncio.to_thread(said, "status", "-c", str(config))
        daemon.send_signal(signal.SIGTERM)
        began = time.monotonic()
        _, log = await asyncio.to_thread(daemon.communicate, timeout=10)
    assert heard[0].startswith("READY=1\nSTATUS=1 of 1 devices answer")
    assert "WATCHDOG=1" in heard
    assert simulator.truth()["import_total"]["last_raw"] >= 0, "the device was read before READY"
    assert (daemon.returncode, "Traceback" in log) == (0, False), log
    assert time.monotonic() - began < 10
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert not list((tmp_path / "data").glob("*-wal")), "the database was closed"
    verified = await asyncio.to_thread(said, "ledger", "verify", "--offline", str(tmp_path / "data"))
    assert verified.returncode == 0


def test_a_device_that_is_not_there_does_not_keep_it_from_starting(
    tmp_path: Path, notifications: socket.socket
) -> None:
    config = write_config(tmp_path, device_port=free_port())
    daemon = huxi("run", "-c", str(config), NOTIFY_SOCKET=str(tmp_path / "notify"))
    try:
        first = notifications.recv(4096).decode()
        ran = said("status", "-c", str(config))
    finally:
        daemon.terminate()
        daemon.communicate(timeout=10)
    assert first.startswith("READY=1\nSTATUS=0 of 1 devices answer")
    assert ran.returncode == 1
    assert "yard" in ran.stdout


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = write_config(tmp_path, device_port=free_port(), page=f'listen = "127.0.0.1:{port}"')
        assert f"127.0.0.1:{port}" in refused("run", "-c", str(config))
    assert not (tmp_path / "data" / "api.sock").exists(), "nothing is half-started"


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    config = write_config(tmp_path, device_port=free_port())
    (tmp_path / "data").write_text("a file where the folder should be")
    assert str(tmp_path / "data") in refused("run", "-c", str(config))


def test_an_unreachable_link_is_named_by_check(tmp_path: Path) -> None:
    port = free_port()
    config = write_config(tmp_path, device_port=port)
    text = refused("check", "--connect", "-c", str(config))
    assert "yard" in text
    assert str(port) in text


def test_two_daemons_on_one_folder(tmp_path: Path, notifications: socket.socket) -> None:
    config = write_config(tmp_path, device_port=free_port())
    daemon = huxi("run", "-c", str(config), NOTIFY_SOCKET=str(tmp_path / "notify"))
    try:
        notifications.recv(4096)
        assert str(daemon.pid) in refused("run", "-c", str(config))
    finally:
        daemon.terminate()
        daemon.communicate(timeout=10)
    assert daemon.returncode == 0


def test_a_configuration_with_faults(tmp_path: Path) -> None:
    config = write_config(tmp_path, device_port=free_port(), extra='unti = 3\nperiod = "soon"\n')
    text = refused("run", "-c", str(config)).splitlines()
    assert [":17: device[0].unti: " in line or ":18: device[0].period: " in line for line in text] == [True, True]
    assert not (tmp_path / "data").exists()


async def test_a_person_can_vouch_for_a_clock_that_nobody_keeps(tmp_path: Path, notifications: socket.socket) -> None:
    """What was read before is dated by it, and a restart in the same boot goes on from there."""
    simulator = Simulator(Catalogue([shipped()]).load("meter/chint-dtsu666"))
    async with TcpServer(simulator, "127.0.0.1", 0, one_client=False) as server:
        config = write_config(tmp_path, device_port=server.port)
        config.write_text(config.read_text().replace('clock = "system"', 'clock = "vouched"'))
        first = await asyncio.to_thread(_status_of_a_run, config, tmp_path, notifications, "clock", "trust")
        second = await asyncio.to_thread(_status_of_a_run, config, tmp_path, notifications)
    assert (first["clock"]["trusted"], first["clock"]["source"]) == (True, second["clock"]["source"])
    assert second["clock"]["trusted"] is True


def _status_of_a_run(config: Path, folder: Path, notifications: socket.socket, *before: str) -> dict[str, Any]:
    process = huxi("run", "-c", str(config), NOTIFY_SOCKET=str(folder / "notify"))
    try:
        while not notifications.recv(4096).startswith(b"READY=1"):
            pass
        if before:
            assert said(*before, "-c", str(config)).returncode == 0
            time.sleep(2.5)  # it counts at the next look, and is stored with that
        status: dict[str, Any] = json.loads(said("status", "-c", str(config), "--json").stdout)
    finally:
        process.kill()
        process.communicate(timeout=10)
    return status
