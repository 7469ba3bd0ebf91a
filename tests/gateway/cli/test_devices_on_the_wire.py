"""read, simulate and check --connect against real sockets and an emulated serial line."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers.catalogue import Catalogue, shipped
from drivers.modbus.pdu import rtu_frame
from drivers.modbus.server import TcpServer
from drivers.simulator import Simulator
from gateway.cli.probe import stable_name

PROFILE = "wastewater/wwtp-generic-v1"
HUXI = [sys.executable, "-c", "from gateway.cli.main import main; main()"]


@contextmanager
def device(bank: object) -> Iterator[str]:
    """The URL of a Modbus server that answers from `bank`, in a thread of its own."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    ready = threading.Event()
    url = []

    async def serve() -> None:
        async with TcpServer(bank, "127.0.0.1", 0) as server:
            url.append(f"tcp://127.0.0.1:{server.port}")
            ready.set()
            await stop.wait()
            # asyncio leaks a connection that it accepts in the very turn in which its server closes.
            await asyncio.sleep(0.01)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(5)
    try:
        yield url[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
        loop.close()


@pytest.fixture
def plant() -> Iterator[str]:
    """A simulated wastewater plant, unit 1."""
    with device(Simulator(Catalogue([shipped()]).load(PROFILE), seed=1)) as url:
        yield url


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, held for the length of the test."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def points(result) -> dict[str, dict]:
    assert result.exit_code == 0, result.stderr
    return {point["name"]: point for point in json.loads(result.stdout)["points"]}


def test_a_reading_shows_raw_words_value_and_meaning(huxi, plant):
    found = points(huxi("read", plant, "--profile", PROFILE, "--json"))
    assert found["mode"] == {
        "name": "mode",
        "function": 3,
        "address": 0,
        "raw": ["0002"],
        "value": 2.0,
        "unit": "",
        "quality": "ok",
        "text": "automatic",
    }
    counter = found["energy_load_total"]
    assert counter["quality"] == "ok"
    assert int("".join(counter["raw"]), 16) > 0


def test_a_reading_in_a_table(huxi, plant):
    result = huxi("read", plant, "--profile", PROFILE)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["address", "point", "raw", "value", "unit", "quality", "meaning"]
    assert lines[1].split() == ["0", "mode", "0002", "2", "ok", "automatic"]


def test_bits_are_told_by_their_words_and_long_texts_are_cut(huxi, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        '[profile]\ntitle = "t"\nmake = "m"\nmodel = "o"\nkind = "meter"\n'
        '[[point]]\nname = "alarms"\naddress = 0\ntype = "bits16"\n'
        'states = { 0 = "door", 2 = "过载", 5 = "fuse" }\n'
        '[[point]]\nname = "text"\naddress = 1\ntype = "str6"\n'
        '[[point]]\nname = "refused"\naddress = 90\ntype = "u16"\nread_alone = true\n'
    )

    class Bank:
        def read(self, unit: int, function: int, address: int, count: int) -> list[int] | int:
            return ([0b101, 0x4142, 0x4344, 0, 0, 0, 0] if address < 90 else 2) if unit == 1 else 11

    with device(Bank()) as url:
        found = points(huxi("read", url, "--profile", str(own), "--json"))
        table = huxi("read", url, "--profile", str(own)).stdout
    assert found["alarms"]["text"] == "door, 过载"
    assert (found["text"]["value"], found["text"]["raw"][:2]) == ("ABCD", ["4142", "4344"])
    refused = found["refused"]
    assert (refused["value"], refused["quality"], refused["raw"]) == (None, "refused", [])
    assert "4142 4344 0000 …" in table


def test_a_unit_that_does_not_answer(huxi, plant):
    result = huxi("read", plant, "--profile", PROFILE, "--unit", "9")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"huxi: unit 9 at {plant} does not answer: check the unit id")
    assert result.stderr.count("\n") == 1


def test_a_device_that_cannot_be_reached(huxi, closed_port):
    url = f"tcp://127.0.0.1:{closed_port}"
    result = huxi("read", url, "--profile", PROFILE)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"huxi: cannot reach {url}: 127.0.0.1 refuses connections on port {closed_port}: "
        "switch on Modbus TCP in the device, check the port, "
        "and see that no other master holds its only connection\n"
    )


def test_something_that_is_no_modbus_device(huxi):
    class Mute:
        def read(self, unit: int, function: int, address: int, count: int) -> list[int]:
            return [0]  # never as many as asked for

    with device(Mute()) as url:
        result = huxi("read", url, "--profile", PROFILE)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("huxi: ")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://x", "link url 'ftp://x': write tcp://"),
        ("rtu:///nowhere/tty", "there is no serial port /nowhere/tty: plug the adapter in"),
        ("rtu:///etc/passwd", "/etc/passwd is not a serial port"),
        ("tcp://no-such-host.invalid", "the name no-such-host.invalid is not known"),
    ],
)
def test_addresses_that_lead_nowhere(huxi, url, message):
    result = huxi("read", url, "--profile", PROFILE)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_unknown_profile_is_told_the_nearest(huxi):
    result = huxi("read", "tcp://127.0.0.1:1", "--profile", "inverter/huawei-sun200")
    assert result.exit_code == 2
    assert "did you mean 'inverter/huawei-sun2000'?" in result.stderr


def config(folder: Path, url: str) -> str:
    path = folder / "huxi.toml"
    path.write_text(
        '[gateway]\nid = "g"\nregion = "CN-SC"\ndata_dir = "data"\n'
        f'[[link]]\nname = "院子"\nurl = "{url}"\n'
        f'[[device]]\nname = "plant"\nlink = "院子"\nprofile = "{PROFILE}"\nrole = "wastewater"\n'
        'supply = "own"\n'
        "max_power_W = 1500\n"
    )
    return str(path)


def test_check_connect_reaches_the_links(huxi, tmp_path, plant):
    result = huxi("check", "-c", config(tmp_path, plant), "--connect")
    assert result.exit_code == 0, result.stderr


def test_check_connect_names_the_link_that_cannot_be_reached(huxi, tmp_path, closed_port):
    path = config(tmp_path, f"tcp://127.0.0.1:{closed_port}")
    result = huxi("check", "-c", path, "--connect")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"huxi: link 院子 (tcp://127.0.0.1:{closed_port}): 127.0.0.1 refuses connections")
    result = huxi("check", "-c", path, "--connect", "--json")
    assert result.exit_code == 2
    answer = json.loads(result.stdout)
    assert (answer["ok"], len(answer["unreachable"])) == (False, 1)


@pytest.mark.parametrize(
    ("path", "name"), [("/dev/ttyUSB0", "/dev/serial/by-id/…"), ("/dev/serial/by-id/usb-a-port0", None)]
)
def test_check_hints_at_a_name_that_stays(huxi, tmp_path, path, name):
    file = config(tmp_path, f"rtu://{path}?baud=115200")
    result = huxi("check", "-c", file)
    assert (result.exit_code, "may be another adapter" in result.stdout) == (0, name is not None)
    (link,) = json.loads(huxi("check", "-c", file, "--json").stdout)["links"]
    assert link["stable_name"] == name


def test_the_name_that_stays_is_that_of_the_same_adapter(tmp_path):
    (tmp_path / "usb-a").symlink_to("/dev/ttyUSB7")
    (tmp_path / "usb-b").symlink_to("/dev/ttyUSB8")
    assert stable_name("/dev/ttyUSB8", tmp_path) == str(tmp_path / "usb-b")
    assert stable_name("/dev/ttyUSB9", tmp_path) == f"{tmp_path}/…"


def answer_late_once(listener: socket.socket, delay_s: float) -> None:
    """An RTU converter whose registers hold their addresses; the first answer comes late."""
    connection, _ = listener.accept()
    with connection:
        while request := connection.recv(8):
            answer = rtu_frame(1, bytes([3, 2]) + request[2:4])
            time.sleep(delay_s)
            connection.sendall(answer)
            delay_s = 0


@pytest.mark.slow
def test_an_answer_within_the_lateness_of_the_profile_is_never_taken_for_another_registers(huxi, tmp_path):
    own = tmp_path / "slow.toml"
    own.write_text(
        '[profile]\ntitle = "t"\nmake = "m"\nmodel = "o"\nkind = "meter"\n[link]\nmax_gap = 0\ntimeout_ms = 1500\n'
        + "".join(f'[[point]]\nname = "p{at}"\naddress = {at}\ntype = "u16"\n' for at in (10, 20))
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"rtu+tcp://127.0.0.1:{listener.getsockname()[1]}"
        device = threading.Thread(target=answer_late_once, args=(listener, 2.8), daemon=True)
        device.start()
        found = points(huxi("read", url, "--profile", str(own), "--json"))
        device.join(5)
    assert found["p20"]["value"] == 20
    assert found["p10"]["value"] in (10, None)


def say_http(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            if connection.recv(100):
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_web_server_is_told_to_be_no_modbus_device(huxi):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=say_http, args=(listener,), daemon=True).start()
        result = huxi("read", f"tcp://127.0.0.1:{listener.getsockname()[1]}", "--profile", PROFILE)
        listener.shutdown(socket.SHUT_RDWR)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "this is no Modbus TCP device" in result.stderr
    assert "speed and parity" not in result.stderr


def test_an_answer_of_another_unit_is_told(huxi):
    def answer_as_255(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            while request := connection.recv(12):
                count = request[11]
                connection.sendall(request[:4] + bytes([0, 3 + 2 * count, 255, 3, 2 * count]) + bytes(2 * count))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer_as_255, args=(listener,), daemon=True).start()
        result = huxi("read", f"tcp://127.0.0.1:{listener.getsockname()[1]}", "--profile", PROFILE)
    assert result.exit_code == 2
    assert "a reply from unit 255 instead of 1" in result.stderr
    assert "check the unit id" in result.stderr


@contextmanager
def simulated(*args: str) -> Iterator[Callable[[str], dict]]:
    """A `huxi simulate --control` process; call it with an order to get its answer."""
    with subprocess.Popen(
        [*HUXI, "simulate", "--control", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def tell(line: str) -> dict:
            if line:
                process.stdin.write(line + "\n")
                process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield tell
        process.stdin.close()
        assert process.wait(10) == 0, "the end of its orders ends it, well"


def do(order: str) -> str:
    return json.dumps({"do": order})


def test_a_simulated_device_obeys(huxi):
    with simulated("--profile", PROFILE, "--listen", "tcp://127.0.0.1:0", "--unit", "3") as tell:
        started = tell("")
        assert started["unit"] == 3
        read = ("read", started["url"], "--profile", PROFILE, "--unit", "3", "--json")
        assert tell(do("truth")) == {"registers": {}}
        assert tell(do("freeze")) == {"done": "freeze"}
        served = points(huxi(*read))
        truth = tell(do("truth"))["registers"]
        assert truth["energy_load_total"]["kind"] == "counter"
        assert truth["energy_load_total"]["last_raw"] == int("".join(served["energy_load_total"]["raw"]), 16)
        assert truth["blower1_power"]["kind"] == "power"
        assert truth["blower1_power"]["max_power_W"] == 1500
        assert tell(do("vanish")) == {"done": "vanish"}
        assert huxi(*read).exit_code == 2
        assert tell(do("return")) == {"done": "return"}
        assert tell(do("return")) == {"done": "return"}
        assert points(huxi(*read))["energy_load_total"] == served["energy_load_total"]
        assert "write" in tell("nonsense")["error"]
        assert "write" in tell(do("dance"))["error"]


def test_a_simulated_device_on_an_emulated_line(huxi, tmp_path):
    line = f"line://{tmp_path}/tty?baud=38400&parity=E"
    with simulated("--profile", PROFILE, "--listen", line) as tell:
        url = tell("")["url"]
        assert url == f"rtu://{tmp_path}/tty?baud=38400&parity=E&stop=1"
        assert points(huxi("read", url, "--profile", PROFILE, "--json"))["mode"]["quality"] == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_counter_starts_where_it_is_told(huxi):
    start = ("--start", "energy_load_total=0xFFFFFFF0", "--shape", "steady", "--power", "1", "--day", "60")
    with simulated("--profile", PROFILE, "--listen", "tcp://127.0.0.1:0", *start) as tell:
        found = points(huxi("read", tell("")["url"], "--profile", PROFILE, "--json"))
    assert found["energy_load_total"]["raw"] == ["ffff", "fff0"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--listen", "tcp://127.0.0.1:0", "--start", "energy_load_total"], "write POINT=RAW"),
        (["--listen", "tcp://127.0.0.1:0", "--start", "mode=3"], "mode"),
        (["--listen", "udp://127.0.0.1:0"], "link url"),
        (["--listen", "tcp://192.0.2.1:5020"], "choose a free port and an address of this machine"),
        (["--listen", "rtu:///nowhere/tty"], "/nowhere/tty"),
    ],
)
def test_what_cannot_be_simulated(huxi, args, message):
    result = huxi("simulate", "--profile", PROFILE, *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("huxi: ")
    assert message in result.stderr
