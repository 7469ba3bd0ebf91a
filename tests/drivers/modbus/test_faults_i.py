"""Resources: nothing grows over a day of faults."""

import gc
import logging

import pytest

from tests.drivers.modbus.fault_memory import MemoryTransport
from tests.drivers.modbus.test_truth import KINDS, server_of
from tests.drivers.modbus.truth_run import make_link, poll_all
from tests.scale import scaled

HOUR = 6_500  # exchanges of four units that are polled every 10 s


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tcp", "rtu", "tcp without numbers"])
def test_i_memory_is_flat_over_a_day_of_faults(run_virtual, caplog, kind):
    """Objects alive after an hour, and after the rest of the day. A tally of everything said would not be flat."""
    caplog.set_level(logging.CRITICAL, logger="huxi.drivers")

    async def main():
        server = server_of(*KINDS[kind], seed=11)
        async with make_link(MemoryTransport(server), server.wire) as link:
            alive = []
            for hours in (1, 1, scaled(4, 22)):
                await poll_all(link, server, seed=hours, exchanges=hours * HOUR, period_s=10.0)
                server.writes.clear()
                gc.collect()
                alive.append(len(gc.get_objects()))
            return alive

    _, early, late = run_virtual(main())
    assert late - early < 200


def test_i_the_count_can_fail():
    gc.collect()
    before = len(gc.get_objects())
    kept = [{"reply": [index]} for index in range(200)]
    assert len(gc.get_objects()) - before >= len(kept)
