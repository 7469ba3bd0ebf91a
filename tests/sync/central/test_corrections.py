"""What takes back what was booked: totals stay right, also in a file that an earlier version began."""

import sqlite3
from contextlib import closing

import pytest

from sync.central.errors import CentralError
from sync.central.store import CentralStore
from sync.wire import decode_block, encode_batch, encode_block

BATCHES = "/v1/gateways/qiyang-01/streams/ledger/batches"
TOTALS = "/v1/gateways/qiyang-01/totals"
WIDE = 2**63


def correction(*rows):
    """Body of an intervals record that takes back and states anew: rows of (kind, energy_mWh)."""
    meta = {
        "registers": [["grid", "import_energy", "import", "mWh"]],
        "reason": "step",
        "run": "step/grid/import_energy/0",
        "reversed": [[row, 0, None] for row, (kind, _) in enumerate(rows) if kind == 1],
    }
    columns = {
        "r": [0] * len(rows),
        "epoch": [1] * len(rows),
        "t0": [0] * len(rows),
        "t1": [300_000] * len(rows),
        "energy_mWh": [energy for _, energy in rows],
        "raw_begin": [1] * len(rows),
        "raw_end": [2] * len(rows),
        "class": [0] * len(rows),
        "flags": [0] * len(rows),
        "kind": [kind for kind, _ in rows],
    }
    return encode_block("intervals", meta, columns)


def restatement(*rows, **other):
    """Body of a restatement record of the grid meter: rows of (lens index, kind, emitted_ng, baseline_ng)."""
    meta = {
        "registers": [["grid", "import_energy", "import", "mWh"]],
        "lenses": ["location", "market"],
        "regions": ["CN-SC", "CN"],
        "accounts": ["inventory"],
        "methods": ["electricity.grid-average/1"],
        "factors": ["cn-grid/CN-SC/2022/location@1", "cn-grid/CN-SC/2023/location@1"],
        "values": [140_400, 156_400],
        "day": "1970-01-01",
    }
    columns = {
        "r": [0] * len(rows),
        "lens": [row[0] for row in rows],
        "account": [0] * len(rows),
        "method": [0] * len(rows),
        "factor": [row[1] - 1 for row in rows],
        "class": [0] * len(rows),
        "flags": [0] * len(rows),
        "t0": [0] * len(rows),
        "t1": [300_000] * len(rows),
        "kind": [row[1] for row in rows],
        "rows": [1] * len(rows),
        "energy_mWh": [7 if row[1] == 2 else -7 for row in rows],
        "emitted_ng": [row[2] for row in rows],
        "baseline_ng": [row[3] for row in rows],
        "hash": ["ab" * 32] * len(rows),
    }
    return encode_block("restatement", meta, columns | other)


async def post(client, batch):
    return await client.post(BATCHES, content=encode_batch(batch))


async def total(client):
    (register,) = (await client.get(TOTALS)).json()["registers"]
    return register["energy_mWh"], register["emitted_ng"], register["baseline_ng"], register["rows"]


@pytest.fixture
def ledger(make_batch, bodies):
    intervals, entries = bodies
    return make_batch(
        [
            intervals(0, (1, 7)),
            entries(1, (0, 0, WIDE, None), (0, 1, 5, None)),
            correction((1, -7), (2, 9)),
            entries(3, (0, 0, -WIDE, None), (1, 0, 2 * WIDE, None)),
            restatement((0, 1, -2 * WIDE, None), (0, 2, 3 * WIDE, 4), (1, 1, -5, None), (1, 2, 6, None)),
        ]
    )


async def test_a_correction_and_a_restatement_count(client, ledger):
    await post(client, ledger.head(2))
    assert await total(client) == (7, str(WIDE), None, 1)
    await post(client, ledger.head(4))
    assert await total(client) == (9, str(2 * WIDE), None, 1)
    await post(client, ledger)
    assert await total(client) == (9, str(3 * WIDE), "4", 1)
    await post(client, ledger)
    assert await total(client) == (9, str(3 * WIDE), "4", 1)


async def test_the_rows_of_a_restatement_are_in_the_file(client, store, ledger):
    await post(client, ledger)
    rows = await store._run(
        lambda conn: conn.execute(
            "SELECT seq, row, day, lens, factor, kind, rows, energy_mWh, emitted_ng, baseline_ng FROM restatement"
        ).fetchall()
    )
    assert rows[:2] == [
        (5, 0, "1970-01-01", "location", "cn-grid/CN-SC/2022/location@1", 1, 1, -7, str(-2 * WIDE), None),
        (5, 1, "1970-01-01", "location", "cn-grid/CN-SC/2023/location@1", 2, 1, 7, str(3 * WIDE), "4"),
    ]


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        ({"r": [1, 0]}, "record 1: index 1 is outside meta.registers, which has 1 items"),
        ({"factor": [0, None]}, "record 1: column factor of kind restatement must not hold null"),
        ({"hash": ["ab", None]}, "record 1: column hash of kind restatement must hold text"),
        ({"rows": ["1", "1"]}, "record 1: column rows of kind restatement must hold whole numbers"),
    ],
)
async def test_a_restatement_that_cannot_be_read_is_rejected(client, make_batch, broken, sentence):
    response = await post(client, make_batch([restatement((0, 1, 1, None), (0, 2, 1, None), **broken)]))
    assert response.status_code == 422
    assert response.json()["detail"] == sentence


async def test_coverage_is_kept_as_it_is(client, store, make_batch):
    body = encode_block(
        "coverage",
        {"registers": [["grid", "import_energy", "import", "mWh"]], "at_ms": 9},
        {"r": [0], "since_ms": [1], "state": [1]},
    )
    assert (await post(client, make_batch([body]))).json() == {"acked_through": 1}
    assert await store._run(lambda conn: conn.execute("SELECT body FROM record").fetchall()) == [(body,)]


async def test_a_file_of_version_1_takes_its_restatements_up(client, store, ledger, tmp_path, caplog):
    """As an earlier receiver left it: restatements kept as bytes, and none of their rows."""
    await post(client, ledger)
    await store._run(
        lambda conn: conn.executescript(
            "DROP TABLE restatement; DROP TABLE tombstone; DROP TABLE tombstone_sum;"
            "INSERT INTO record SELECT epoch_id, stream, 6, kind, CAST(replace(body, 'CN', '') AS BLOB), hash"
            " FROM record WHERE seq = 5; UPDATE record SET body = x'7b7d' WHERE seq = 6; PRAGMA user_version = 1;"
            "VACUUM INTO '%s'" % (tmp_path / "old.db")
        )
    )
    for _ in range(2):
        async with CentralStore.open(tmp_path / "old.db") as later:
            (register,) = await later.totals("qiyang-01")
            assert (register["emitted_ng"], register["baseline_ng"]) == (str(3 * WIDE), "4")
    (record,) = caplog.records
    assert "held_record_unreadable gateway=qiyang-01 text=record 6: " in record.message


async def test_a_file_of_a_later_version_is_refused(tmp_path):
    with closing(sqlite3.connect(tmp_path / "new.db")) as conn:
        conn.executescript("CREATE TABLE t (a); PRAGMA user_version = 4;")
    with pytest.raises(CentralError, match=r"new.db: the file is not a huxi receiver of version 3 \(it says 4\)"):
        async with CentralStore.open(tmp_path / "new.db"):
            pass


def test_the_bodies_here_are_canonical():
    for body in (correction((1, -7), (2, 9)), restatement((0, 1, 1, None))):
        block = decode_block(body)
        assert encode_block(block.kind, block.meta, block.columns) == body
