"""Records that the receiver rejects: found, set aside, and everything else goes on; in virtual time."""

from random import Random

import pytest

from sync.errors import Rejected
from sync.wire import decode_block, encode_block
from tests.sync.way import HOUR_S, ScriptedWay, final_rows, held, produced, received, rejecting, rows_of


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
