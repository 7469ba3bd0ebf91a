"""The full counter table against a plain C loop that knows difference and product only."""

import ctypes
from array import array
from collections.abc import Callable, Iterator

from ext import CounterSpec, CounterTable
from tests.bench.plain import cells, compiled
from tests.bench.report import at_least, row, title
from tests.bench.timing import RUNS, medians_us

REGISTERS = 150
SPEC = CounterSpec(modulus=1 << 32, scale_num=10_000, scale_den=1, p_max_W=50_000, refresh_s=60, jitter=1, policy=0)


class Polls:
    """Readings of REGISTERS counters, a second apart, `polls` a batch; enough batches for one measurement."""

    def __init__(self, polls: int, calls: int) -> None:
        self.rows = REGISTERS * polls
        self._registers = array("i", range(REGISTERS)) * polls
        self._ulps = array("q", [0]) * self.rows
        self._batches = [self._batch(number * polls, polls) for number in range(calls * (RUNS + 1))]

    def _batch(self, first: int, polls: int) -> tuple[array, array]:
        counts, t_ms = array("q"), array("q")
        for poll in range(first, first + polls):
            counts.extend(array("q", [poll // 10]) * REGISTERS)
            t_ms.extend(array("q", [1000 * poll]) * REGISTERS)
        return counts, t_ms

    def by_core(self) -> Callable[[], object]:
        table, batches = CounterTable([SPEC] * REGISTERS), self._endless()

        def step() -> None:
            counts, t_ms = next(batches)
            table.step(self._registers, counts, self._ulps, t_ms)

        return step

    def by_c(self) -> Callable[[], object]:
        batches, function = self._endless(), compiled().steps
        last, energy = array("q", [0]) * REGISTERS, array("q", [0]) * self.rows
        size, scale = ctypes.c_size_t(self.rows), ctypes.c_int64(SPEC.scale_num)
        registers, last_cells, energy_cells = cells(self._registers), cells(last), cells(energy)

        def step() -> tuple[array, array]:
            counts, _ = next(batches)
            function(registers, cells(counts), size, scale, last_cells, energy_cells)
            return last, energy  # C writes into them

        return step

    def _endless(self) -> Iterator[tuple[array, array]]:
        yield from self._batches


def run() -> None:
    for polls, calls, note in (
        (1, 500, "C called by ctypes"),
        (60, 20, "both into memory that is in the cache"),
        (6000, 1, "bound by memory: ten columns against one"),
    ):
        work = Polls(polls, calls)
        times = medians_us({"core": work.by_core(), "C": work.by_c()}, calls)
        title(f"counter table, {REGISTERS} registers, {work.rows:,} readings a call: {note}")
        row("CounterTable.step", f"{1000 * times['core'] / work.rows:.2f} ns/row")
        row("plain C -O3, difference and product", f"{1000 * times['C'] / work.rows:.2f} ns/row")
        at_least("core to C", times["C"] / times["core"], 0.15)
