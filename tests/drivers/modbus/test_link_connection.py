"""The connection of a link: lost, refused, idle, silent, and made again."""

import asyncio

import pytest

from drivers.modbus.framing import TcpFraming
from drivers.modbus.link import Link
from drivers.modbus.outcome import OutcomeKind
from tests.drivers.modbus.answers import after, now, rtu_link, silence, tcp_answer, tcp_link, words_of

OK, TIMEOUT, LINK_DOWN = OutcomeKind.OK, OutcomeKind.TIMEOUT, OutcomeKind.LINK_DOWN


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
            async with tcp_link(transport) as link:
                for _ in range(300):
                    assert (await link.read(1, 3, 0, 1, timeout_s=1)).kind is LINK_DOWN
                    await asyncio.sleep(0.2)

        run_virtual(main())
        assert len(transport.opened_at) <= 8  # one before anybody asked, then at 0, 1, 3, 7, 15 and 31 s

    @pytest.mark.parametrize("idle_s", [0.0, 10.0], ids=["at once", "when idle"])
    def test_a_device_that_closes_idle_connections_is_read_whatever_its_period(
        self, fake_transport, run_virtual, idle_s
    ):
        transport = fake_transport(after(0.02, tcp_answer))

        async def main():
            loop = asyncio.get_running_loop()
            opening = transport.open

            async def open_and_close_when_idle(receive, lost):
                await opening(receive, lost)
                asked = len(transport.sent)
                loop.call_later(
                    idle_s, lambda: transport.open_now and len(transport.sent) == asked and transport.drop()
                )

            transport.open = open_and_close_when_idle
            async with tcp_link(transport) as link:
                await asyncio.sleep(5)
                for _ in range(20):
                    assert (await link.read(1, 3, 0, 1, timeout_s=1)).kind is OK
                    loop.call_later(max(idle_s, 1.0), lambda: transport.open_now and transport.drop())
                    await asyncio.sleep(60)
                    assert link.stats.connected
                assert len(transport.opened_at) <= 22

        run_virtual(main())

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
