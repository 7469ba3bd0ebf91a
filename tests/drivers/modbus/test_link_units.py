"""What the link does for each unit: turns, deadlines, patience, and what exceptions mean, in virtual time."""

import asyncio
import itertools
import random

import pytest

from drivers.modbus.calls import Priority
from drivers.modbus.outcome import OutcomeKind
from tests.drivers.modbus.answers import after, now, rtu_answer, rtu_link, silence, tcp_answer, tcp_link, words_of

OK, TIMEOUT = OutcomeKind.OK, OutcomeKind.TIMEOUT


class TestQueue:
    def test_units_of_one_priority_take_turns(self, fake_transport, run_virtual):
        transport = fake_transport(after(0.1, tcp_answer))

        async def main():
            async with tcp_link(transport) as link:
                greedy = [link.read(1, 3, n, 1, timeout_s=1) for n in range(4)]
                modest = [link.read(unit, 3, 9, 1, timeout_s=1) for unit in (2, 3)]
                await asyncio.gather(*greedy, *modest)

        run_virtual(main())
        assert [frame[6] for frame in transport.sent] == [1, 2, 3, 1, 1, 1]

    def test_a_scan_waits_for_everything_else(self, fake_transport, run_virtual):
        transport = fake_transport(after(0.1, tcp_answer))

        async def main():
            async with tcp_link(transport) as link:
                calls = [
                    link.read(n, 3, n, 1, timeout_s=1, priority=priority)
                    for n, priority in enumerate([Priority.FAST, Priority.SCAN, Priority.SLOW, Priority.FAST])
                ]
                await asyncio.gather(*calls)

        run_virtual(main())
        assert [frame[6] for frame in transport.sent] == [0, 3, 2, 1]

    def test_what_waits_already_is_not_asked_twice(self, fake_transport, run_virtual):
        transport = fake_transport(after(0.1, tcp_answer))

        async def main():
            async with tcp_link(transport) as link:
                first, second, third = [link.read(1, 3, n, 1, timeout_s=1) for n in (0, 7, 7)]
                waiting = [asyncio.create_task(call) for call in (first, second)]
                await asyncio.sleep(0.01)
                waiting.append(asyncio.create_task(third))
                await asyncio.sleep(0.01)
                waiting[1].cancel()  # one of two callers leaves: the other is served all the same
                assert (await waiting[2]).data == words_of(7, 1)

        run_virtual(main())
        assert [frame[9] for frame in transport.sent] == [0, 7]

    def test_two_equal_writes_are_two_writes(self, fake_transport, run_virtual):
        transport = fake_transport(lambda frame: [(0.1, frame)])

        async def main():
            async with tcp_link(transport) as link:
                await asyncio.gather(*[link.write(1, 6, 8, [1]) for _ in range(3)])

        run_virtual(main())
        assert len(transport.sent) == 3

    def test_a_call_whose_time_passed_does_not_go_on_the_wire(self, fake_transport, run_virtual):
        transport = fake_transport(silence)

        async def main():
            async with tcp_link(transport) as link:
                read = asyncio.create_task(link.read(1, 3, 0, 1, timeout_s=1))
                await asyncio.sleep(0)
                begin = now()
                outcome = await link.write(1, 6, 8, [1], within_s=0.4)
                assert outcome.kind is OutcomeKind.UNSENT
                assert now() - begin == pytest.approx(1)  # it is told when the line is free
                assert (await read).kind is TIMEOUT
            assert len(transport.sent) == 1
            assert link.stats.counts[OutcomeKind.UNSENT] == 1

        run_virtual(main())

    def test_a_call_that_may_not_go_yet_ends_at_its_deadline(self, fake_transport, run_virtual):
        transport = fake_transport(after(0.01, tcp_answer))

        async def main():
            async with tcp_link(transport, connect_delay_s=2) as link:
                begin = now()
                assert (await link.read(1, 3, 0, 1, timeout_s=1, within_s=0.5)).kind is OutcomeKind.UNSENT
                assert now() - begin == pytest.approx(0.5)

        run_virtual(main())


class TestPatience:
    def test_a_quick_unit_that_falls_silent_costs_little_and_then_gets_its_whole_time(
        self, fake_transport, run_virtual
    ):
        transport = fake_transport(after(0.02, tcp_answer))
        waits = []

        async def main():
            async with tcp_link(transport) as link:
                for _ in range(300):
                    await link.read(1, 3, 0, 1, timeout_s=1)
                transport.answer = silence
                await link.read(2, 3, 0, 1, timeout_s=1)
                for _ in range(5):
                    begin = now()
                    assert (await link.read(1, 3, 0, 1, timeout_s=1)).kind is TIMEOUT
                    waits.append(now() - begin)

        transport.reopening_helps = False
        run_virtual(main())
        assert waits == pytest.approx([0.15, 1, 1, 1, 1])

    @pytest.mark.parametrize("seed", range(5))
    def test_the_wait_is_three_times_the_99th_percentile_or_more(self, fake_transport, run_virtual, seed):
        chance = random.Random(seed)
        trips = []

        def answer(frame):
            trips.append(chance.lognormvariate(-2.5, 0.4))
            return [(trips[-1], tcp_answer(frame))]

        transport = fake_transport(answer)

        async def main():
            async with tcp_link(transport) as link:
                for _ in range(500):
                    await link.read(1, 3, 0, 1, timeout_s=5)
                transport.answer = silence
                begin = now()
                await link.read(1, 3, 0, 1, timeout_s=5)
                return now() - begin

        wait_s = run_virtual(main())
        p99_s = sorted(trips)[495]
        assert 1.5 * p99_s <= wait_s <= 6 * p99_s

    def test_a_block_that_takes_longer_than_the_others_is_not_lost(self, fake_transport, run_virtual):
        transport = fake_transport(lambda frame: [(0.8 if frame[9] == 5 else 0.02, tcp_answer(frame))])

        async def main():
            kinds = []
            async with tcp_link(transport) as link:
                for poll in range(400):
                    await link.read(1, 3, 0, 1, timeout_s=1)
                    if poll >= 200:
                        kinds.append((await link.read(1, 3, 5, 1, timeout_s=1)).kind)
            return kinds

        kinds = run_virtual(main())
        assert kinds[0] is TIMEOUT
        assert kinds[1:] == [OK] * len(kinds[1:])

    def test_a_late_answer_counts_from_the_whole_time_out(self, fake_transport, run_virtual):
        """Short patience must not make the time short in which an old answer is expected."""
        transport = fake_transport(after(0.02, rtu_answer), reopening_helps=False)

        async def main():
            async with rtu_link(transport, late_s=0.5) as link:
                for _ in range(300):
                    await link.read(1, 3, 3, 1, timeout_s=1)
                transport.answer = lambda frame: [(1.45, rtu_answer(frame))]
                assert (await link.read(1, 3, 5, 1, timeout_s=1)).kind is TIMEOUT
                sent = transport.sent_at[-1]
                transport.answer = after(0.02, rtu_answer)
                assert (await link.read(1, 3, 7, 1, timeout_s=1)).data == words_of(7, 1)
                assert transport.sent_at[-1] - sent == pytest.approx(1.5)

        run_virtual(main())


class TestExceptions:
    @staticmethod
    def refusal(frame, code):
        return frame[:4] + bytes([0, 3, frame[6], frame[7] | 0x80, code])

    def test_a_busy_unit_is_asked_again_and_others_meanwhile(self, fake_transport, run_virtual):
        transport = fake_transport(silence)
        asked = iter(range(9))

        def answer(frame):
            busy = frame[6] == 1 and next(asked) < 3
            return [(0.01, self.refusal(frame, 6) if busy else tcp_answer(frame))]

        transport.answer = answer

        async def main():
            async with tcp_link(transport) as link:
                busy = asyncio.create_task(link.read(1, 3, 0, 1, timeout_s=1))
                await asyncio.sleep(0.03)
                assert (await link.read(2, 3, 0, 1, timeout_s=1)).kind is OK
                assert not busy.done()
                assert (await busy).kind is OK

        run_virtual(main())
        at = [at for at, frame in zip(transport.sent_at, transport.sent, strict=True) if frame[6] == 1]
        assert [b - a for a, b in itertools.pairwise(at)] == pytest.approx([0.11, 0.21, 0.41])

    def test_after_five_repetitions_busy_is_the_answer(self, fake_transport, run_virtual):
        transport = fake_transport(lambda frame: [(0.01, self.refusal(frame, 6))])

        async def main():
            async with tcp_link(transport) as link:
                outcome = await link.read(1, 3, 0, 1, timeout_s=1)
                assert (outcome.kind, outcome.code) == (OutcomeKind.EXCEPTION, 6)

        run_virtual(main())
        assert len(transport.sent) == 6

    def test_what_was_taken_and_is_being_done_is_not_sent_again(self, fake_transport, run_virtual):
        transport = fake_transport(lambda frame: [(0.01, self.refusal(frame, 5))])

        async def main():
            async with tcp_link(transport) as link:
                assert (await link.write(1, 6, 0, [1])).code == 5

        run_virtual(main())
        assert len(transport.sent) == 1

    @pytest.mark.parametrize("code", [0x0A, 0x0B])
    def test_a_silent_unit_behind_a_gateway_does_not_cost_the_connection(self, fake_transport, run_virtual, code):
        transport = fake_transport(lambda frame: [(0.01, self.refusal(frame, code))])

        async def main():
            async with tcp_link(transport, late_s=0) as link:
                for _ in range(10):
                    outcome = await link.read(1, 3, 0, 1, timeout_s=1)
                    assert (outcome.kind, outcome.code) == (OutcomeKind.EXCEPTION, code)
                assert link.stats.round_trip_ms is None  # that is the gateway's

        run_virtual(main())
        assert len(transport.opened_at) == 1

    def test_after_it_the_units_late_answer_is_not_taken_for_another(self, fake_transport, run_virtual):
        """A gateway that passes on whatever comes from its line, under the number of the newest request."""
        queued = []

        def answer(frame):
            if frame[9] == 0:
                queued.append(words_of(0, 1))
                return [(0.3, self.refusal(frame, 0x0B))]
            if queued and now() < 1001.2:
                words = queued.pop()
                return [(0.01, frame[:4] + bytes([0, 5, frame[6], 3, 2]) + words)]
            return [(0.01, tcp_answer(frame))]

        transport = fake_transport(answer)

        async def main():
            async with tcp_link(transport) as link:
                await link.read(1, 3, 0, 1, timeout_s=1)
                other = await link.read(1, 3, 7, 2, timeout_s=1)  # another shape: the late one is seen through
                assert other.kind is OutcomeKind.CORRUPT
                assert (await link.read(1, 3, 7, 1, timeout_s=1)).data == words_of(7, 1)
                assert transport.sent_at[-1] - transport.sent_at[0] == pytest.approx(2)

        run_virtual(main())
