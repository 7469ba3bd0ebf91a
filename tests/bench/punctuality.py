"""Fifty devices with sixty points each second: how far the polls are from their second, and whether any is lost."""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from itertools import count, pairwise
from multiprocessing.connection import Connection
from typing import Any

import uvloop

from drivers.device import Device, Reading
from drivers.modbus.open import open_link
from drivers.profile import Profile
from gateway.clock import SystemClock
from gateway.poller import Poller
from tests.bench.report import row, title

DEVICES, POINTS, SECONDS = 50, 60, 12
GOAL_MS = 10
PERIOD_MS = 1000


class Unit(asyncio.Protocol):
    """A device that answers each read after a while."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        size = 2 * data[11]
        reply = data[:4] + (size + 3).to_bytes(2, "big") + data[6:8] + bytes([size]) + bytes(size)
        write = self._transport.write  # type: ignore[attr-defined]
        asyncio.get_running_loop().call_later(self._delay_s, write, reply)


def serve(ports: Connection, delay_s: float) -> None:
    """Fifty devices, each behind a port of its own, until the process is ended."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        servers = [await loop.create_server(lambda: Unit(delay_s), "127.0.0.1", 0) for _ in range(DEVICES)]
        ports.send([server.sockets[0].getsockname()[1] for server in servers])
        await asyncio.Event().wait()

    uvloop.run(main())


@contextmanager
def units(delay_s: float) -> Iterator[list[int]]:
    """The ports of the devices, which run in a process of their own."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there, delay_s), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def profile() -> Profile:
    """Sixty points in one hundred registers, as one block."""
    widths = [1] * 20 + [2] * 40
    points = [
        {"name": f"p{n}", "address": sum(widths[:n]), "type": "u16" if width == 1 else "i32"}
        for n, width in enumerate(widths)
    ]
    about = {"title": "-", "make": "-", "model": "-", "kind": "meter"}
    return Profile.model_validate({"profile": about, "point": points})


class Stamped(Device):
    """A device that notes when it is polled."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.polled_ns: list[int] = []
        self.answers = 0

    async def read(self) -> Reading:
        self.polled_ns.append(time.monotonic_ns())
        reading = await super().read()
        self.answers += reading.is_answer
        return reading


async def tick(stamps_ns: list[int]) -> None:
    """A timer alone, to see what the machine itself is late."""
    begin = time.monotonic()
    for second in count(1):
        await asyncio.sleep(begin + second * PERIOD_MS / 1000 - time.monotonic())
        stamps_ns.append(time.monotonic_ns())


async def poll(ports: list[int], ticks_ns: list[int]) -> list[Stamped]:
    """The devices, after they were polled for a while."""
    made = profile()
    async with AsyncExitStack() as stack:
        devices, pollers = [], []
        for port in ports:
            link = await stack.enter_async_context(open_link(str(port), f"tcp://127.0.0.1:{port}"))
            devices.append(Stamped(name=str(port), unit=1, profile=made, link=link))
            poller = Poller([(devices[-1], PERIOD_MS)], clock=SystemClock(), on_reading=lambda reading: None)
            pollers.append(poller)
        await asyncio.sleep(0.5)
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
                tasks.create_task(tick(ticks_ns))
                for poller in pollers:
                    tasks.create_task(poller.run())
    return devices


def off_second_ms(stamps_ns: list[int]) -> list[float]:
    """How far each time from one to the next is from a second."""
    return [abs((b - a) / 1e6 - PERIOD_MS) for a, b in pairwise(stamps_ns)]


def run() -> None:
    title(f"{DEVICES} devices, {POINTS} points each, every second on uvloop")
    for delay_ms in (0, 20):
        with units(delay_ms / 1000) as ports:
            begin = time.process_time()
            ticks_ns: list[int] = []
            devices = uvloop.run(poll(ports, ticks_ns))
            cpu = (time.process_time() - begin) / SECONDS
        # The first poll is at once, off the grid.
        off_ms = sorted(off for device in devices for off in off_second_ms(device.polled_ns[1:]))
        p99_ms = off_ms[len(off_ms) * 99 // 100]
        least = min(device.answers for device in devices)
        verdict = "met" if p99_ms < GOAL_MS and least >= SECONDS else "MISSED"
        row(
            f"devices that answer in {delay_ms} ms: p99 off the second",
            f"{p99_ms:.2f} ms",
            f"goal < {GOAL_MS} ms: {verdict}; at least {least} answers in {SECONDS} s, {100 * cpu:.1f} % of a core; "
            f"a timer alone: worst {max(off_second_ms(ticks_ns)):.2f} ms",
        )
