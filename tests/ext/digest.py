"""One number for all that the core computes: the SHA-256 over every kernel's results on pseudo-random inputs.

`python tests/ext/digest.py` prints it, for the compiled core, or for the plain twin with HUXI_PURE_PYTHON=1. It is the
same on every machine: run it on another architecture and compare it with `RECORDED`.
"""

import hashlib
import math
import struct
from array import array
from collections.abc import Callable, Iterator
from types import ModuleType

from ext.counter_spec import CounterSpec
from ext.events import Events
from ext.overflow import CounterOverflow, PowerOverflow
from ext.point_spec import PointSpec
from ext.point_type import PointType
from ext.power_events import PowerEvents

RECORDED = "334311843dca14ba74dd6b37f4a249593f5a438c14ab524c12a5a4a32fcfaf00"
ROUNDS = 300
EXTREMES = (-(2**63), -(2**63) + 1, -1, 0, 1, 2**31, 2**63 - 1)


class Numbers:
    """Pseudo-random integers of our own (splitmix64), so that no library version has a say."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def bits(self) -> int:
        self._state = (self._state + 0x9E3779B97F4A7C15) % 2**64
        mixed = (self._state ^ self._state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % 2**64
        return mixed ^ mixed >> 31

    def between(self, low: int, high: int) -> int:
        return low + self.bits() % (high - low + 1)

    def of(self, *choices: int) -> int:
        return choices[self.bits() % len(choices)]

    def wide(self) -> int:
        """Any signed 64-bit number, often an extreme or a small one."""
        how = self.bits() % 4
        if how == 0:
            return self.of(*EXTREMES)
        return self.between(-1000, 10**6) if how == 1 else self.bits() - 2**63


def digest(core: ModuleType, seed: int = 1) -> str:
    """The digest of one twin: `ext._core` or `ext._twin`."""
    whole = hashlib.sha256()
    for kernel in (counters, powers, arithmetic, products, decoding):
        numbers = Numbers(seed)
        for _ in range(ROUNDS):
            for result in kernel(core, numbers):
                whole.update(repr(result).encode())
    return whole.hexdigest()


def counters(core: ModuleType, numbers: Numbers) -> Iterator[object]:
    specs = [
        CounterSpec(
            modulus=numbers.of(0, 65_536, 65_536, 10**6, 2**32, 2**63, 2**64),
            scale_num=numbers.of(1000, 100_000, 100_000, 100_000, 10**12),
            scale_den=numbers.of(1, 3, 1000),
            p_max_W=numbers.of(100, 50_000, 50_000, 50_000, 10**9),
            refresh_s=numbers.of(0, 60, 60, 10**6),
            jitter=numbers.of(0, 1, 5),
            policy=numbers.of(0, 0, 1, 2),
            cycle_start_s=numbers.of(-1, -1, 57_600),
        )
        for _ in range(3)
    ]
    table = core.CounterTable(specs)
    raws, t = [1000, 60_000, 0], 10**9
    for _ in range(6):
        batch: list[tuple[int, int, int, int]] = []
        for _ in range(numbers.between(1, 12)):
            register = numbers.between(0, 2)
            rises = [numbers.between(0, 40)] * 20
            raws[register] = numbers.of(*rises, 0, -1, -5, 10**4) + numbers.of(*[raws[register]] * 20, 0, 3)
            shown = numbers.of(*[raws[register]] * 20, 0, 65_535, numbers.wide())
            t += numbers.of(0, 1000, *[10_000, 60_000, 300_000] * 8, 3_600_000, 10**9)
            batch.append((register, shown, numbers.of(*[0] * 20, 15_625, 15_625, 2**62), t))
        columns = [array(code, [row[i] for row in batch]) for i, code in enumerate("iqqq")]
        try:
            events = table.step(*columns)
        except CounterOverflow as error:
            events = error.events
            yield error.registers
        yield _columns(events)
        register = numbers.between(0, 2)
        yield table.held(register), table.settled_ms(register)
        if table.has_state(register):
            yield table.state(register)
            table.load(register, table.state(register))
        if numbers.bits() % 8 == 0:
            (table.swap, table.reset_hint)[numbers.bits() % 2](register)


def powers(core: ModuleType, numbers: Numbers) -> Iterator[object]:
    table = core.PowerTable([numbers.of(0, 60_000, 300_000, 2**32) for _ in range(2)])
    t, batch = 0, []
    for _ in range(20):
        t += numbers.of(0, 1, 1000, 30_000, 10**6)
        power = numbers.of(numbers.between(-(10**7), 10**7), -(10**12), 10**12, 10**12 + 1)
        batch.append((numbers.between(0, 1), power, t))
    columns = [array(code, [row[i] for row in batch]) for i, code in enumerate("iqq")]
    try:
        events = table.step(*columns)
    except PowerOverflow as error:
        events = error.events
        yield error.registers
    yield _columns(events)
    yield [table.state(register) for register in (0, 1) if table.has_state(register)]


def arithmetic(core: ModuleType, numbers: Numbers) -> Iterator[object]:
    t0 = numbers.between(0, 2**52)
    cuts = sorted({t0 + numbers.between(1, 10**6) for _ in range(numbers.between(0, 4))})
    yield outcome(core.apportion, numbers.wide(), t0, t0 + numbers.between(10**6, 2**40), cuts)
    yield outcome(core.allocate, numbers.wide(), [numbers.between(0, 2 ** numbers.between(1, 62)) for _ in range(4)])
    yield outcome(core.ratio, numbers.wide(), numbers.wide(), numbers.wide())
    width = numbers.of(32, 64)
    scale = numbers.of(1, 1000, 10**6, 10**12), numbers.of(1, 3, 10**12)
    yield outcome(core.float_canonical, numbers.bits() % 2**width, width, *scale)


def products(core: ModuleType, numbers: Numbers) -> Iterator[object]:
    starts = sorted({numbers.between(0, 10**6) for _ in range(5)})
    values = [numbers.of(140_400, 156_400, numbers.wide()) for _ in starts]
    amounts = array("q", [numbers.of(numbers.between(0, 10**7), numbers.wide()) for _ in range(4)])
    times = array("q", [numbers.between(starts[0], 2 * 10**6) for _ in amounts])
    for function in (core.carbon, core.deltas):
        yield outcome(function, amounts, times, array("q", starts), array("q", values))
    yield outcome(core.multiply, amounts, values[0])


def decoding(core: ModuleType, numbers: Numbers) -> Iterator[object]:
    count, points = 12, 8
    decoder = core.BlockDecoder([_point(numbers, index, count) for index in range(points)], count)
    for _ in range(4):
        words = [numbers.of(numbers.bits() % 2**16, 0, 1, 3, 0xFFFE, 0xFFFF, 0x7F80, 0x8000) for _ in range(count)]
        cells = values, *others = [array(code, [0] * points) for code in "dqbqB"]
        decoder.decode(struct.pack(f">{count}H", *words), *cells)
        # The bits of a value, in one order; any NaN is as good as another.
        yield [None if math.isnan(value) else struct.pack(">d", value) for value in values]
        yield [list(other) for other in others]


def _point(numbers: Numbers, index: int, count: int) -> PointSpec:
    kind = PointType(numbers.of(*PointType))
    split = kind.registers > 1 and numbers.bits() % 4 == 0
    return PointSpec(
        index=index,
        offset=numbers.between(0, count - 4),
        type=kind,
        little_words=bool(numbers.bits() % 2),
        little_bytes=bool(numbers.bits() % 2),
        absolute=bool(numbers.bits() % 2),
        scale_num=numbers.of(1, -1, 10),
        scale_den=numbers.of(1, 3, 100),
        add_num=numbers.of(0, -40, 1000),
        add_den=numbers.of(1, 3),
        sentinels=((), (0,), (0xFFFF,))[numbers.bits() % 3],
        valid_min=(-math.inf, 0.0)[numbers.bits() % 2],
        valid_max=(math.inf, 1e5)[numbers.bits() % 2],
        exponent_offset=numbers.between(-1, count - 1),
        canon_num=numbers.of(0, 1, -1000, 10**6),
        canon_den=numbers.of(1, 7),
        tail_offset=numbers.between(0, count - 2) if split else -1,
        decimals=numbers.bits() % 4 == 0,
    )


def _columns(events: Events | PowerEvents) -> list[tuple[str, list[int]]]:
    return [(name, list(getattr(events, name))) for name in sorted(type(events).__slots__)]


def outcome(function: Callable[..., object], *arguments: object) -> object:
    """The result, or the kind of error and the row that it names."""
    try:
        result = function(*arguments)
    except (ValueError, OverflowError) as error:
        return type(error).__name__, getattr(error, "row", None)
    return list(result) if isinstance(result, array) else result


if __name__ == "__main__":
    import importlib

    import ext

    chosen = importlib.import_module("ext._core" if ext.IMPLEMENTATION == "cython" else "ext._twin")
    print(digest(chosen))
