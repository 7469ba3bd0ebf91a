"""Promise 15: polling starts with no network and no time, on a cold cache."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.client import daemon
from gateway.cli.errors import CommandError
from tests.site.test_daemon import write_config

pytestmark = pytest.mark.slow

LIMIT_S = 10.0
PORT = 1502
ROOT = Path(__file__).parents[2]
HUXI = "from gateway.cli.main import main; main()"
# A machine that was booted in 1970 and whose clock nobody keeps right, whatever this one knows.
NO_TIME = """
import time
time.time_ns = time.monotonic_ns
time.time = time.monotonic
import gateway.witness
gateway.witness.kernel_synchronised = lambda: False
"""
# The control: polls wait for the time, as a unit with After=time-sync.target does.
WAITS = """
import asyncio, gateway.poller
async def wait(self):
    await asyncio.Event().wait()
gateway.poller.Poller.run = wait
"""


@pytest.fixture
def empty_network() -> Iterator[list[str]]:
    """How to run a command in a network with nothing but a loopback interface and a simulated meter."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("nsenter") or not shutil.which("ip"):
        pytest.skip("a network namespace needs root, util-linux and iproute2")
    simulate = f"{sys.executable} -c '{HUXI}' simulate --profile meter/chint-dtsu666 --listen tcp://127.0.0.1:{PORT}"
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", f"ip link set lo up && exec {simulate}"],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert str(PORT) in holder.stdout.readline()  # it listens
        inside = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
        assert subprocess.check_output([*inside, "ip", "-o", "link"], text=True).count("\n") == 1
        assert subprocess.check_output([*inside, "ip", "route"], text=True) == ""
        yield inside
    finally:
        holder.terminate()
        holder.communicate(timeout=10)


def forget_pages() -> None:
    """Drops what the kernel has cached of Python, our packages and this checkout."""
    folders = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    files = [Path(sys.executable).resolve(), *(ROOT / room for room in ("gateway", "drivers", "ext", "sync")), *folders]
    for top in files:
        for path in [top] if top.is_file() else top.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def started(inside: list[str], folder: Path, prelude: str) -> Iterator[tuple[float, subprocess.Popen[str]]]:
    """The daemon, and when it was started; killed at the end."""
    config = write_config(folder, device_port=PORT)
    config.write_text(config.read_text(encoding="utf-8").replace('clock = "system"\n', ""), encoding="utf-8")
    command = [*inside, sys.executable, "-c", prelude + HUXI, "run", "-c", str(config)]
    forget_pages()
    began = time.monotonic()
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"NOTIFY_SOCKET": str(folder / "notify")}, text=True, stderr=subprocess.PIPE
    )
    try:
        yield began, process
    finally:
        process.kill()
        process.communicate(timeout=10)


def ask(folder: Path, path: str) -> dict[str, Any] | None:
    """What the local API says on its Unix socket; None while it does not answer."""
    try:
        with daemon(folder / "data", folder / "huxi.toml") as client:
            return client.get(path)
    except CommandError:
        return None


def has_sample(folder: Path) -> bool:
    """True when the page shows a value of the meter."""
    devices = (ask(folder, "/api/v1/devices") or {"devices": []})["devices"]
    return any(point["value"] is not None for device in devices for point in device["points"])


def wait_for(what: Callable[[], bool], began: float) -> float | None:
    """Seconds until it was so; None when the limit passed."""
    while not what():
        if time.monotonic() - began > LIMIT_S:
            return None
        time.sleep(0.02)
    return time.monotonic() - began


def test_promise_15_the_first_sample_comes_without_network_and_time(
    tmp_path: Path, empty_network: list[str], figure: Callable[[str], None]
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
        notifications.bind(str(tmp_path / "notify"))
        notifications.settimeout(LIMIT_S)
        with started(empty_network, tmp_path, NO_TIME) as (began, process):
            sample_s = wait_for(lambda: has_sample(tmp_path), began)
            assert sample_s is not None, process.stderr and process.stderr.read()
            assert notifications.recv(4096).startswith(b"READY=1\n")
            ready_s = time.monotonic() - began
            status = ask(tmp_path, "/api/v1/status")
    assert sample_s <= LIMIT_S
    assert ready_s <= LIMIT_S
    assert status is not None
    assert status["clock"]["trusted"] is False
    assert [problem["what"] for problem in status["problems"]] == ["clock"]
    assert status["devices"]["live"] == 1
    figure(f"first sample after {sample_s:.1f} s, READY after {ready_s:.1f} s, page cache of our files dropped")
    with closing(sqlite3.connect(tmp_path / "data" / "huxi.db")) as conn:  # what was read outlived the kill
        assert conn.execute("SELECT count(*) FROM undated").fetchone()[0] >= 1
        assert conn.execute("SELECT count(*) FROM record WHERE stream = 'ledger'").fetchone() == (0,)


def test_promise_15_control_a_gateway_that_waits_for_the_time_has_no_sample(
    tmp_path: Path, empty_network: list[str]
) -> None:
    with started(empty_network, tmp_path, NO_TIME + WAITS) as (began, _):
        assert wait_for(lambda: ask(tmp_path, "/api/v1/status") is not None, began) is not None
        assert wait_for(lambda: has_sample(tmp_path), began) is None
