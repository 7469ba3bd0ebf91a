"""The outbox: chained records, a mark a stream, and what the forwarder may rely on."""

import sqlite3
from pathlib import Path

import pytest

from gateway.store import outbox
from gateway.store.database import Store
from gateway.store.delivery import StoreOutbox
from sync.errors import OutboxFailed
from sync.messages import GENESIS, chain
from sync.outbox import Outbox

BODIES = [b'{"kind":"a","n":%d}' % n for n in range(1, 8)]


def fill(conn: sqlite3.Connection) -> list[int]:
    return [outbox.append(conn, "ledger", "a", 1000 * n, 1000 * n + 999, body) for n, body in enumerate(BODIES, 1)]


async def test_records_are_chained_from_genesis(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        assert await store.run(fill) == [1, 2, 3, 4, 5, 6, 7]
        batch = await StoreOutbox(store, "gw").pending("ledger", 10**6)
        assert batch is not None
        assert (batch.gateway, batch.epoch, batch.stream, batch.first_seq) == ("gw", store.epoch, "ledger", 1)
        assert [record.body for record in batch.records] == BODIES
        expected = GENESIS
        for seq, body in enumerate(BODIES, 1):
            expected = chain(expected, seq, body)
        assert (batch.hash_before, batch.hash_after) == (GENESIS, expected)


async def test_batches_follow_the_mark_and_join(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        await store.run(fill)
        sender: Outbox = StoreOutbox(store, "gw")
        sent: list[bytes] = []
        before = GENESIS
        while (batch := await sender.pending("ledger", 2 * len(BODIES[0]))) is not None:
            assert batch.first_seq == len(sent) + 1
            assert batch.hash_before == before
            assert batch.hashes()[-1] == batch.hash_after
            assert len(batch.records) <= 2
            sent += [record.body for record in batch.records]
            before = batch.hash_after
            await sender.settle("ledger", batch.last_seq)
        assert sent == BODIES
        assert await sender.mark("ledger") == len(BODIES)
        assert await sender.mark("events") == 0


async def test_a_record_larger_than_the_limit_goes_alone(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        await store.run(fill)
        batch = await StoreOutbox(store, "gw").pending("ledger", 1)
        assert batch is not None
        assert [record.seq for record in batch.records] == [1]


async def test_the_mark_survives_and_moves_one_way_each(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        await store.run(fill)
        sender = StoreOutbox(store, "gw")
        await sender.settle("ledger", 5)
        await sender.settle("ledger", 3)
        assert await sender.mark("ledger") == 5
    async with Store.open(tmp_path) as store:
        sender = StoreOutbox(store, "gw")
        assert await sender.mark("ledger") == 5
        await sender.rewind("ledger", 6)
        assert await sender.mark("ledger") == 5
        await sender.rewind("ledger", 2)
        batch = await sender.pending("ledger", 10**6)
        assert batch is not None
        assert batch.first_seq == 3


async def test_a_receiver_that_claims_more_than_there_is(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        await store.run(fill)
        with pytest.raises(OutboxFailed, match="claims record 8 of stream ledger, which ends at 7"):
            await StoreOutbox(store, "gw").settle("ledger", 8)


async def test_a_hole_is_never_sent_over(tmp_path: Path) -> None:
    def lose_third(conn: sqlite3.Connection) -> None:
        conn.execute("DELETE FROM record WHERE seq = 3")

    async with Store.open(tmp_path) as store:
        await store.run(fill)
        await store.run(lose_third)
        sender = StoreOutbox(store, "gw")
        batch = await sender.pending("ledger", 10**6)
        assert batch is not None
        assert [record.seq for record in batch.records] == [1, 2]
        await sender.settle("ledger", 2)
        with pytest.raises(OutboxFailed, match="record 3 of stream ledger is missing"):
            await sender.pending("ledger", 10**6)


async def test_stats(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        empty = await store.read(outbox.stats)
        assert (empty.records, empty.backlog_records, empty.oldest_unsent_ms) == (0, 0, None)
        await store.run(fill)
        await StoreOutbox(store, "gw").settle("ledger", 4)
        stats = await store.read(outbox.stats)
        assert (stats.records, stats.backlog_records, stats.oldest_unsent_ms) == (7, 3, 5000)
        assert stats.bytes >= 4096
