"""One Modbus exchange, server included: our link against bare pymodbus."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from pymodbus.client import AsyncModbusTcpClient

from drivers.catalogue import Catalogue, shipped
from drivers.modbus.manners import LinkManners
from drivers.modbus.open import open_link
from drivers.modbus.server import TcpServer
from drivers.simulator import Simulator
from tests.bench.report import row, title
from tests.bench.timing import RUNS

COUNT = 1000


async def exchanges() -> tuple[float, float]:
    """CPU of one exchange of 20 registers, microseconds: our link, bare pymodbus."""
    profile = Catalogue([shipped()]).load("meter/chint-dtsu666")
    async with TcpServer(Simulator(profile), "127.0.0.1", 0, one_client=False) as server:
        async with open_link("bench", f"tcp://127.0.0.1:{server.port}", LinkManners()) as link:
            await asyncio.sleep(0.1)
            ours = await _median_us(lambda: link.read(1, 3, 0x2000, 20, timeout_s=1))
        client = AsyncModbusTcpClient("127.0.0.1", port=server.port, retries=0)
        await client.connect()
        theirs = await _median_us(lambda: client.read_holding_registers(0x2000, count=20, device_id=1))
        client.close()
    return ours, theirs


async def _median_us(work: Callable[[], Awaitable[object]]) -> float:
    times = []
    for _ in range(RUNS):
        begin = time.process_time_ns()
        for _ in range(COUNT):
            await work()
        times.append((time.process_time_ns() - begin) / COUNT / 1000)
    return statistics.median(times)


def run() -> None:
    ours, theirs = asyncio.run(exchanges())
    title("one exchange of 20 registers, server included")
    row("our link", f"{ours:.2f} us", f"bare pymodbus {theirs:.2f} us, ratio {ours / theirs:.3f}")
