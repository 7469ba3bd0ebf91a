"""One Modbus exchange, CPU of the client: our link and bare pymodbus, and the limits: libmodbus in C, asyncio + struct.

The server is a process of its own, so that its cost does not count; all of them take turns on each event loop.
"""

import asyncio
import multiprocessing
import socket
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from pymodbus.client import AsyncModbusTcpClient

from drivers.modbus.open import open_link
from tests.bench.report import row, title
from tests.bench.timing import RUNS

COUNT = 1000
REGISTERS = 100
GOAL = 0.6
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

_ASK = struct.Struct(">HHHBBHH")
_ANSWER = struct.Struct(f">{REGISTERS}H")


def serve(listener: socket.socket, delay_s: float = 0.0) -> None:
    """Answer each request of one client after another, in the plainest way."""
    registers = bytes([3, 2 * REGISTERS]) + _ANSWER.pack(*range(REGISTERS))
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client:
            while request := client.recv(_ASK.size):
                if delay_s:
                    time.sleep(delay_s)
                client.sendall(request[:4] + (len(registers) + 1).to_bytes(2, "big") + request[6:7] + registers)


@contextmanager
def server() -> Iterator[int]:
    """The port of a server in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = multiprocessing.get_context("fork").Process(target=serve, args=(listener,), daemon=True)
        process.start()
        try:
            yield listener.getsockname()[1]
        finally:
            process.terminate()
            process.join()


class Bare(asyncio.Protocol):
    """A client that trusts everything."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()

    def read(self) -> "asyncio.Future[tuple[int, ...]]":
        self._transport.write(_ASK.pack(1, 0, 6, 1, 3, 0, REGISTERS))  # type: ignore[attr-defined]
        self._answer: asyncio.Future[tuple[int, ...]] = self._loop.create_future()
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._answer.set_result(_ANSWER.unpack_from(data, 9))


def compiled(folder: Path) -> Path:
    """The client of libmodbus, compiled into the folder."""
    program = folder / "exchange"
    source = Path(__file__).with_suffix(".c")
    subprocess.run(["cc", "-O2", str(source), "-o", str(program), "-lmodbus"], check=True)
    return program


async def exchanges(port: int, program: Path) -> dict[str, float]:
    """Microseconds of CPU of one read of 100 registers, by client."""
    clients = {"ours": _ours, "pymodbus": _pymodbus, "bare": _bare}
    times: dict[str, list[float]] = {name: [] for name in ("libmodbus", *clients)}
    for _ in range(RUNS):
        times["libmodbus"].append(await _libmodbus(port, program))
        for name, client in clients.items():
            times[name].append(await client(port))
    return {name: statistics.median(taken) for name, taken in times.items()}


async def _libmodbus(port: int, program: Path) -> float:
    run = await asyncio.create_subprocess_exec(
        program, str(port), str(REGISTERS), str(COUNT), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await run.communicate()
    return float(told)


async def _ours(port: int) -> float:
    async with open_link("bench", f"tcp://127.0.0.1:{port}") as link:
        return await _us(lambda: link.read(1, 3, 0, REGISTERS, timeout_s=1))


async def _pymodbus(port: int) -> float:
    client = AsyncModbusTcpClient("127.0.0.1", port=port, retries=0)
    await client.connect()
    us = await _us(lambda: client.read_holding_registers(0, count=REGISTERS, device_id=1))
    client.close()
    return us


async def _bare(port: int) -> float:
    transport, bare = await asyncio.get_running_loop().create_connection(Bare, "127.0.0.1", port)
    us = await _us(bare.read)
    transport.close()
    return us


async def _us(work: Callable[[], Awaitable[object]]) -> float:
    await asyncio.sleep(0.1)  # connected
    for _ in range(50):
        await work()
    begin = time.process_time_ns()
    for _ in range(COUNT):
        await work()
    return (time.process_time_ns() - begin) / COUNT / 1000


def run() -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(Path(folder))
        for name, factory in LOOPS.items():
            with server() as port, asyncio.Runner(loop_factory=factory) as runner:
                us = runner.run(exchanges(port, program))
            title(f"one exchange of {REGISTERS} registers on {name}, CPU of the client")
            ratio = us["ours"] / us["pymodbus"]
            row("libmodbus in C (a limit)", f"{us['libmodbus']:.1f} us")
            row(f"bare {name} + struct (a limit)", f"{us['bare']:.1f} us")
            row("bare pymodbus", f"{us['pymodbus']:.1f} us")
            row("our link", f"{us['ours']:.1f} us", f"{ratio:.2f} x pymodbus, goal <= {GOAL}: {_met(ratio <= GOAL)}")


def _met(yes: bool) -> str:
    return "met" if yes else "MISSED"
