"""Ten meters on a serial line of 9600 baud, one of them dead: what the others get of their polls."""

import asyncio
import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from drivers.device import Device, Reading
from drivers.modbus.line import EmulatedLine
from drivers.modbus.open import open_link
from drivers.profile import Profile
from gateway.clock import SystemClock
from gateway.poller import Poller
from tests.bench.report import row, title
from tests.slow_meters import SlowMeters

BAUD, UNITS, DEAD, REGISTERS = 9600, 10, 4, 10
TURNAROUND_S = 0.02
PERIOD_S, SECONDS = 1, 120
GOAL = 0.95


def serve(ready: Connection, ends: tuple[Path, Path]) -> None:
    """The line and the meters, until the process is ended."""

    async def main() -> None:
        async with EmulatedLine(ends, baud=BAUD):
            SlowMeters(str(ends[1]), baud=BAUD, turnaround_s=TURNAROUND_S, dead=[DEAD]).start()
            ready.send(None)
            await asyncio.Event().wait()

    asyncio.run(main())


@contextmanager
def line() -> Iterator[Path]:
    """The gateway's end of a line whose other end is in a process of its own."""
    here, there = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        ends = Path(folder, "gateway"), Path(folder, "meters")
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(there, ends), daemon=True)
        process.start()
        try:
            here.recv()
            yield ends[0]
        finally:
            process.terminate()
            process.join()


def profile() -> Profile:
    """One block of registers."""
    about = {"title": "-", "make": "-", "model": "-", "kind": "meter"}
    points = [{"name": f"p{n}", "address": n, "type": "u16"} for n in range(REGISTERS)]
    return Profile.model_validate({"profile": about, "point": points})


async def poll(end: Path) -> Counter[str]:
    """Answered polls of each meter."""
    got: Counter[str] = Counter()

    def count(reading: Reading) -> None:
        got[reading.device] += reading.is_answer

    made = profile()
    async with open_link("bus", f"rtu://{end}?baud={BAUD}&parity=E") as link:
        devices = [Device(name=str(unit), unit=unit, profile=made, link=link) for unit in range(1, UNITS + 1)]
        poller = Poller([(device, 1000 * PERIOD_S) for device in devices], clock=SystemClock(), on_reading=count)
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS):
                await poller.run()
    return got


def run() -> None:
    title(f"{UNITS} meters at {BAUD} baud over pseudo-terminals, one dead, each polled every {PERIOD_S} s")
    begin = time.process_time()
    with line() as end:
        got = uvloop.run(poll(end))
    least = min(got[str(unit)] for unit in range(1, UNITS + 1) if unit != DEAD)
    share = least / (SECONDS / PERIOD_S)
    note = f"goal >= {100 * GOAL:.0f} %: {'met' if share >= GOAL else 'MISSED'}; {least} in {SECONDS} s"
    row("the others, the one that got least", f"{100 * share:.1f} %", note)
    row("CPU of the gateway's side", f"{100 * (time.process_time() - begin) / SECONDS:.1f} %", "of a core")
