"""Long batches let other threads run meanwhile; short ones do not wait for them."""

import os
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator

import pytest

from ext.counter_spec import CounterSpec

if os.environ.get("HUXI_PURE_PYTHON") == "1":
    pytest.skip("plain Python never releases the lock by itself", allow_module_level=True)

from ext import _core as core

LONG, SHORT = 1_000_000, 9_000


@pytest.fixture
def ticks() -> Iterator[list[int]]:
    """Counts up whenever another thread gets the lock; nobody is made to hand it over while this runs."""
    interval, counted, done = sys.getswitchinterval(), [0], threading.Event()

    def count() -> None:
        while not done.is_set():
            counted[0] += 1
            time.sleep(0)  # gives the lock back at once

    thread = threading.Thread(target=count)
    thread.start()
    sys.setswitchinterval(1000)
    yield counted
    done.set()
    sys.setswitchinterval(interval)
    thread.join()


def counters(rows: int) -> Callable[[], object]:
    columns = (
        array("i", [0]) * rows,
        array("q", range(rows)),
        array("q", [0]) * rows,
        array("q", range(0, 10 * rows, 10)),
    )
    return lambda: core.CounterTable([CounterSpec(0, 1, 1, 50_000, 60, 1, 0)]).step(*columns)


def powers(rows: int) -> Callable[[], object]:
    columns = array("i", [0]) * rows, array("q", [5000]) * rows, array("q", range(rows))
    return lambda: core.PowerTable([1000]).step(*columns)


def products(name: str) -> Callable[[int], Callable[[], object]]:
    def make(rows: int) -> Callable[[], object]:
        rest = (3,) if name == "multiply" else (array("q", range(rows)), array("q", [0]), array("q", [3]))
        amounts = array("q", range(rows))
        return lambda: getattr(core, name)(amounts, *rest)

    return make


@pytest.mark.parametrize(
    "make",
    [counters, powers, products("multiply"), products("carbon"), products("deltas")],
    ids=["counters", "powers", "multiply", "carbon", "deltas"],
)
def test_other_threads_run_during_a_long_batch_only(ticks, make):
    short, long = make(SHORT), make(LONG)
    before = ticks[0]
    short()
    assert ticks[0] == before
    # Whether the other thread is quick enough to take its chance is the machine's choice: it has several.
    for _ in range(20):
        long()
        if ticks[0] > before:
            return
    pytest.fail("no other thread ever ran")
