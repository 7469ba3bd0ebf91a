"""The compiled core against its plain-Python twin, on what the gateway asks for."""

from array import array
from collections.abc import Callable
from types import ModuleType

from drivers.catalogue import Catalogue, shipped
from drivers.codec import block_specs
from drivers.plan import plan_blocks
from ext import CounterSpec, _core, _twin
from tests.bench.report import row, title
from tests.bench.timing import medians_us

PROFILE = "inverter/huawei-sun2000"


def decode(core: ModuleType) -> Callable[[], object]:
    """Decodes the largest block of a profile."""
    profile = Catalogue([shipped()]).load(PROFILE)
    block = max(plan_blocks(profile.points, profile.manners), key=lambda block: len(block.points))
    size = len(profile.points)
    decoder = core.BlockDecoder(block_specs(profile.points, block), block.count)
    columns = (array("d", [0.0]) * size, *(array(code, [0]) * size for code in "qbqB"))
    data = (bytes(range(256)) * block.count)[: 2 * block.count]
    return lambda: decoder.decode(data, *columns)


def count(core: ModuleType) -> Callable[[], object]:
    """One poll of 150 counters."""
    registers = 150
    spec = CounterSpec(modulus=1 << 32, scale_num=10_000, scale_den=1, p_max_W=50_000, refresh_s=60, jitter=1, policy=0)
    table = core.CounterTable([spec] * registers)
    slots, ulps = array("i", range(registers)), array("q", [0]) * registers
    now = 0

    def step() -> None:
        nonlocal now
        now += 1
        table.step(slots, array("q", [now // 10]) * registers, ulps, array("q", [now * 1000]) * registers)

    return step


def multiply(core: ModuleType) -> Callable[[], object]:
    """Ten thousand energies times a factor."""
    energies = array("q", range(10_000))
    return lambda: core.multiply(energies, 140_400)


def run() -> None:
    title("the core against its plain-Python twin, us a call")
    for name, make, calls in (
        (f"largest block of {PROFILE}", decode, 300),
        ("150 counters, one step", count, 100),
        ("10,000 products", multiply, 20),
    ):
        times = medians_us({"core": make(_core), "twin": make(_twin)}, calls)
        row(name, f"{times['core']:.2f}", f"twin {times['twin']:.2f}, ratio {times['core'] / times['twin']:.3f}")
