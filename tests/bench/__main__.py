"""`python -m tests.bench`: the core against its plain-Python twin, and our link against bare pymodbus."""

import asyncio
import statistics
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from types import ModuleType
from typing import Any

from pymodbus.client import AsyncModbusTcpClient

from drivers.catalogue import Catalogue, shipped
from drivers.codec import block_specs
from drivers.modbus.manners import LinkManners
from drivers.modbus.open import open_link
from drivers.modbus.server import TcpServer
from drivers.plan import plan_blocks
from drivers.simulator import Simulator
from ext import CounterSpec, _core, _twin

RUNS = 5
PROFILE = "inverter/huawei-sun2000"


def median_us(work: Callable[[], object], count: int) -> float:
    """Median over RUNS of the CPU time of one call, in microseconds."""
    times = []
    for _ in range(RUNS):
        begin = time.process_time_ns()
        for _ in range(count):
            work()
        times.append((time.process_time_ns() - begin) / count / 1000)
    return statistics.median(times)


def decode(core: ModuleType) -> float:
    """Decoding the largest block of a profile."""
    profile = Catalogue([shipped()]).load(PROFILE)
    block = max(plan_blocks(profile.points, profile.manners), key=lambda block: len(block.points))
    size = len(profile.points)
    decoder = core.BlockDecoder(block_specs(profile.points, block), block.count)
    columns = (array("d", [0.0]) * size, *(array(code, [0]) * size for code in "qbqB"))
    data = bytes(range(256))[: 2 * block.count] * (2 * block.count // 256 + 1)
    return median_us(lambda: decoder.decode(data[: 2 * block.count], *columns), 500)


def count(core: ModuleType) -> float:
    """One step of 150 counters."""
    registers = 150
    spec = CounterSpec(modulus=1 << 32, scale_num=10_000, scale_den=1, p_max_W=50_000, refresh_s=60, jitter=1, policy=0)
    table = core.CounterTable([spec] * registers)
    slots, ulps = array("i", range(registers)), array("q", [0]) * registers
    now = 0

    def step() -> None:
        nonlocal now
        now += 1
        table.step(slots, array("q", [now // 10]) * registers, ulps, array("q", [now * 1000]) * registers)

    return median_us(step, 200)


def multiply(core: ModuleType) -> float:
    """Ten thousand energies times a factor."""
    energies = array("q", range(10_000))
    return median_us(lambda: core.multiply(energies, 140_400), 20)


async def exchanges() -> tuple[float, float]:
    """CPU of one exchange of 20 registers, microseconds, server included: our link, bare pymodbus."""
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


async def _median_us(work: Callable[[], Awaitable[Any]], count: int = 1000) -> float:
    times = []
    for _ in range(RUNS):
        begin = time.process_time_ns()
        for _ in range(count):
            await work()
        times.append((time.process_time_ns() - begin) / count / 1000)
    return statistics.median(times)


def main() -> None:
    """Prints one table."""
    rows: Sequence[tuple[str, str, Callable[[ModuleType], float]]] = (
        ("decode of a block", "plain Python", decode),
        ("150 counters, one step", "plain Python", count),
        ("10,000 products", "plain Python", multiply),
    )
    print(f"{'work':26} {'us':>10} {'peer':>14} {'us':>10} {'ratio':>7}")
    for name, peer, measure in rows:
        ours, theirs = measure(_core), measure(_twin)
        print(f"{name:26} {ours:10.2f} {peer:>14} {theirs:10.2f} {ours / theirs:7.3f}")
    ours, theirs = asyncio.run(exchanges())
    print(f"{'exchange, server included':26} {ours:10.2f} {'bare pymodbus':>14} {theirs:10.2f} {ours / theirs:7.3f}")


if __name__ == "__main__":
    main()
