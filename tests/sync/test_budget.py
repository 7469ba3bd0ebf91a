"""The byte budget of a day: hard, also over restarts; and the live lane, which goes first when bytes are short."""

import asyncio
from itertools import pairwise
from random import Random

from sync.budget import OVERHEAD_BYTES, Budget
from sync.errors import BadAnswer, Shut
from sync.forwarder import Forwarder
from sync.live_lane import LiveLane
from sync.transports.memory import MemoryTransport
from sync.wire import encode_block

DAY_MS = 86_400_000


class Clock:
    """Wall time beside the loop's virtual one."""

    def __init__(self, begin_ms=10 * DAY_MS):
        self.begin_ms = begin_ms

    def __call__(self):
        return self.begin_ms + int(asyncio.get_running_loop().time() * 1000)


def fat(outbox, count, stream="ledger"):
    """Records of 1000 bytes."""
    for n in range(count):
        outbox.append(stream, encode_block("test", {"n": n, "text": "x" * 940}, {}))


async def run_for(sender, seconds):
    task = asyncio.create_task(sender.run())
    await asyncio.sleep(seconds)
    task.cancel()


def test_promise_12_the_cap_of_a_day_is_never_passed_and_each_day_goes_on(outbox, virtual):
    fat(outbox, 500)
    way = MemoryTransport()
    spent = []

    async def main():
        sender = Forwarder(outbox, way, random=Random(1), bytes_per_day=200_000, now_ms=Clock(), max_batch_bytes=8000)
        task = asyncio.create_task(sender.run())
        await asyncio.sleep(43_200)
        spent.append(way.wire_bytes)
        for _ in range(4):
            await asyncio.sleep(86_400)
            spent.append(way.wire_bytes - sum(spent))
        task.cancel()

    virtual(main())
    assert len(spent) == 5
    assert max(spent) <= 200_000
    assert spent[0] > 150_000, "nor is it much too careful"
    assert sum(spent) == sum(len(record.body) for record in outbox.records["ledger"])


def test_a_restart_does_not_renew_the_budget(outbox, virtual):
    fat(outbox, 500)
    way = MemoryTransport()

    async def main():
        clock = Clock()
        for _ in range(20):
            sender = Forwarder(outbox, way, random=Random(1), bytes_per_day=200_000, now_ms=clock, max_batch_bytes=8000)
            await run_for(sender, 60)

    virtual(main())
    assert 50_000 < way.wire_bytes <= 200_000


def test_alarms_may_use_what_the_ledger_may_not(outbox, virtual):
    fat(outbox, 500)
    way = MemoryTransport()

    async def main():
        sender = Forwarder(outbox, way, random=Random(1), bytes_per_day=400_000, now_ms=Clock(), max_batch_bytes=8000)
        await run_for(sender, 60)
        before = way.wire_bytes
        fat(outbox, 3, "events")
        await run_for(sender, 60)
        return way.wire_bytes - before

    assert virtual(main()) > 2900
    assert outbox.marks["events"] == 3
    assert outbox.marks["ledger"] < 500


async def test_the_reservation_on_disk_is_ahead_of_what_is_spent(outbox):
    budget, way = Budget(10**6, outbox, lambda: 10 * DAY_MS), MemoryTransport()
    assert await budget.room_bytes(1.0) == 10**6 - OVERHEAD_BYTES
    for _ in range(50):
        async with budget.spending(1000, way):
            way.wire_bytes += 1500
        assert outbox.noted[1] >= budget.state()["spent_bytes"]
    assert outbox.noted[0] == "1970-01-11"
    assert await Budget(10**6, outbox, lambda: 11 * DAY_MS).room_bytes(1.0) == 10**6 - OVERHEAD_BYTES


async def test_without_a_limit_nothing_is_noted(outbox):
    budget = Budget(None, outbox, lambda: 0)
    assert await budget.room_bytes(0.5) is None
    async with budget.spending(10**9, MemoryTransport()):
        pass
    assert outbox.noted == ("", 0)


class ShowingTransport(MemoryTransport):
    """Remembers when live values were shown, and between which batches."""

    def __init__(self, failure=None):
        super().__init__()
        self.log = []
        self.failure = failure

    async def send(self, batch):
        self.log.append("batch")
        await asyncio.sleep(3)
        return await super().send(batch)

    async def show(self, gateway, live):
        self.log.append(asyncio.get_running_loop().time())
        if self.failure:
            raise self.failure
        await super().show(gateway, live)


def shown(transport, outbox, virtual, seconds, **more):
    async def main():
        lane = LiveLane(10_000)
        lane.newest = lambda: b'{"live":true}'
        sender = Forwarder(outbox, transport, random=Random(1), live=lane, now_ms=Clock(), max_batch_bytes=1000, **more)
        await run_for(sender, seconds)
        return sender.state()["live"], [at for at in transport.log if at != "batch"]

    return virtual(main())


def test_promise_09_live_values_stay_fresh_while_a_backlog_drains(outbox, virtual):
    fat(outbox, 100)
    transport = ShowingTransport()
    _, times = shown(transport, outbox, virtual, 290)
    assert transport.log[0] == "batch", "never ahead of the ledger"
    waits = sorted(after - before for before, after in pairwise(times))
    assert waits[int(0.95 * len(waits))] <= 20, "p95 within two periods"
    assert "batch" in transport.log[1:4]
    assert outbox.marks["ledger"] > 80, "and the backlog moves"


def test_live_values_go_on_when_nothing_waits(outbox, virtual):
    fat(outbox, 1)
    state, times = shown(ShowingTransport(), outbox, virtual, 100)
    assert state == {"shown": 10, "dropped": 0}
    assert len(times) == 10


def test_a_receiver_without_use_for_live_values_is_left_alone(outbox, virtual):
    fat(outbox, 1)
    state, times = shown(ShowingTransport(BadAnswer("404")), outbox, virtual, 7000)
    assert len(times) == 2
    assert state["shown"] == 0


def test_a_lost_way_is_found_by_live_values_and_not_hammered(outbox, virtual):
    fat(outbox, 1)
    _, times = shown(ShowingTransport(Shut("gone")), outbox, virtual, 3600)
    assert len(times) <= 2, "until the receiver took a batch again there are none"


def test_live_values_are_the_first_to_go(outbox, virtual):
    fat(outbox, 400)
    transport = ShowingTransport()
    state, times = shown(transport, outbox, virtual, 5000, bytes_per_day=300_000)
    assert transport.wire_bytes <= 300_000
    assert state["dropped"] > 0
    assert len(times) < 100
    assert outbox.marks["ledger"] > 200


def test_no_live_values_unless_asked_for(outbox, virtual):
    fat(outbox, 1)

    async def main():
        sender = Forwarder(outbox, MemoryTransport(), random=Random(1), live=LiveLane(), now_ms=Clock())
        await run_for(sender, 100)
        return sender.state()["live"]

    assert virtual(main()) == {"shown": 0, "dropped": 0}


def test_a_gathered_ledger_goes_in_turns_and_alarms_at_once(outbox, virtual):
    transport = MemoryTransport()
    sent = []

    async def main():
        sender = Forwarder(outbox, transport, random=Random(1), ledger_every_s=3600, now_ms=Clock())
        task = asyncio.create_task(sender.run())
        for minute in range(180):
            fat(outbox, 1)
            if minute == 90:
                fat(outbox, 1, "events")
            sender.wake()
            await asyncio.sleep(60)
            sent.append((outbox.marks["ledger"], outbox.marks["events"]))
        state = sender.state()
        assert await sender.flush() is True, "asked for, it goes at once"
        task.cancel()
        return state

    state = virtual(main())
    assert [len([mark for mark, _ in sent if mark == at]) for at in sorted({mark for mark, _ in sent})] == [60, 60, 60]
    assert [events for _, events in sent].index(1) == 90
    assert state["last_error"] is None
    assert outbox.marks["ledger"] == 180
