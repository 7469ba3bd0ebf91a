"""Medians of CPU time, of several ways to do one thing, taken in turns."""

import statistics
import time
from collections.abc import Callable, Mapping

RUNS = 7


def medians_us(works: Mapping[str, Callable[[], object]], count: int = 1) -> dict[str, float]:
    """Microseconds of CPU of one call of each, median of RUNS rounds of `count` calls; a first round is not counted.

    The rounds are interleaved, so that whatever else the machine does meets all of them.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(RUNS + 1):
        for name, work in works.items():
            begin = time.process_time_ns()
            for _ in range(count):
                work()
            times[name].append((time.process_time_ns() - begin) / count / 1000)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}
