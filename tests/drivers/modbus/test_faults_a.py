"""Timing and matching: answers that come late, twice, in pieces, slowly, or not at first."""

import asyncio

import pytest

from drivers.modbus.outcome import OutcomeKind
from tests.drivers.modbus import faults
from tests.drivers.modbus.fault_bus import bus, now_s
from tests.drivers.modbus.fault_rules import always, script, slow, swallows_first
from tests.drivers.modbus.fault_wire import RtuWire, TcpWire, ZeroWire

OK, EXCEPTION, TIMEOUT, DESYNC = OutcomeKind.OK, OutcomeKind.EXCEPTION, OutcomeKind.TIMEOUT, OutcomeKind.DESYNC
WIRES = pytest.mark.parametrize("wire", [TcpWire(), RtuWire()], ids=["tcp", "rtu"])
AFTER_THE_TIME_OUT_MS = range(0, 501, 20)


@pytest.mark.parametrize("wire", [TcpWire(), RtuWire(), ZeroWire()], ids=["tcp", "rtu", "tcp without numbers"])
@pytest.mark.parametrize("answered", ["with data", "with a refusal"])
def test_a1_late_answer_of_the_same_unit_is_never_taken(run_virtual, wire, answered):
    """Late by more and more, and each time the next request has the same unit, function and length."""

    async def main(late_s):
        late = [faults.Late(0.1 + late_s), *([faults.Refusal(2)] if answered == "with a refusal" else [])]
        async with bus(wire, script((), late), turnaround_s=0.005) as site:
            await site.read(count=1)  # a gateway without numbers shows itself
            assert (await site.read(address=0, count=2, timeout_s=0.1)).kind is not OK
            for address in (10, 20):
                assert (await site.read(address=address, count=2, timeout_s=0.1)).kind is OK

    for ms in AFTER_THE_TIME_OUT_MS:
        run_virtual(main(ms / 1000))


@pytest.mark.parametrize("number", [7, 0xFFFF])
def test_a2_an_answer_with_another_number_is_never_taken(run_virtual, number):
    async def main():
        async with bus(TcpWire(), always(faults.OtherNumber(number))) as site:
            for _ in range(3):
                assert (await site.read(timeout_s=0.1)).kind is DESYNC

    run_virtual(main())


def test_a2_a_gateway_that_always_answers_with_number_0_is_read_like_a_serial_line(run_virtual, caplog):
    """What was asked before that was known is waited for; its late answers are never taken."""

    async def main():
        async with bus(ZeroWire(), script([faults.Late(0.3)], *[()] * 3, [faults.Late(0.15)])) as site:
            kinds = [(await site.read(address=address, count=2, timeout_s=0.1)).kind for address in range(8)]
            assert kinds == [TIMEOUT, DESYNC, OK, OK, TIMEOUT, OK, OK, OK]

    run_virtual(main())
    assert [record.message for record in caplog.records if "without transaction ids" in record.message]


def test_a1_answers_later_than_stated_are_waited_for_once_one_was_heard(run_virtual):
    """Three seconds after its time-out, where one was stated: heard on a quiet line, and expected from then on."""

    async def main():
        late = [faults.Late(3.1)]
        async with bus(RtuWire(), script(late, *[late] * 20), late_s=1.0, reopening_helps=False) as site:
            assert (await site.read(address=0, count=2, timeout_s=0.1)).kind is TIMEOUT
            await asyncio.sleep(5)
            assert site.link.stats.latest_ms == pytest.approx(3_000, abs=20)
            for address in range(20):
                outcome = await site.read(address=address, count=2, timeout_s=0.1)  # fails when it is another's value
                assert outcome.kind in (TIMEOUT, DESYNC)
            assert (await site.read(address=30, count=2, timeout_s=0.1)).kind is OK

    run_virtual(main())


def test_a2_a_second_copy_is_passed_over(run_virtual):
    async def main():
        async with bus(TcpWire(), always(faults.Duplicated(0.007)), turnaround_s=0.01) as site:
            for address in range(20):
                assert (await site.read(address=address)).kind is OK

    run_virtual(main())


def test_a2_a_late_answer_in_one_segment_with_the_right_one_is_passed_over(run_virtual):
    async def main():
        async with bus(TcpWire(), script([faults.Lost()], [faults.BehindTheLast()])) as site:
            assert (await site.read(address=0, timeout_s=0.1)).kind is TIMEOUT
            assert (await site.read(address=9)).kind is OK

    run_virtual(main())


@WIRES
def test_a2_an_answer_may_be_split_at_every_byte(run_virtual, wire):
    async def main():
        size = 6 + 3 + 8 if wire.has_header else 5 + 8
        cuts = [[faults.Split((at,), 0.02)] for at in range(1, size)]
        async with bus(wire, script(*cuts, [faults.Split(tuple(range(1, size)), 0.005)])) as site:
            for _ in range(size):
                assert (await site.read(count=4)).kind is OK

    run_virtual(main())


@WIRES
def test_a3_the_answer_to_the_first_try_does_not_answer_the_second(run_virtual, wire):
    """The same is asked again, and both answers come with the second: nothing old is taken, nor left for the third."""

    async def main():
        async with bus(wire, script([faults.Late(0.15)], [faults.Late(0.05)])) as site:
            assert (await site.read(timeout_s=0.1)).kind is TIMEOUT
            assert (await site.read(timeout_s=0.3)).kind is OK
            assert (await site.read(address=9)).kind is OK

    run_virtual(main())


@WIRES
def test_a4_after_a_caller_left_the_next_one_gets_its_own_answer(run_virtual, wire):
    async def main():
        async with bus(wire, always(faults.Late(0.1))) as site:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await site.read(address=0)
            assert (await site.read(address=9)).kind is OK

    run_virtual(main())


def test_a5_slow_registers_are_read_and_the_quick_ones_stay_quick(run_virtual):
    async def main():
        async with bus(RtuWire(), slow([20], 3.0), turnaround_s=0.02) as site:
            slow_ones = []
            for _ in range(20):
                for address in range(4):
                    begin_s = now_s()
                    assert (await site.read(address=address, count=2, timeout_s=5.0)).kind is OK
                    assert now_s() - begin_s < 0.1
                slow_ones.append((await site.read(address=20, count=1, timeout_s=5.0)).kind)
            assert slow_ones[10:] == [OK] * 10

    run_virtual(main())


@WIRES
@pytest.mark.parametrize(("gap_s", "kind"), [(0.005, OK), (0.016, OK), (0.1, OK), (1.1, None)])
def test_a6_gaps_inside_a_frame_are_legal_up_to_the_time_out(run_virtual, wire, gap_s, kind):
    async def main():
        async with bus(wire, script([faults.Split((4,), gap_s)])) as site:
            outcome = await site.read(count=4)
            assert outcome.kind is kind or (kind is None and outcome.kind in (TIMEOUT, OutcomeKind.CORRUPT))
            await asyncio.sleep(1.1)
            assert (await site.read(address=9, count=4)).kind is OK

    run_virtual(main())


@WIRES
def test_a7_a_swallowed_first_request_costs_its_time_and_no_more(run_virtual, wire):
    async def main():
        async with bus(wire, swallows_first(1, after_idle_s=60)) as site:
            for _ in range(2):
                assert (await site.read(timeout_s=0.5)).kind is TIMEOUT
                assert (await site.read(timeout_s=0.5)).kind is OK
                await asyncio.sleep(61)
            assert len(site.transport.opened_at_s) == 1

    run_virtual(main())


def test_a7_a_device_that_needs_time_after_connecting_gets_it(run_virtual):
    async def main():
        def deaf_at_first(ask):
            return [faults.Lost()] if ask.at_s < 1001.5 else ()

        async with bus(TcpWire(), deaf_at_first, connect_delay_s=2.0) as site:
            assert (await site.read()).kind is OK

    run_virtual(main())
