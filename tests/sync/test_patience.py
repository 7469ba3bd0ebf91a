"""Failures of the way: nothing lost, nothing hot, back soon; in virtual time."""

import asyncio
from random import Random

import pytest

from sync import forwarder
from sync.backoff import Pace
from sync.errors import BadAnswer, Forked, Gap, Refused, Rejected, Shut, Unreachable
from sync.forwarder import Forwarder
from tests.sync.conftest import MemoryOutbox
from tests.sync.way import HOUR_S, Duplicated, LostReply, ScriptedWay, produced, received, run_for


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
