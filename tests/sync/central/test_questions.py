"""What is asked of a receiver: rows page by page, and how gateways stand."""

import pytest

from sync.central import queries
from sync.central.access import Party
from sync.wire import encode_batch

GATEWAY = "/v1/gateways/qiyang-01"
BATCHES = f"{GATEWAY}/streams/ledger/batches"


@pytest.fixture
async def filled(client, make_batch, bodies):
    """Ten sweeps, then an eleventh of a new epoch."""
    intervals, entries = bodies
    records = []
    for number in range(10):
        records.append(intervals(number * 300_000, (0, number), (1, None)))
        records.append(entries(2 * number + 1, (0, 0, number, None), (0, 1, 5, 6)))
    await client.post(BATCHES, content=encode_batch(make_batch(records)))
    await client.post(BATCHES, content=encode_batch(make_batch([intervals(3_000_000, (0, 10))], epoch="e" * 16)))
    return client


async def pages(client, path, **asked):
    """All rows, page by page, and how many pages there were."""
    rows, after, count = [], "", 0
    while after is not None:
        answer = (await client.get(f"{GATEWAY}{path}", params=asked | {"after": after})).json()
        rows += answer["rows"]
        after = answer["after"]
        count += 1
    return rows, count


@pytest.mark.parametrize(("limit", "count"), [(1, 22), (3, 8), (7, 4), (1000, 1)])
async def test_intervals_page_by_page_in_the_order_of_booking(filled, limit, count):
    rows, found = await pages(filled, "/intervals", limit=limit)
    assert found == count
    assert [(row["seq"], row["row"]) for row in rows[:20]] == [(seq, row) for seq in range(1, 20, 2) for row in (0, 1)]
    assert [row["energy_mWh"] for row in rows[:20:2]] == list(range(10))
    assert [row["energy_mWh"] for row in rows[1:20:2]] == [None] * 10
    assert {row["raw_begin"] for row in rows} == {str(2**53 + 1)}
    assert (rows[20]["epoch"], rows[20]["seq"], rows[20]["energy_mWh"]) == ("e" * 16, 1, 10)


async def test_the_ledger_page_by_page(filled):
    rows, _ = await pages(filled, "/ledger", limit=3)
    assert [(row["seq"], row["row"]) for row in rows] == [(seq, row) for seq in range(2, 21, 2) for row in (0, 1)]
    assert [(row["lens"], row["emitted_ng"], row["baseline_ng"]) for row in rows[:4]] == [
        ("location", "0", None),
        ("market", "5", "6"),
        ("location", "1", None),
        ("market", "5", "6"),
    ]
    assert {(row["factor"], row["kind"], row["rows"], row["day"]) for row in rows} == {("", 0, 1, None)}
    assert [row["t0_ms"] for row in rows[::2]] == [300_000 * number for number in range(10)]


async def test_a_span_of_time(filled):
    rows, _ = await pages(filled, "/intervals", from_ms=300_000, to_ms=900_000)
    assert [row["t0_ms"] for row in rows] == [300_000, 300_000, 600_000, 600_000]
    rows, _ = await pages(filled, "/ledger", from_ms=2_700_000)
    assert [row["seq"] for row in rows] == [20, 20]


@pytest.mark.parametrize(
    "asked", [{"limit": 0}, {"limit": 10_001}, {"after": "x"}, {"after": "1.2"}, {"from_ms": "now"}, {"to_ms": 2**60}]
)
async def test_a_question_that_cannot_be(client, asked):
    for path in ("/intervals", "/ledger"):
        response = await client.get(f"{GATEWAY}{path}", params=asked)
        assert (response.status_code, response.json()["error"]) == (422, "question")
        assert response.json()["detail"].startswith(f"{next(iter(asked))}: ")


async def test_a_gateway_that_brings_nothing_new_for_an_hour_is_silent(filled, store, held):
    party = await store.gateway("qiyang-01")
    assert isinstance(party, Party)
    ((received_ms,),) = await held("SELECT max(received_ms) FROM stream")
    for later_ms, state in ((queries.SILENT_MS, "delivers"), (queries.SILENT_MS + 1, "silent")):
        (at,) = await store._run(queries.health, [party], received_ms + later_ms)
        assert at["state"] == state


async def test_the_list_comes_in_pages(client, store, token):
    for number in range(5):
        await store.add(f"g-{number}", "gateway", "qiyang", "pavilion")
    client.headers["Authorization"] = f"Bearer {token.others['everyone']}"
    names, after = [], ""
    while after is not None:
        answer = (await client.get("/v1/gateways", params={"limit": 3, "after": after})).json()
        names += [gateway["gateway"] for gateway in answer["gateways"]]
        after = answer["after"]
    assert names == ["g-0", "g-1", "g-2", "g-3", "g-4", "other-02", "qiyang-01"]
