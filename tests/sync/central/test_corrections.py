"""What takes back what was booked: totals stay right."""

import pytest

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
    return int(register["energy_mWh"]), register["emitted_ng"], register["baseline_ng"], register["rows"]


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


async def test_the_rows_of_a_restatement_are_told(client, ledger):
    await post(client, ledger)
    rows = (await client.get("/v1/gateways/qiyang-01/ledger")).json()["rows"]
    assert [
        (row["seq"], row["row"], row["day"], row["lens"], row["factor"], row["kind"], row["rows"], row["emitted_ng"])
        for row in rows[4:6]
    ] == [
        (5, 0, "1970-01-01", "location", "cn-grid/CN-SC/2022/location@1", 1, 1, str(-2 * WIDE)),
        (5, 1, "1970-01-01", "location", "cn-grid/CN-SC/2023/location@1", 2, 1, str(3 * WIDE)),
    ]
    assert [row["baseline_ng"] for row in rows[4:6]] == [None, "4"]


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        ({"r": [1, 0]}, "record 1: index 1 is outside meta.registers, which has 1 items"),
        ({"factor": [0, None]}, "record 1: column factor of kind restatement must not hold null"),
        ({"hash": ["ab", None]}, "record 1: column hash of kind restatement must hold 64 hex digits"),
        ({"rows": ["1", "1"]}, "record 1: column rows of kind restatement must hold whole numbers"),
    ],
)
async def test_a_restatement_that_cannot_be_read_is_rejected(client, make_batch, broken, sentence):
    response = await post(client, make_batch([restatement((0, 1, 1, None), (0, 2, 1, None), **broken)]))
    assert response.status_code == 422
    assert response.json()["detail"] == sentence


def coverage(state, at_ms, since_ms=1):
    return encode_block(
        "coverage",
        {"registers": [["grid", "import_energy", "import", "mWh"]], "at_ms": at_ms},
        {"r": [0], "since_ms": [since_ms], "state": [state]},
    )


WORDS = ["silent", "held", "asleep", "frozen", "out of range", "disconnected", "no value", "refused", "9"]


@pytest.mark.parametrize(("state", "word"), list(enumerate(WORDS, 1)))
async def test_why_a_register_is_behind_is_told_in_a_word_until_it_is_back(client, held, make_batch, state, word):
    body = coverage(state, 9)
    assert (await post(client, make_batch([body]))).json() == {"acked_through": 1}
    assert await held("SELECT body FROM record") == [(body,)]
    path = "/v1/gateways/qiyang-01/coverage"
    register = {"device": "grid", "register": "import_energy", "flow": "import"}
    assert (await client.get(path)).json() == {"registers": [{**register, "state": word, "since_ms": 1, "at_ms": 9}]}
    assert f"<td>1 {word}</td>" in (await client.get("/")).text
    assert (await client.get("/v1/gateways/qiyang-01")).json()["late"] == {word: 1}
    await post(client, make_batch([body, coverage(0, 20)]))
    assert (await client.get(path)).json() == {"registers": []}
    assert f"<td>1 {word}</td>" not in (await client.get("/")).text
    client.headers["Authorization"] = "Bearer wrong"
    assert (await client.get(path)).status_code == 401


async def test_coverage_without_its_time_is_rejected(client, make_batch):
    response = await post(client, make_batch([coverage(1, None)]))
    assert response.status_code == 422
    assert response.json()["detail"] == "record 1: kind coverage needs meta.at_ms, a time"


def test_the_bodies_here_are_canonical():
    for body in (correction((1, -7), (2, 9)), restatement((0, 1, 1, None))):
        block = decode_block(body)
        assert encode_block(block.kind, block.meta, block.columns) == body
