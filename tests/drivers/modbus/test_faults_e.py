"""Exceptions: every code is told as it is, costs nobody else anything, and never the connection."""

import asyncio

import pytest

from drivers.modbus.outcome import OutcomeKind
from tests.drivers.modbus import faults
from tests.drivers.modbus.fault_bus import bus, now_s
from tests.drivers.modbus.fault_rules import always
from tests.drivers.modbus.fault_wire import RtuWire, TcpWire

OK, EXCEPTION = OutcomeKind.OK, OutcomeKind.EXCEPTION
WIRES = pytest.mark.parametrize("wire", [TcpWire(), RtuWire()], ids=["tcp", "rtu"])


@WIRES
@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 7, 8, 0x0A, 0x0B, 0x80, 0xFF])
def test_e_a_refusal_tells_its_code_and_keeps_the_connection(run_virtual, wire, code):
    async def main():
        async with bus(wire, always(faults.Refusal(code))) as site:
            for address in range(5):
                outcome = await site.read(address=address)
                assert (outcome.kind, outcome.code) == (EXCEPTION, code)
            assert len(site.transport.opened_at_s) == 1

    run_virtual(main())


@WIRES
def test_e_a_refusal_of_one_block_leaves_the_others(run_virtual, wire):
    async def main():
        async with bus(wire, lambda ask: [faults.Refusal(2)] if ask.address == 5 else ()) as site:
            for _ in range(3):
                kinds = [(await site.read(address=address, count=1 + address)).kind for address in (4, 5, 6)]
                assert kinds == [OK, EXCEPTION, OK]

    run_virtual(main())


@WIRES
def test_e_6_a_busy_storm_at_the_start_is_waited_out(run_virtual, wire):
    async def main():
        async with bus(wire, lambda ask: [faults.Refusal(6)] if ask.at_s < 1001.0 else ()) as site:
            assert (await site.read()).kind is OK
            assert site.server.asks <= 6

    run_virtual(main())


@WIRES
def test_e_6_for_ever_is_told_after_a_few_tries(run_virtual, wire):
    async def main():
        async with bus(wire, always(faults.Refusal(6))) as site:
            begin_s = now_s()
            outcome = await site.read()
            assert (outcome.kind, outcome.code) == (EXCEPTION, 6)
            assert site.server.asks <= 6
            assert now_s() - begin_s < 6

    run_virtual(main())


def test_e_5_an_accepted_write_is_not_repeated(run_virtual):
    async def main():
        async with bus(TcpWire(), always(faults.Refusal(5))) as site:
            outcome = await site.link.write(1, 6, 0x1000, [1])
            assert (outcome.kind, outcome.code, site.server.asks) == (EXCEPTION, 5, 1)

    run_virtual(main())


@WIRES
@pytest.mark.parametrize("code", [0x0A, 0x0B])
def test_e_a_gateway_without_its_units_keeps_its_connection(run_virtual, wire, code):
    async def main():
        async with bus(wire, always(faults.Refusal(code))) as site:
            for turn in range(30):
                await site.read(unit=1 + turn % 3)
            assert len(site.transport.opened_at_s) == 1

    run_virtual(main())


def test_e_4_all_night_is_no_reason_to_reconnect(run_virtual):
    async def main():
        async with bus(TcpWire(), lambda ask: [faults.Refusal(4)] if ask.at_s < 37_000 else ()) as site:
            while now_s() < 37_000:
                assert (await site.read()).code == 4
                await asyncio.sleep(10)
            assert (await site.read()).kind is OK
            assert len(site.transport.opened_at_s) == 1

    run_virtual(main())
