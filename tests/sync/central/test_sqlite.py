"""What only the embedded file has: one user, a disk that fills, versions."""

import sqlite3
from contextlib import closing

import pytest

from sync.central.errors import CentralError
from sync.central.store import CentralStore
from sync.set_aside import halves
from sync.wire import encode_batch, encode_block
from tests.sync.central.conftest import REGISTERS
from tests.sync.central.test_aside import Ledger, missing

BATCHES = "/v1/gateways/qiyang-01/streams/ledger/batches"
WIDE = 2**53 + 1


@pytest.fixture
def where(tmp_path):
    return str(tmp_path / "central.db")


async def test_a_full_disk_is_503_and_nothing_is_claimed(client, held, ledger, make_batch):
    path = BATCHES.removesuffix("/batches")
    await client.post(BATCHES, content=encode_batch(ledger))
    ((pages,),) = await held("PRAGMA page_count")
    await held(f"PRAGMA max_page_count = {pages}")
    more = make_batch([*(r.body for r in ledger.records), *[b'{"kind":"big","x":"%s"}' % (b"x" * 100_000)] * 3])
    response = await client.post(BATCHES, content=encode_batch(more))
    assert (response.status_code, response.json()["error"]) == (503, "unavailable")
    assert "full" in response.json()["detail"]
    assert (await client.get(path)).json()["acked_through"] == 4
    await held("PRAGMA max_page_count = 100000")
    assert (await client.post(BATCHES, content=encode_batch(more))).json() == {"acked_through": 7}


async def test_what_was_acknowledged_is_in_the_file(client, ledger, tmp_path):
    await client.post(BATCHES, content=encode_batch(ledger))
    copy = tmp_path / "copy.db"  # the file as a crash would leave it: database and WAL, nothing closed
    copy.write_bytes((tmp_path / "central.db").read_bytes())
    (tmp_path / "copy.db-wal").write_bytes((tmp_path / "central.db-wal").read_bytes())
    with sqlite3.connect(copy) as conn:
        assert conn.execute("SELECT seq FROM record").fetchall() == [(1,), (2,), (3,), (4,)]
        assert conn.execute("SELECT energy_mWh, raw_begin, raw_end FROM interval WHERE seq = 3").fetchall() == [
            (2**53 - 1, str(WIDE), str(2**64 - 1)),
            (None, str(WIDE), str(2**64 - 1)),
        ]
    conn.close()


async def test_a_file_of_an_earlier_version_gets_its_rows_anew(client, held, ledger, tmp_path, caplog):
    """As an earlier receiver left it: rows in another form, and some kinds kept as bytes only."""
    await client.post(BATCHES, content=encode_batch(ledger))
    await held(f"VACUUM INTO '{tmp_path / 'old.db'}'")
    with closing(sqlite3.connect(tmp_path / "old.db")) as conn:
        conn.executescript(
            "DROP TABLE entry; DROP TABLE restatement; DROP TABLE line; DROP TABLE refusal;"
            "DROP TABLE tombstone; DROP TABLE tombstone_sum; DROP TABLE coverage;"
            "DROP TABLE interval; CREATE TABLE interval (epoch_id, seq, row);"
            "CREATE TABLE entry (epoch_id, seq, row); ALTER TABLE record DROP COLUMN received_ms;"
            "INSERT INTO record SELECT epoch_id, stream, 6, kind, x'7b7d', hash FROM record WHERE seq = 3;"
            "PRAGMA user_version = 2;"
        )
    for _ in range(2):
        async with CentralStore.open(tmp_path / "old.db") as later:
            assert [row["energy_mWh"] for row in await later.totals("qiyang-01")] == ["7", str(1000 + 2**53 - 1)]
            assert [row["baseline_ng"] for row in await later.totals("qiyang-01")] == [None, str(WIDE + 2**63)]
    (record,) = caplog.records
    assert "held_record_unreadable gateway=qiyang-01 text=record 6: " in record.message


async def test_an_update_tells_the_same_of_what_never_came_and_of_who_is_behind(
    client, store, tmp_path, make_batch, bodies
):
    """Tombstones, what is taken off them, remainders and coverage, as they were told before."""
    intervals, entries = bodies
    rows = intervals(0, (0, 1000), (1, 20))
    behind = encode_block(
        "coverage", {"registers": REGISTERS, "at_ms": 9}, {"r": [0], "since_ms": [None], "state": [3]}
    )
    ledger = Ledger(make_batch, rows, *halves(1, rows), behind, intervals(300_000, (0, 7)), entries(5, (0, 0, 5, 9)))
    sums = [missing(rows=2, energy_mWh=1007, emitted_ng="5", baseline_ng="9")]
    for content in (
        ledger.batch(1, 5, gone=(1, 1), reason="split"),
        ledger.batch(5, 6, gone=(5, 6), sums=sums),
    ):
        assert (await client.post(BATCHES, content=content)).status_code == 200
    asked = (store.totals, store.tombstones, store.coverage)
    before = [await ask("qiyang-01") for ask in asked]
    await store._run(lambda db: db.execute(f"VACUUM INTO '{tmp_path / 'old.db'}'"))
    with closing(sqlite3.connect(tmp_path / "old.db")) as conn:
        conn.executescript("DELETE FROM tombstone; DELETE FROM coverage; PRAGMA user_version = 4;")
    async with CentralStore.open(tmp_path / "old.db") as later:
        assert [await ask("qiyang-01") for ask in (later.totals, later.tombstones, later.coverage)] == before
    assert len(before[1]["tombstones"]) == 2
    assert [(row["device"], row["state"]) for row in before[2]] == [("pv", "asleep")]


async def test_a_file_of_a_later_version_is_refused(tmp_path):
    with closing(sqlite3.connect(tmp_path / "new.db")) as conn:
        conn.executescript("CREATE TABLE t (a); PRAGMA user_version = 6;")
    with pytest.raises(CentralError, match=r"new.db: the file is not a huxi receiver of version 5 \(it says 6\)"):
        async with CentralStore.open(tmp_path / "new.db"):
            pass
