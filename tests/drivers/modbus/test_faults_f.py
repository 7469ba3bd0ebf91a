"""Sleep and control, as far as the link is concerned: nights without answers, and writes.

F2 and G are the device's and the meter's: tests/drivers/test_device.py, tests/gateway/carbon/.
"""

import asyncio

import pytest

from drivers.modbus.outcome import OutcomeKind
from tests.drivers.modbus import faults
from tests.drivers.modbus.fault_bus import bus, now_s
from tests.drivers.modbus.fault_rules import script, sleeps
from tests.drivers.modbus.fault_wire import RtuWire, TcpWire

OK, TIMEOUT = OutcomeKind.OK, OutcomeKind.TIMEOUT
WIRES = pytest.mark.parametrize("wire", [TcpWire(), RtuWire()], ids=["tcp", "rtu"])
EVENING_S, MORNING_S = 1_010, 37_000


async def read_through_the_night():
    async with bus(TcpWire(), sleeps(EVENING_S, MORNING_S)) as site:
        while now_s() < MORNING_S:
            await site.read(timeout_s=1.0)
            await asyncio.sleep(10)
        await asyncio.sleep(70)
        assert (await site.read()).kind is OK
        assert len(site.transport.opened_at_s) < (MORNING_S - EVENING_S) / 30


def test_f1_a_night_of_silence_ends_in_the_morning(run_virtual):
    """Ten hours without an answer from the only unit: the connection is tried now and then."""
    run_virtual(read_through_the_night())


def test_f1_a_night_of_silence_is_no_flood(run_virtual, caplog):
    run_virtual(read_through_the_night())
    assert len(caplog.records) < 20


@WIRES
def test_h3_a_write_without_an_answer_is_not_repeated(run_virtual, wire):
    async def main():
        async with bus(wire, script([faults.Lost()])) as site:
            outcome = await site.link.write(1, 6, 0x1000, [1], timeout_s=0.2)
            assert outcome.kind is TIMEOUT
            await asyncio.sleep(5)
            assert site.server.asks == 1

    run_virtual(main())


@WIRES
def test_h5_several_registers_go_in_one_frame(run_virtual, wire):
    async def main():
        async with bus(wire) as site:
            assert (await site.link.write(1, 16, 0x1000, [3, 1, 2])).kind is OK
            assert list(site.server.writes) == [(1, 0x1000, (3, 1, 2))]

    run_virtual(main())
