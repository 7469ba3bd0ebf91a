"""The link in virtual time: what is on the wire, when, and what becomes of each call."""

import asyncio
import random

import pytest

from drivers.modbus.calls import Priority
from drivers.modbus.framing import TcpFraming
from drivers.modbus.link import Link
from drivers.modbus.outcome import LinkProtocol, OutcomeKind
from drivers.modbus.pdu import rtu_frame
from tests.drivers.modbus.answers import after, now, rtu_answer, rtu_link, silence, tcp_answer, tcp_link, words_of

OK, TIMEOUT, LINK_DOWN = OutcomeKind.OK, OutcomeKind.TIMEOUT, OutcomeKind.LINK_DOWN


async def test_a_link_is_what_devices_expect(fake_transport):
    link: LinkProtocol = tcp_link(fake_transport(silence))
    assert (await link.read(1, 3, 0, 1, timeout_s=1)).kind is LINK_DOWN  # not entered


def test_a_read_brings_the_register_bytes(fake_transport, run_virtual):
    transport = fake_transport(after(0.02, tcp_answer))

    async def main():
        async with tcp_link(transport) as link:
            outcome = await link.read(7, 3, 100, 2, timeout_s=1)
            assert (outcome.kind, outcome.data) == (OK, bytes.fromhex("1064 1065"))
            assert transport.sent == [bytes.fromhex("9E3B 0000 0006 07 03 0064 0002")]
            assert link.stats.round_trip_ms == pytest.approx(20)
            assert (link.stats.ok, link.stats.failed, link.stats.connected) == (1, 0, True)

    run_virtual(main())


def test_a_write_is_echoed(fake_transport, run_virtual):
    transport = fake_transport(lambda frame: [(0.01, frame)])

    async def main():
        async with tcp_link(transport) as link:
            assert (await link.write(7, 6, 100, [5])).kind is OK
            assert transport.sent == [bytes.fromhex("9E3B 0000 0006 07 06 0064 0005")]

    run_virtual(main())


def test_one_exchange_at_a_time(fake_transport, run_virtual):
    transport = fake_transport(after(0.1, tcp_answer))

    async def main():
        async with tcp_link(transport) as link:
            await asyncio.gather(*[link.read(1, 3, n, 1, timeout_s=1) for n in range(3)])
            assert [at - transport.sent_at[0] for at in transport.sent_at] == pytest.approx([0, 0.1, 0.2])

    run_virtual(main())


def test_a_setpoint_overtakes_the_polls(fake_transport, run_virtual):
    def answer(frame):
        return [(0.1, frame if frame[7] == 6 else tcp_answer(frame))]

    transport = fake_transport(answer)

    async def main():
        async with tcp_link(transport) as link, asyncio.TaskGroup() as tasks:
            for address in (1, 2, 3):
                tasks.create_task(link.read(1, 3, address, 1, timeout_s=1))
            await asyncio.sleep(0.05)
            tasks.create_task(link.read(1, 3, 9, 1, timeout_s=1, priority=Priority.READ_BACK))
            tasks.create_task(link.write(1, 6, 8, [1]))

    run_virtual(main())
    assert [int.from_bytes(frame[8:10], "big") for frame in transport.sent] == [1, 8, 9, 2, 3]


def test_a_caller_that_leaves_does_not_disturb_the_exchange(fake_transport, run_virtual):
    transport = fake_transport(after(0.1, rtu_answer))

    async def main():
        async with rtu_link(transport) as link:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await link.read(1, 3, 5, 1, timeout_s=1)
            outcome = await link.read(1, 3, 6, 1, timeout_s=1)
            assert outcome.data == words_of(6, 1)
            assert transport.sent_at[1] - transport.sent_at[0] == pytest.approx(0.1)

    run_virtual(main())


def test_a_call_is_not_sent_when_its_caller_left_before(fake_transport, run_virtual):
    transport = fake_transport(after(0.1, tcp_answer))

    async def main():
        async with tcp_link(transport) as link:
            first = asyncio.create_task(link.read(1, 3, 1, 1, timeout_s=1))
            second = asyncio.create_task(link.read(1, 3, 2, 1, timeout_s=1))
            await asyncio.sleep(0.05)
            second.cancel()
            await first
            await link.read(1, 3, 3, 1, timeout_s=1)
            assert [frame[9] for frame in transport.sent] == [1, 3]

    run_virtual(main())


class TestPacing:
    def test_after_connecting_the_device_gets_its_time(self, fake_transport, run_virtual):
        transport = fake_transport(after(0, tcp_answer))

        async def main():
            async with tcp_link(transport, connect_delay_s=1.5) as link:
                assert (await link.read(1, 3, 0, 1, timeout_s=1)).kind is OK
                assert transport.sent_at[0] - transport.opened_at[0] == pytest.approx(1.5)

        run_virtual(main())

    def test_a_gap_between_answer_and_next_request(self, fake_transport, run_virtual):
        transport = fake_transport(after(0.1, tcp_answer))

        async def main():
            async with tcp_link(transport, gap_s=0.05) as link:
                for _ in range(3):
                    await link.read(1, 3, 0, 1, timeout_s=1)
            assert [at - transport.sent_at[0] for at in transport.sent_at] == pytest.approx([0, 0.15, 0.3])

        run_virtual(main())

    def test_a_slow_unit_is_overtaken_by_the_others(self, fake_transport, run_virtual):
        transport = fake_transport(after(0.1, tcp_answer))

        async def main():
            async with tcp_link(transport, unit_gap_s={1: 0.5}) as link:
                await asyncio.gather(
                    *[link.read(unit, 3, unit + 2 * n, 1, timeout_s=1) for n, unit in enumerate((1, 1, 2, 2))]
                )
            assert [frame[6] for frame in transport.sent] == [1, 2, 2, 1]
            assert transport.sent_at[3] - transport.sent_at[0] == pytest.approx(0.6)

        run_virtual(main())


class TestLateAnswersWithoutNumbers:
    def test_the_line_is_drained_until_quiet(self, fake_transport, run_virtual):
        answers = iter([[(1.02, b"\x01\x03"), (1.06, b"\x02\x10")], [(0.01, rtu_frame(1, b"\x04\x02\x10\x07"))]])
        transport = fake_transport(lambda frame: next(answers))

        async def main():
            async with rtu_link(transport) as link:
                assert (await link.read(1, 3, 0, 1, timeout_s=1)).kind is TIMEOUT
                assert (await link.read(1, 4, 7, 1, timeout_s=1)).data == words_of(7, 1)
                assert transport.sent_at[1] - transport.sent_at[0] == pytest.approx(1.06 + 0.05)

        run_virtual(main())

    def test_draining_has_an_end(self, fake_transport, run_virtual):
        babble = [(1 + n / 100, b"\x00") for n in range(1000)]
        transport = fake_transport(lambda frame: babble if frame[1] == 3 else after(0.01, rtu_answer)(frame))

        async def main():
            async with rtu_link(transport, drain_max_s=0.3) as link:
                await link.read(1, 3, 0, 1, timeout_s=1)
                assert (await link.read(1, 4, 7, 1, timeout_s=1)).data == words_of(7, 1)
                assert transport.sent_at[1] - transport.sent_at[0] == pytest.approx(1.3)

        run_virtual(main())

    def test_the_same_shape_waits_and_others_go_first(self, fake_transport, run_virtual):
        transport = fake_transport(lambda frame: [] if frame[3] == 0 else after(0.01, rtu_answer)(frame))

        async def main():
            async with rtu_link(transport, late_s=2) as link:
                calls = [
                    link.read(1, 3, 0, 2, timeout_s=1),  # no answer
                    link.read(1, 3, 10, 2, timeout_s=1),  # the same shape
                    link.read(1, 3, 20, 3, timeout_s=1),
                    link.read(2, 3, 30, 2, timeout_s=1),
                ]
                outcomes = await asyncio.gather(*calls)
            assert [outcome.kind for outcome in outcomes] == [TIMEOUT, OK, OK, OK]
            assert [frame[3] for frame in transport.sent] == [0, 30, 20, 10]
            assert transport.sent_at[3] - transport.sent_at[0] == pytest.approx(3)

        run_virtual(main())

    def test_a_refusal_that_may_be_late_is_not_taken_for_the_next_one(self, fake_transport, run_virtual):
        refusal = rtu_frame(1, b"\x83\x02")
        transport = fake_transport(lambda frame: [(1.2, refusal)] if frame[3] == 0 else [])

        async def main():
            async with rtu_link(transport) as link:
                await link.read(1, 3, 0, 1, timeout_s=1)
                outcome = await link.read(1, 3, 50, 2, timeout_s=1)
                assert (outcome.kind, outcome.code) == (OutcomeKind.DESYNC, 0)

        run_virtual(main())

    def test_what_waits_in_a_converter_is_not_taken_after_reconnecting(self, fake_transport, run_virtual):
        transport = fake_transport(silence)

        async def main():
            loop = asyncio.get_running_loop()
            async with rtu_link(transport) as link:
                transport.answer = after(0.01, rtu_answer)
                await link.read(9, 3, 0, 1, timeout_s=1)  # somebody answers, so a drop is mended at once
                transport.answer = silence
                first = asyncio.create_task(link.read(1, 3, 0, 1, timeout_s=1))
                await asyncio.sleep(0.1)
                transport.drop()
                transport.answer = after(0.01, rtu_answer)
                loop.call_later(0.5, transport.push, rtu_answer(bytes.fromhex("01 03 0005 0001")))
                dropped = loop.time()
                assert (await first).data == words_of(0, 1)  # asked once more
                assert transport.sent_at[-1] - dropped == pytest.approx(1.9)

        run_virtual(main())

    @pytest.mark.parametrize("seed", range(20))
    @pytest.mark.parametrize("in_order", [True, False], ids=["queued", "each for itself"])
    def test_no_late_answer_becomes_another_registers_value(self, fake_transport, run_virtual, seed, in_order):
        """A slow device behind a converter: 10 % of the answers come up to `late_s` after their time-out."""
        chance = random.Random(seed)
        free_at = 0.0

        def answer(frame):
            nonlocal free_at
            delay = chance.uniform(0.05, 1.0) if chance.random() < 0.1 else chance.uniform(0.005, 0.04)
            if in_order:  # the converter sends one after the other, as they were asked
                delay = min(max(delay, free_at - now() + 0.001), 1.0)
                free_at = now() + delay
            return [(delay, rtu_answer(frame))]

        transport = fake_transport(answer, reopening_helps=False)

        async def main():
            kinds = []
            async with rtu_link(transport, late_s=1.0) as link:
                for _ in range(150):
                    unit, function = chance.choice([1, 2]), chance.choice([3, 4])
                    address, count = chance.randrange(100), chance.choice([1, 2, 2, 10])
                    outcome = await link.read(unit, function, address, count, timeout_s=0.05)
                    kinds.append(outcome.kind)
                    if outcome.kind is OK:
                        assert outcome.data == words_of(address, count)
            return kinds

        kinds = run_virtual(main())
        assert kinds.count(OK) > 50  # an answer in a converter holds up those behind it
        assert kinds.count(OK) < 150


def test_the_double_of_a_link_without_these_guards_does_mix_registers_up(fake_transport, run_virtual):
    """The control: with no patience for late answers the same device is misread."""
    delays = iter([0.08, 0.04, 0.04])
    transport = fake_transport(lambda frame: [(next(delays), rtu_answer(frame))])

    async def main():
        async with rtu_link(transport, late_s=0, quiet_s=0) as link:
            await link.read(1, 3, 0, 1, timeout_s=0.05)
            assert (await link.read(1, 3, 50, 1, timeout_s=0.05)).data == words_of(0, 1)

    run_virtual(main())


class TestConnection:
    def test_while_it_is_down_callers_do_not_wait(self, fake_transport, run_virtual):
        transport = fake_transport(silence)
        transport.refuse = "tcp://roof:502: refused"

        async def main():
            async with tcp_link(transport) as link:
                begin = now()
                first, second = await asyncio.gather(
                    link.read(1, 3, 0, 1, timeout_s=1), link.read(1, 3, 1, 1, timeout_s=1)
                )
                third = await link.read(1, 3, 2, 1, timeout_s=1)
                assert {first.kind, second.kind, third.kind} == {LINK_DOWN}
                assert third.detail == "tcp://roof:502: refused"
                assert now() == begin
                assert link.stats.last_error == "tcp://roof:502: refused"

        run_virtual(main())

    def test_it_tries_again_after_1_2_4_and_at_most_60_s(self, fake_transport, run_virtual):
        transport = fake_transport(silence)
        transport.refuse = "refused"

        async def main():
            async with tcp_link(transport):
                await asyncio.sleep(300)

        run_virtual(main())
        waits = [b - a for a, b in zip(transport.opened_at, transport.opened_at[1:], strict=False)]
        assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60])

    @pytest.mark.parametrize(("chance", "factor"), [(0.0, 0.8), (0.9999, 1.2)])
    def test_the_waits_vary_by_a_fifth(self, fake_transport, run_virtual, chance, factor):
        transport = fake_transport(silence)
        transport.refuse = "refused"

        async def main():
            async with Link(name="roof", transport=transport, framing=TcpFraming(), random=lambda: chance):
                await asyncio.sleep(5)

        run_virtual(main())
        assert transport.opened_at[1] - transport.opened_at[0] == pytest.approx(factor, rel=1e-3)

    def test_it_comes_back(self, fake_transport, run_virtual):
        transport = fake_transport(after(0.01, tcp_answer))
        transport.refuse = "refused"

        async def main():
            async with tcp_link(transport) as link:
                await asyncio.sleep(0.5)
                transport.refuse = ""
                await asyncio.sleep(1)
                assert (await link.read(1, 3, 0, 1, timeout_s=1)).kind is OK

        run_virtual(main())

    def test_after_a_drop_a_healthy_device_is_asked_again_at_once_but_not_twice(self, fake_transport, run_virtual):
        transport = fake_transport(after(0.1, tcp_answer))

        async def main():
            async with tcp_link(transport) as link:
                await link.read(1, 3, 0, 1, timeout_s=1)
                call = asyncio.create_task(link.read(1, 3, 1, 1, timeout_s=1))
                waiting = asyncio.create_task(link.read(1, 3, 2, 1, timeout_s=1))
                await asyncio.sleep(0.05)
                transport.drop("reset by peer")
                assert (await call).data == words_of(1, 1)
                assert (await waiting).data == words_of(2, 1)
                assert link.stats.connections == 2
                call = asyncio.create_task(link.read(1, 3, 1, 1, timeout_s=1))
                for _ in range(2):
                    await asyncio.sleep(0.05)
                    transport.drop("reset by peer")
                    await asyncio.sleep(0)
                outcome = await call
                assert (outcome.kind, outcome.detail) == (LINK_DOWN, "reset by peer")
                assert len(transport.opened_at) == link.stats.connections == 3

        run_virtual(main())

    def test_a_write_that_lost_its_connection_is_not_sent_again(self, fake_transport, run_virtual):
        transport = fake_transport(after(0.1, tcp_answer))

        async def main():
            async with tcp_link(transport) as link:
                await link.read(1, 3, 0, 1, timeout_s=1)
                call = asyncio.create_task(link.write(1, 6, 1, [7], timeout_s=1))
                await asyncio.sleep(0.05)
                transport.drop("reset by peer")
                assert (await call).kind is LINK_DOWN
                await asyncio.sleep(5)
                assert len(transport.sent) == 2

        run_virtual(main())

    def test_a_device_that_accepts_and_closes_is_not_hammered(self, fake_transport, run_virtual):
        transport = fake_transport(silence)

        async def main():
            loop = asyncio.get_running_loop()
            opening = transport.open

            async def open_and_drop(receive, lost):
                await opening(receive, lost)
                loop.call_soon(transport.drop)

            transport.open = open_and_drop
            async with tcp_link(transport):
                await asyncio.sleep(60)

        run_virtual(main())
        assert len(transport.opened_at) == 6  # at 0, 1, 3, 7, 15 and 31 s

    def test_three_time_outs_of_all_units_open_the_connection_anew(self, fake_transport, run_virtual):
        transport = fake_transport(after(0.01, tcp_answer))

        async def main():
            async with tcp_link(transport) as link:
                await link.read(1, 3, 0, 1, timeout_s=1)
                await link.read(2, 3, 0, 1, timeout_s=1)
                transport.answer = silence
                for _ in range(3):
                    await link.read(1, 3, 0, 1, timeout_s=1)
                assert len(transport.opened_at) == 1  # unit 2 may be well
                await link.read(2, 3, 0, 1, timeout_s=1)
                transport.answer = after(0.01, tcp_answer)
                assert (await link.read(1, 3, 0, 1, timeout_s=1)).kind is OK
                assert len(transport.opened_at) == 2

        run_virtual(main())

    def test_one_dead_unit_does_not(self, fake_transport, run_virtual):
        transport = fake_transport(lambda frame: [] if frame[6] == 1 else [(0.01, tcp_answer(frame))])

        async def main():
            async with tcp_link(transport) as link:
                for _ in range(10):
                    await asyncio.gather(*[link.read(unit, 3, 0, 1, timeout_s=1) for unit in (1, 2)])

        run_virtual(main())
        assert len(transport.opened_at) == 1

    def test_a_silent_serial_line_stays_open(self, fake_transport, run_virtual):
        transport = fake_transport(silence, reopening_helps=False)

        async def main():
            async with rtu_link(transport) as link:
                for _ in range(10):
                    assert (await link.read(1, 3, 0, 1, timeout_s=1)).kind is TIMEOUT

        run_virtual(main())
        assert len(transport.opened_at) == 1

    def test_junk_on_the_connection_opens_it_anew(self, fake_transport, run_virtual):
        transport = fake_transport(after(0.01, tcp_answer))

        async def main():
            async with tcp_link(transport) as link:
                await link.read(1, 3, 0, 1, timeout_s=1)
                transport.answer = lambda frame: [(0.01, b"HTTP/1.1 400 Bad Request")]
                assert (await link.read(1, 3, 0, 1, timeout_s=1)).kind is OutcomeKind.CORRUPT
                transport.answer = after(0.01, tcp_answer)
                assert (await link.read(1, 3, 0, 1, timeout_s=1)).kind is OK
                assert len(transport.opened_at) == 2

        run_virtual(main())

    def test_leaving_the_link_ends_what_is_under_way(self, fake_transport, run_virtual):
        transport = fake_transport(silence)

        async def main():
            async with tcp_link(transport) as link:
                calls = [asyncio.create_task(link.read(1, 3, n, 1, timeout_s=9)) for n in range(2)]
                await asyncio.sleep(0.1)
            for call in calls:
                outcome = await call
                assert (outcome.kind, outcome.detail) == (LINK_DOWN, "the link was closed")
            assert (await link.read(1, 3, 0, 1, timeout_s=1)).kind is LINK_DOWN
            assert not transport.open_now

        run_virtual(main())

    def test_an_error_of_the_caller_passes_through_as_it_is(self, fake_transport, run_virtual):
        async def main():
            with pytest.raises(KeyError):
                async with tcp_link(fake_transport(silence)):
                    raise KeyError

        run_virtual(main())

    def test_a_mistake_in_the_link_itself_does_not_go_unseen(self, fake_transport, run_virtual):
        transport = fake_transport(silence)
        transport.answer = None  # cannot be called

        async def main():
            async with tcp_link(transport) as link:
                await link.read(1, 3, 0, 1, timeout_s=1)
                await asyncio.sleep(60)

        with pytest.raises(ExceptionGroup):
            run_virtual(main())

    def test_a_request_that_cannot_be_sent_is_the_callers_mistake(self, fake_transport, run_virtual):
        async def main():
            async with tcp_link(fake_transport(silence)) as link:
                with pytest.raises(ValueError):
                    await link.read(1, 3, 0, 126, timeout_s=1)

        run_virtual(main())
