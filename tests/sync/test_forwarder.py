"""The forwarder against a receiver in memory, over a way that fails as it is told, in virtual time."""

import asyncio
from collections import Counter
from random import Random

import pytest

from sync.errors import BadAnswer, Forked, Gap, OutboxFailed, Refused, Rejected, Unreachable
from sync.forwarder import Forwarder
from sync.transports.memory import MemoryTransport
from tests.sync.conftest import MemoryOutbox
from tests.sync.way import HOUR_S, ScriptedWay, produced, received, run_for

# the good way


def test_everything_arrives_urgent_stream_first(outbox, run):
    outbox.fill("ledger", 300)
    outbox.fill("events", 3)
    way = ScriptedWay()
    state = run(way)
    assert received(way) == produced(outbox)
    assert received(way, "events") == produced(outbox, "events")
    assert [stream for stream, _, _ in way.sent] == ["events"] + ["ledger"] * (len(way.sent) - 1)
    assert state == {
        "reachable": True,
        "last_error": None,
        "last_ack_ms": 1_700_000_000_000,
        "streams": {
            "events": {"acked_through": 3, "trouble": None},
            "ledger": {"acked_through": 300, "trouble": None},
        },
        "forked": False,
        "backoff_s": 0.0,
        "budget": {"limit_bytes": None, "spent_bytes": way.wire_bytes},
        "live": {"shown": 0, "dropped": 0},
    }
    assert sorted(way.asked) == ["events", "ledger"], "each stream begins by asking where the receiver stands"


def test_an_event_overtakes_a_backlog(outbox, run):
    outbox.fill("ledger", 300)
    way = ScriptedWay(lambda _batch: outbox.fill("events", 1))
    run(way)
    assert [stream for stream, _, _ in way.sent[:3]] == ["ledger", "events", "ledger"]


def test_before_the_first_attempt_nothing_is_claimed(outbox, run):
    state = run(ScriptedWay())
    assert state["reachable"] is None
    assert state["last_ack_ms"] is None
    assert state["streams"]["ledger"] == {"acked_through": 0, "trouble": None}


def test_idle_means_asleep_until_woken(outbox, virtual):
    way = ScriptedWay()

    async def main():
        sender = Forwarder(outbox, way, random=Random(1))

        def commit():
            outbox.fill("ledger", 1)
            sender.wake()

        await run_for(sender, 10 * HOUR_S, (5 * HOUR_S, commit), (6 * HOUR_S, commit))

    virtual(main())
    assert way.attempts == [5 * HOUR_S, 6 * HOUR_S]


# trouble with one stream


def test_a_gap_rewinds_and_everything_is_sent_again(outbox, run):
    outbox.fill("ledger", 300)
    outbox.marks["ledger"] = 200
    way = ScriptedWay()
    state = run(way)
    assert outbox.calls[0] == ("rewind", "ledger", 0)
    assert received(way) == produced(outbox)
    assert state["last_error"] is None
    assert state["streams"]["ledger"] == {"acked_through": 300, "trouble": None}


def test_a_receiver_that_keeps_forgetting_is_no_hot_loop(outbox, run):
    outbox.fill("ledger", 100)
    way = ScriptedWay(always=lambda batch: Gap(1) if batch.first_seq > 1 else None)
    state = run(way, 24 * HOUR_S, max_batch_bytes=1000)
    assert len(way.attempts) < 4000
    assert "wants it from 1" in state["streams"]["ledger"]["trouble"]


def test_a_gap_after_a_good_time_is_mended_at_once_again(outbox, virtual):
    outbox.fill("ledger", 2)
    outbox.marks["ledger"] = 1
    way = ScriptedWay(*[Gap(1)] * 10)

    async def main():
        sender = Forwarder(outbox, way, random=Random(1))

        def forget():
            way.receiver = MemoryTransport()
            outbox.fill("ledger", 1)
            sender.wake()

        await run_for(sender, 2 * HOUR_S, (HOUR_S, forget))

    virtual(main())
    assert 30 < way.attempts[10] < HOUR_S
    assert HOUR_S < way.attempts[-1] <= HOUR_S + 1
    assert received(way) == produced(outbox)


def test_a_fork_stops_its_stream_and_only_that(outbox, run):
    outbox.fill("ledger", 10)
    outbox.fill("events", 10)
    way = ScriptedWay(always=lambda batch: Forked("other content") if batch.stream == "ledger" else None)
    state = run(way, 24 * HOUR_S)
    assert [stream for stream, _, _ in way.sent] == ["events", "ledger"]
    assert state["reachable"] is True
    assert state["streams"]["ledger"]["trouble"] == "stream ledger is stopped: other content"
    assert state["last_error"] == state["streams"]["ledger"]["trouble"]
    assert state["streams"]["events"] == {"acked_through": 10, "trouble": None}


def test_an_outbox_whose_own_chain_is_broken_sends_nothing(outbox, run):
    outbox.fill("ledger", 10)
    outbox.hashes["ledger"][10] = bytes(32)
    way = ScriptedWay()
    state = run(way)
    assert way.attempts == []
    assert "own chain is broken between records 1 and 10" in state["last_error"]


# where the receiver stands


def test_a_receiver_that_holds_more_is_believed_when_the_chain_agrees(outbox, run, virtual):
    outbox.fill("ledger", 20)
    way = ScriptedWay()
    virtual(way.receiver.send(virtual(outbox.pending("ledger", 1 << 20)).head(15)))
    state = run(way)
    assert ("settle", "ledger", 15) in outbox.calls
    assert way.sent == [("ledger", 16, 20)]
    assert state["streams"]["ledger"]["acked_through"] == 20


def test_a_receiver_that_stands_inside_what_was_evicted_gets_the_tombstone(outbox, run, virtual, monkeypatch):
    outbox.fill("ledger", 20)
    way = ScriptedWay()
    virtual(way.receiver.send(virtual(outbox.pending("ledger", 1 << 20)).head(15)))

    async def unknown(*_args):
        return None

    monkeypatch.setattr(outbox, "hash_after", unknown)
    run(way)
    assert way.sent == [("ledger", 1, 20)], "from our own mark on: the receiver sorts out what it has"
    assert received(way) == produced(outbox)


def test_a_receiver_that_holds_other_content_stops_the_stream_before_anything_is_sent(outbox, run, virtual):
    outbox.fill("ledger", 20)
    other = MemoryOutbox()
    other.append("ledger", b'{"kind":"test"}')
    way = ScriptedWay()
    virtual(way.receiver.send(virtual(other.pending("ledger", 1 << 20))))
    state = run(way)
    assert way.sent == []
    assert state["forked"] is True
    assert "holds other content at or before record 1" in state["last_error"]


# flush


def test_flush_drains_without_run(outbox, virtual):
    outbox.fill("ledger", 300)
    way = ScriptedWay()

    async def main():
        return await Forwarder(outbox, way, random=Random(1), max_batch_bytes=1000).flush()

    assert virtual(main()) is True
    assert received(way) == produced(outbox)


def test_flush_does_not_wait_for_the_pause_and_ends_it_for_run(outbox, virtual):
    outbox.fill("ledger", 10)
    way = ScriptedWay(Refused("401"), Refused("401"))

    async def main():
        sender = Forwarder(outbox, way, random=Random(1))
        task = asyncio.create_task(sender.run())
        await asyncio.sleep(0)
        await asyncio.sleep(1)
        first = await sender.flush()
        second = await sender.flush()
        outbox.fill("ledger", 1)
        sender.wake()
        await asyncio.sleep(1)
        task.cancel()
        return first, second

    assert virtual(main()) == (False, True)
    assert way.attempts[:3] == [0, 1, 1]
    assert set(way.attempts[2:]) == {1}
    assert received(way) == produced(outbox)


def test_a_flush_that_fails_shortens_the_pause_of_run_to_its_own(outbox, virtual):
    outbox.fill("ledger", 1)
    way = ScriptedWay(BadAnswer("429", retry_after_s=3000), Unreachable("gone"))

    async def main():
        sender = Forwarder(outbox, way, random=Random(1))
        task = asyncio.create_task(sender.run())
        await asyncio.sleep(100)
        assert await sender.flush() is False
        await asyncio.sleep(15)
        task.cancel()

    virtual(main())
    assert received(way) == produced(outbox)


@pytest.mark.parametrize("faults", [[Forked("other")] * 2, [Rejected("422")] * 3])
def test_flush_tries_a_stopped_stream_once_more(outbox, virtual, faults):
    outbox.fill("ledger", 1)
    way = ScriptedWay(*faults)

    async def main():
        sender = Forwarder(outbox, way, random=Random(1))
        return [await sender.flush() for _ in range(3)]

    assert virtual(main()) == [False, False, True]
    assert len(way.attempts) == len(faults) + 1


def test_flush_and_run_together_send_nothing_twice(outbox, virtual):
    outbox.fill("ledger", 300)
    way = ScriptedWay()

    async def main():
        sender = Forwarder(outbox, way, random=Random(1), max_batch_bytes=500)
        task = asyncio.create_task(sender.run())
        drained = await asyncio.gather(*(sender.flush() for _ in range(5)))
        task.cancel()
        return drained

    assert virtual(main()) == [True] * 5
    assert received(way) == produced(outbox)
    assert max(Counter(way.sent).values()) == 1


# restart


def test_promise_5_a_restart_resends_at_most_what_was_in_flight(outbox, virtual):
    """Cancelled at every await of a delivery and started again: each batch is sent twice at the most."""
    outbox.fill("ledger", 60)

    class SlowWay(ScriptedWay):
        async def send(self, batch):
            await asyncio.sleep(1)
            ack = await super().send(batch)
            await asyncio.sleep(1)
            return ack

    async def main(moment):
        way = SlowWay()
        for stop_after in (moment, 100):
            await run_for(Forwarder(outbox, way, random=Random(1), max_batch_bytes=500), stop_after)
        return way

    for moment in (0.5, 1.5, 2.5, 3.5, 4.5):
        outbox.marks["ledger"] = 0
        way = virtual(main(moment))
        assert received(way) == produced(outbox)
        twice = [batch for batch, count in Counter(way.sent).items() if count > 1]
        assert len(twice) <= 1


def test_errors_of_the_outbox_pass_through(outbox, virtual):
    async def broken(*_):
        raise OSError("disk")

    outbox.pending = broken
    with pytest.raises(OSError, match="disk"):
        virtual(Forwarder(outbox, ScriptedWay(), random=Random(1)).run())


# a place of records that fails


@pytest.mark.parametrize("method", ["pending", "settle", "mark"])
def test_a_failing_outbox_pauses_everything_and_loses_nothing(outbox, run, monkeypatch, method):
    """A full disk refuses the mark's move; the forwarder waits, says so, and goes on when the disk does."""
    outbox.fill("ledger", 40)
    works, failures = getattr(outbox, method), []

    async def failing(*args):
        if len(failures) < 5:
            failures.append(asyncio.get_running_loop().time())
            raise OutboxFailed("the disk is full")
        return await works(*args)

    monkeypatch.setattr(outbox, method, failing)
    way = ScriptedWay()
    state = run(way)
    assert received(way) == produced(outbox)
    assert (len(failures), state["last_error"]) == (5, None)
    assert failures[-1] - failures[0] > 1, "it does not run hot"


def test_a_failing_outbox_says_nothing_about_the_receiver(outbox, run, monkeypatch):
    outbox.fill("ledger", 4)

    async def failing(*args):
        raise OutboxFailed("record 3 of stream ledger is missing")

    monkeypatch.setattr(outbox, "pending", failing)
    state = run(ScriptedWay())
    assert (state["reachable"], state["last_error"]) == (None, "record 3 of stream ledger is missing")
