"""Identity: answers of other units, and units behind gateways."""

import pytest

from drivers.modbus.outcome import OutcomeKind
from tests.drivers.modbus import faults
from tests.drivers.modbus.fault_bus import bus, now_s
from tests.drivers.modbus.fault_rules import always, script
from tests.drivers.modbus.fault_wire import RtuWire, TcpWire

OK, EXCEPTION, CORRUPT, DESYNC = OutcomeKind.OK, OutcomeKind.EXCEPTION, OutcomeKind.CORRUPT, OutcomeKind.DESYNC
WIRES = pytest.mark.parametrize("wire", [TcpWire(), RtuWire()], ids=["tcp", "rtu"])


@WIRES
@pytest.mark.parametrize("unit", [0, 1, 255])
def test_b1_an_answer_of_another_unit_is_never_taken(run_virtual, wire, unit):
    async def main():
        async with bus(wire, script([faults.OtherUnit(unit)])) as site:
            assert (await site.read(3, timeout_s=0.1)).kind is DESYNC
            assert (await site.read(3)).kind is OK

    run_virtual(main())


def test_b1_two_units_on_one_id_collide(run_virtual):
    """Both drive the line at once: what arrives is no frame, and nothing is taken from it."""

    async def main():
        async with bus(RtuWire(), always(faults.Damaged(0x1234), faults.Duplicated(0.001))) as site:
            for address in range(5):
                assert (await site.read(address=address)).kind is CORRUPT

    run_virtual(main())


@WIRES
@pytest.mark.parametrize("unit", [0x81, 0x51])
def test_b2_a_device_that_answers_under_another_id_by_design_is_out_of_step(run_virtual, wire, unit):
    async def main():
        async with bus(wire, always(faults.OtherUnit(unit))) as site:
            outcome = await site.read(timeout_s=0.1)
            assert outcome.kind is DESYNC
            assert f"{unit:02x}" in outcome.detail or str(unit) in outcome.detail

    run_virtual(main())


def test_b3_after_0x0b_a_gateway_may_give_the_silent_units_answer_to_the_next_request(run_virtual):
    """It labels the late answer with the number of the next request: only its shape could betray it."""
    stale = b"\x03\x04" + b"\xde\xad\xbe\xef"

    def gateway(ask):
        if ask.order == 0:
            return [faults.Refusal(0x0B)]
        return [faults.Instead(stale)] if ask.at_s < 1000.9 and (ask.unit, ask.count) == (3, 2) else ()

    async def main():
        async with bus(TcpWire(), gateway) as site:
            assert (await site.read(3, address=0, count=2)).kind is EXCEPTION
            begin_s = now_s()
            assert (await site.read(4, address=0, count=2)).kind is OK
            assert now_s() - begin_s < 0.1, "another unit does not wait"
            assert (await site.read(3, address=10, count=2)).kind is OK

    run_virtual(main())


def test_b4_unit_0_is_never_written(run_virtual):
    async def main():
        async with bus(RtuWire()) as site:
            with pytest.raises(ValueError, match="unit 0"):
                await site.link.write(0, 6, 0x1000, [1])
            assert site.server.asks == 0

    run_virtual(main())
