"""Setting records aside in a real store, delivered to our own receiver with rows that it rejects."""

from pathlib import Path
from random import Random

import pytest

from gateway.store import outbox, set_aside
from gateway.store.database import Store
from gateway.store.delivery import StoreOutbox
from sync.admission import admit
from sync.central.store import CentralStore
from sync.errors import Rejected
from sync.forwarder import Forwarder
from sync.messages import GENESIS, Ack, Batch
from sync.set_aside import QUARANTINED, SPLIT
from sync.transports.memory import MemoryTransport
from sync.wire import decode_block, encode_batch, encode_block

REGISTERS = [["m", "import", "import", "mWh"], ["pv", "yield", "generation", "mWh"]]


def intervals(start_ms: int, energies: list[int]) -> bytes:
    rows = range(len(energies))
    return encode_block(
        "intervals",
        {"registers": REGISTERS, "bounds": [], "gaps": []},
        {
            "r": [row % 2 for row in rows],
            "epoch": [1 for _ in rows],
            "t0": [start_ms + row * 1000 for row in rows],
            "t1": [start_ms + row * 1000 + 1000 for row in rows],
            "energy_mWh": energies,
            "raw_begin": [None for _ in rows],
            "raw_end": [None for _ in rows],
            "class": [0 for _ in rows],
            "flags": [0 for _ in rows],
            "kind": [0 for _ in rows],
        },
    )


def entries(seq: int, energies: list[int]) -> bytes:
    meta = {
        "registers": REGISTERS,
        "lenses": ["location"],
        "accounts": ["inventory"],
        "methods": ["m"],
        "factors": [],
        "intervals_seq": seq,
    }
    zeros = [0 for _ in energies]
    return encode_block(
        "entries",
        meta,
        {
            "i": list(range(len(energies))),
            "lens": zeros,
            "account": zeros,
            "method": zeros,
            "factor": [None for _ in energies],
            "emitted_ng": [energy * 2**50 for energy in energies],
            "baseline_ng": [None for _ in energies],
            "class": zeros,
            "flags": zeros,
        },
    )


class Picky(MemoryTransport):
    """Our receiver's store, which also rejects each batch with an interval of one of these energies."""

    def __init__(self, store: CentralStore, bad: set[int]) -> None:
        super().__init__()
        self._store, self._bad = store, bad

    async def send(self, batch: Batch) -> Ack:
        for record in batch.records:
            if record.tombstone is None and record.stream == "ledger":
                energies = decode_block(record.body).columns.get("energy_mWh", [])
                if self._bad & set(energies):
                    raise Rejected("no such energy (422)")
        return Ack(acked_through=await self._store.take(batch.gateway, batch.stream, encode_batch(batch)))


async def test_promise_10_produced_is_received_and_quarantined_to_the_unit(tmp_path: Path) -> None:
    rng = Random(10)
    energies = rng.sample(range(1, 10**6), 8 * 30)
    bad = set(rng.sample(energies, 4))
    async with (
        Store.open(tmp_path / "data") as store,
        CentralStore.open(tmp_path / "central.db") as central,
    ):
        for k in range(8):
            part = energies[30 * k : 30 * k + 30]
            seq = await store.run(outbox.append, "ledger", "intervals", 0, 1, intervals(k * 60_000, part))
            await store.run(outbox.append, "ledger", "entries", 0, 1, entries(seq, part))
        sender = Forwarder(StoreOutbox(store, "gw"), Picky(central, bad), random=Random(1))
        assert await sender.flush() is True
        totals = await central.totals("gw")
        kept = await store.read(set_aside.quarantine)
        alarms = (await store.read(outbox.head, "events")).seq
        stones = [
            decode_block(bytes(body)).meta
            for (body,) in await store.read(
                lambda conn: [tuple(row) for row in _tombstones(conn, "gw")]  # as they were sent
            )
        ]
    received_mWh = sum(int(total["energy_mWh"]) for total in totals)
    received_ng = sum(int(total["emitted_ng"]) for total in totals)
    gone = [found for stone in stones if stone["reason"] == QUARANTINED for found in stone["sums"]]
    gone_mWh = sum(found["energy_mWh"] for found in gone if not found["lens"])
    assert sum(energies) == received_mWh + gone_mWh
    assert sum(energies) * 2**50 == received_ng + sum(int(found["emitted_ng"]) for found in gone)
    assert sum(total["rows"] for total in totals) == len(energies) - len(bad)
    assert gone_mWh == sum(bad) == sum(found["energy_mWh"] for found in gone if found["lens"])
    assert kept.records == 2 * len(bad), "each bad interval, and the entry that stands on it"
    assert {one.kind for one in kept.newest} == {"remainder"}
    assert alarms == kept.records
    assert {stone["reason"] for stone in stones} == {QUARANTINED, SPLIT}


def _tombstones(conn, gateway):
    rows = conn.execute("SELECT stream, seq FROM set_aside WHERE stream = 'ledger'").fetchall()
    for stream, seq in rows:
        kind, body, after = conn.execute(
            "SELECT kind, body, hash FROM record WHERE stream = ? AND seq = ?", (stream, seq)
        ).fetchone()
        before = outbox.hash_after(conn, stream, seq - 1)
        record = set_aside.Record(stream=stream, seq=seq, kind=kind, body=body)
        yield from ((sent.body,) for sent in set_aside.as_sent(conn, stream, before, [(record, after)]))


async def test_the_chain_goes_on_over_what_was_set_aside(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        for _ in range(3):
            await store.run(outbox.append, "ledger", "foreign", 0, 1, b'{"kind":"foreign"}')
        sender = StoreOutbox(store, "gw")
        assert await sender.set_aside("ledger", 2, "why not")
        batch = await sender.pending("ledger", 10**6)
        assert batch is not None
        assert [record.kind for record in batch.records] == ["foreign", "tombstone", "foreign"]
        new = admit(batch, acked_through=0, hash_at={0: GENESIS}.get)
        assert [record.seq for record, _ in new] == [1, 2, 3]
        meta = decode_block(batch.records[1].body).meta
        assert (meta["reason"], meta["detail"], meta["sums"]) == (QUARANTINED, "why not", [])


async def test_too_many_in_a_day_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_aside, "MOST_A_DAY", 2)
    async with Store.open(tmp_path) as store:
        for _ in range(3):
            await store.run(outbox.append, "ledger", "foreign", 0, 1, b'{"kind":"foreign"}')
        put = set_aside.put
        assert [await store.run(put, "ledger", seq, "no", 1000) for seq in (1, 2, 3)] == [True, True, False]
        assert await store.run(put, "ledger", 3, "no", 1000 + 86_400_000)
        assert (await store.read(set_aside.quarantine)).records == 3
