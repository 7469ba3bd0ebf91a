"""The forwarder against a receiver in memory, over a way that fails as it is told, in virtual time."""

import asyncio
from collections import Counter
from contextlib import suppress
from random import Random

import pytest

from sync import forwarder
from sync.backoff import Pace
from sync.errors import BadAnswer, Forked, Gap, OutboxFailed, Refused, Rejected, Shut, Unreachable
from sync.forwarder import Forwarder
from sync.messages import Ack
from sync.set_aside import halves
from sync.transports.memory import MemoryTransport
from sync.wire import decode_block, encode_block
from tests.sync.conftest import MemoryOutbox

HOUR_S = 3600.0


class LostReply(Unreachable):
    """The batch arrives, its answer does not."""


class Duplicated(Exception):
    """The network delivers the batch twice; the first answer is lost."""


class ScriptedWay:
    """A MemoryTransport behind faults: one item of `faults` is spent on each attempt, then `always` holds."""

    def __init__(self, *faults, always=None):
        self.receiver = MemoryTransport()
        self.faults = list(faults)
        self.always = always
        self.attempts = []
        self.sent = []
        self.asked = []
        self.knocks = []
        self.wire_bytes = 0

    async def position(self, gateway, stream):
        if isinstance(self.always, Unreachable | Refused):
            self.attempts.append(asyncio.get_running_loop().time())
            raise self.always
        self.asked.append(stream)
        return await self.receiver.position(gateway, stream)

    async def show(self, gateway, live):
        await self.receiver.show(gateway, live)

    async def knock(self):
        self.knocks.append(asyncio.get_running_loop().time())
        return not isinstance(self.always, Shut)

    async def send(self, batch):
        self.wire_bytes += sum(len(record.body) for record in batch.records)
        self.attempts.append(asyncio.get_running_loop().time())
        self.sent.append((batch.stream, batch.first_seq, batch.last_seq))
        fault = self.faults.pop(0) if self.faults else self.always
        if callable(fault):
            fault = fault(batch)
        if isinstance(fault, LostReply | Duplicated):
            await self.receiver.send(batch)
        if isinstance(fault, Ack):
            return fault
        if fault is not None and not isinstance(fault, Duplicated):
            raise fault
        return await self.receiver.send(batch)

    async def aclose(self):
        pass


def received(way, stream="ledger"):
    """Bodies the receiver holds, checked: numbers from 1 on without hole or double."""
    records = next((held for (_, _, name), held in way.receiver.received.items() if name == stream), [])
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    return [record.body for record in records]


def held(way, stream="ledger"):
    """Records the receiver holds."""
    return next((held for (_, _, name), held in way.receiver.received.items() if name == stream), [])


def rejecting(is_bad):
    """A receiver that rejects each batch with a record of which `is_bad` is true, and no tombstone."""

    def judge(batch):
        bad = any(record.tombstone is None and is_bad(record) for record in batch.records)
        return Rejected("no such thing (422)") if bad else None

    return judge


def rows_of(record):
    return [] if record.tombstone else decode_block(record.body).columns.get("n", [])


def final_rows(record):
    """Rows of a record that cannot be divided any more."""
    return rows_of(record) if halves(record.seq, record.body) is None else []


def produced(outbox, stream="ledger"):
    return [record.body for record in outbox.records[stream]]


async def run_for(sender, seconds, *then):
    """Runs the forwarder for `seconds`, and calls `then` (second, function) on the way."""
    task = asyncio.create_task(sender.run())
    start = asyncio.get_running_loop().time()
    for at, action in then:
        await asyncio.sleep(start + at - asyncio.get_running_loop().time())
        action()
    await asyncio.sleep(start + seconds - asyncio.get_running_loop().time())
    state = sender.state()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return state


@pytest.fixture
def run(outbox, virtual):
    """run(way, seconds, *then): the state after so many virtual seconds."""

    def go(way, seconds=HOUR_S, *then, max_batch_bytes=4096, seed=1):
        async def main():
            sender = Forwarder(
                outbox,
                way,
                random=Random(seed),
                max_batch_bytes=max_batch_bytes,
                now_ms=lambda: 1_700_000_000_000,
            )
            return await run_for(sender, seconds, *then)

        return virtual(main())

    return go


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


# faults of the way


@pytest.mark.parametrize("fault", [Unreachable("gone"), LostReply("cut"), Duplicated(), BadAnswer("500")])
def test_no_loss_and_no_double_when_every_second_attempt_fails(outbox, run, fault):
    outbox.fill("ledger", 300)
    way = ScriptedWay(*[fault, None] * 20)
    state = run(way, max_batch_bytes=1000)
    assert received(way) == produced(outbox)
    assert state["streams"]["ledger"]["acked_through"] == 300


@pytest.mark.parametrize("fault", [Unreachable("x"), BadAnswer("x"), Refused("x"), Rejected("x"), Gap(1), Forked("x")])
def test_nothing_is_settled_on_failure(outbox, run, fault):
    outbox.fill("ledger", 50)
    way = ScriptedWay(always=fault)
    state = run(way)
    assert outbox.marks["ledger"] == 0
    assert not [call for call in outbox.calls if call[0] == "settle"]
    assert state["last_ack_ms"] is None
    assert "x" in state["last_error"] or "wants it from 1" in state["last_error"]


def test_back_within_fifteen_seconds_of_a_receiver_that_returns(outbox, run):
    outbox.fill("ledger", 5)
    for seed in range(20):
        outbox.marks["ledger"] = 0
        way = ScriptedWay(always=Shut("gone"))
        run(way, 4000, (3600, lambda way=way: setattr(way, "always", None)), seed=seed)
        assert received(way) == produced(outbox)
        assert 3600 < way.attempts[-1] <= 3612


def test_an_open_door_with_nobody_behind_it_ends_no_pause(outbox, run):
    """A proxy that takes connections for a dead receiver, or a receiver that stalls."""
    outbox.fill("ledger", 5)
    way = ScriptedWay(always=Unreachable("no answer within 20 s"))
    run(way, 24 * HOUR_S)
    assert len(way.knocks) > 1000
    assert len(way.attempts) <= 24 * 60


@pytest.mark.parametrize(
    ("fault", "most_a_minute"),
    [
        (Shut("gone"), 1),
        (Unreachable("stalls"), 1),
        (BadAnswer("503"), 1),
        (BadAnswer("500"), 1),
        (BadAnswer("429"), 1),
        (Refused("401"), 0.3),
    ],
)
def test_promise_11_no_hot_loop_in_a_day_of_failure(outbox, run, fault, most_a_minute):
    outbox.fill("ledger", 5)
    way = ScriptedWay(always=fault)
    state = run(way, 24 * HOUR_S)
    assert 50 < len(way.attempts) <= most_a_minute * 24 * 60
    assert state["reachable"] is isinstance(fault, Refused)
    assert state["last_error"] == str(fault)
    assert way.wire_bytes == 0, "a receiver that answers nothing is asked, not fed"


def test_promise_11_a_day_of_failed_batches_costs_one_record_a_time(outbox, run):
    """The receiver says where it stands and fails to store: each attempt carries one record, not a batch."""
    outbox.fill("ledger", 300)
    way = ScriptedWay(always=lambda _batch: BadAnswer("500"))
    run(way, 24 * HOUR_S)
    assert 500 < len(way.attempts) <= 24 * 60
    assert {(first, last) for _, first, last in way.sent[1:]} == {(1, 1)}


def test_control_11_a_shorter_pause_breaks_the_promise(outbox, run, monkeypatch):
    monkeypatch.setattr(forwarder, "AWAY", Pace(base_s=1, cap_s=10))
    outbox.fill("ledger", 5)
    way = ScriptedWay(always=BadAnswer("500"))
    run(way, 24 * HOUR_S)
    assert len(way.attempts) > 24 * 60


@pytest.mark.slow
def test_promise_11_a_thousand_gateways_do_not_return_at_once(virtual):
    """The first attempt of each after a common outage, spread over the window between two knocks."""
    outboxes = [MemoryOutbox() for _ in range(1000)]
    ways = [ScriptedWay(always=Shut("gone")) for _ in outboxes]

    async def main():
        tasks = []
        for seed, (outbox, way) in enumerate(zip(outboxes, ways, strict=True)):
            outbox.fill("ledger", 3)
            tasks.append(asyncio.create_task(Forwarder(outbox, way, random=Random(seed)).run()))
        await asyncio.sleep(600)
        for way in ways:
            way.always = None
        await asyncio.sleep(60)
        for task in tasks:
            task.cancel()

    virtual(main())
    first = sorted(min(at for at in way.attempts if at > 600) - 600 for way in ways)
    assert first[-1] <= 12
    assert first[-1] - first[0] >= 0.8 * 10
    assert max(len([at for at in first if second <= at < second + 1]) for second in range(12)) < 250
    payload = sum(len(body) for outbox in outboxes for body in produced(outbox))
    assert sum(way.wire_bytes for way in ways) <= 1.05 * payload


def test_waking_does_not_shorten_a_pause(outbox, virtual):
    outbox.fill("ledger", 1)
    way = ScriptedWay(always=Refused("401"))

    async def main():
        sender = Forwarder(outbox, way, random=Random(1))
        return await run_for(sender, HOUR_S, *[(second, sender.wake) for second in range(3600)])

    virtual(main())
    assert len(way.attempts) < 30


def test_retry_after_is_honoured(outbox, run):
    outbox.fill("ledger", 1)
    way = ScriptedWay(BadAnswer("429", retry_after_s=120))
    state = run(way)
    assert len(way.attempts) == 2
    assert 120 <= way.attempts[1] <= 121
    assert state["last_error"] is None


def test_the_state_tells_of_the_pause(outbox, run):
    outbox.fill("ledger", 1)
    state = run(ScriptedWay(always=Unreachable("gone", retry_after_s=100)), 30)
    assert state["reachable"] is False
    assert 70 <= state["backoff_s"] <= 71


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


@pytest.mark.parametrize("poison", [1, 2, 150, 299, 300])
def test_a_rejected_record_is_found_by_halving_and_set_aside(outbox, run, poison):
    outbox.fill("ledger", 300)
    outbox.fill("events", 2)
    way = ScriptedWay(always=rejecting(lambda record: record.stream == "ledger" and record.seq == poison))
    state = run(way, 600, max_batch_bytes=1 << 20)
    held = received(way)
    assert len(held) == 300
    assert [body for body in held if body not in produced(outbox)] == [held[poison - 1]]
    assert decode_block(held[poison - 1]).meta["reason"] == "quarantined"
    assert outbox.aside == {("ledger", poison): "no such thing (422)"}
    assert state["last_error"] is None
    assert len(way.attempts) < 40


def test_promise_10_poison_rows_are_set_aside_and_nothing_else(outbox, run):
    """Blocks of 16 rows, a receiver that rejects whatever holds a chosen row: each other row arrives once."""
    rng = Random(10)
    poison = set(rng.sample(range(40 * 16), 5))
    for block in range(40):
        n = [block * 16 + row for row in range(16)]
        outbox.append("ledger", encode_block("test", {"block": block}, {"n": n}), "test")
    outbox.fill("events", 1)
    way = ScriptedWay(always=rejecting(lambda record: poison & set(rows_of(record))))
    state = run(way, 600)
    arrived = [n for record in held(way) for n in rows_of(record)]
    aside = [n for stream, seq in outbox.aside for n in final_rows(outbox.records[stream][seq - 1])]
    assert sorted(aside) == sorted(poison)
    assert sorted(arrived + aside) == list(range(40 * 16)), "produced = received + quarantined"
    assert outbox.marks["ledger"] == len(outbox.records["ledger"])
    assert state["last_error"] is None
    assert len(way.attempts) < 200


def test_promise_10_a_tombstone_that_is_rejected_holds_the_stream(outbox, run):
    """The control: a receiver that takes nothing at all fills no quarantine."""
    outbox.fill("ledger", 100)
    way = ScriptedWay(always=Rejected("400"))
    state = run(way, 24 * HOUR_S)
    assert len(outbox.aside) == 1
    assert "stream ledger is held: the receiver rejects record 1 (kind tombstone" in state["last_error"]
    way.always = None
    run(way, 600)
    assert len(received(way)) == 100


def test_a_receiver_that_rejects_too_much_holds_the_stream(outbox, run, monkeypatch):
    async def enough(*_args):
        return False

    monkeypatch.setattr(outbox, "set_aside", enough)
    outbox.fill("ledger", 100)
    way = ScriptedWay(always=lambda batch: Rejected("422") if batch.last_seq >= 60 > batch.first_seq - 1 else None)
    state = run(way, 24 * HOUR_S, (12 * HOUR_S, lambda: setattr(way, "always", None)))
    assert received(way) == produced(outbox)
    assert state["streams"]["ledger"] == {"acked_through": 100, "trouble": None}
    assert len(way.attempts) < 100


def test_a_day_of_rejection_is_no_hot_loop(outbox, run):
    outbox.fill("ledger", 300)
    way = ScriptedWay(always=Rejected("400"))
    run(way, 24 * HOUR_S, max_batch_bytes=1 << 20)
    assert len(way.attempts) < 100


def test_an_outbox_whose_own_chain_is_broken_sends_nothing(outbox, run):
    outbox.fill("ledger", 10)
    outbox.hashes["ledger"][10] = bytes(32)
    way = ScriptedWay()
    state = run(way)
    assert way.attempts == []
    assert "own chain is broken between records 1 and 10" in state["last_error"]


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
