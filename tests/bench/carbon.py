"""Batch deltas: counter difference, factor by time, product. The core, plain C, numpy, plain Python."""

import ctypes
from array import array
from collections.abc import Callable

import numpy as np

from ext import _core, _twin
from tests.bench.plain import cells, compiled
from tests.bench.report import at_least, row, title
from tests.bench.timing import medians_us

LARGE, SMALL, PYTHON = 10_000_000, 60, 200_000
FACTORS = 200
PERIOD_MS = 1000


class Series:
    """Readings of one counter, a second apart, over FACTORS factors."""

    def __init__(self, rows: int) -> None:
        count = rows + 1
        rises = np.random.default_rng(1).integers(0, 2000, count)
        self.counts = array("q", np.cumsum(rises).astype(np.int64).tobytes())
        self.t_ms = array("q", range(0, count * PERIOD_MS, PERIOD_MS))
        self.starts = array("q", (k * rows * PERIOD_MS // FACTORS for k in range(min(FACTORS, rows))))
        self.values = array("q", (140_400 + 7 * k for k in range(len(self.starts))))
        self.columns = (self.counts, self.t_ms, self.starts, self.values)

    def by_core(self) -> Callable[[], object]:
        return lambda: _core.deltas(*self.columns)

    def by_twin(self) -> Callable[[], object]:
        return lambda: _twin.deltas(*self.columns)

    def by_c(self) -> Callable[[], object]:
        carbon = array("q", [0]) * len(self.counts)
        counts, t_ms, starts, values = map(cells, self.columns)
        sizes = ctypes.c_size_t(len(self.counts)), ctypes.c_size_t(len(self.starts))
        function = compiled().deltas
        return lambda: (function(counts, t_ms, sizes[0], starts, values, sizes[1], cells(carbon)), carbon)

    def by_numpy(self) -> Callable[[], object]:
        counts, t_ms, starts, values = (np.frombuffer(column, dtype=np.int64) for column in self.columns)
        return lambda: np.diff(counts) * values[np.searchsorted(starts, t_ms[:-1], side="right") - 1]


def run() -> None:
    large, small, short = Series(LARGE), Series(SMALL), Series(PYTHON)
    expected = large.by_numpy()()
    assert np.array_equal(np.frombuffer(_core.deltas(*large.columns), dtype=np.int64), expected)
    times = medians_us({"core": large.by_core(), "C": large.by_c(), "numpy": large.by_numpy()})
    python_us = medians_us({"Python": short.by_twin()})["Python"]
    title(f"batch deltas, {LARGE:,} rows, {FACTORS} factors")
    row("core", f"{1000 * times['core'] / LARGE:.2f} ns/row", "result in new memory")
    row("plain C -O3", f"{1000 * times['C'] / LARGE:.2f} ns/row", "result in memory that is there")
    row("numpy", f"{1000 * times['numpy'] / LARGE:.2f} ns/row", "searchsorted")
    row(f"plain Python, {PYTHON:,} rows", f"{1000 * python_us / PYTHON:.0f} ns/row")
    at_least("core to C", times["C"] / times["core"], 0.5)
    at_least("core to numpy", times["numpy"] / times["core"], 4)
    times = medians_us({"core": small.by_core(), "C": small.by_c(), "numpy": small.by_numpy()}, 2000)
    title(f"batch deltas, {SMALL} rows a call")
    for name, note in (("core", ""), ("C", "by ctypes"), ("numpy", "")):
        row(name, f"{times[name]:.2f} us", note)
