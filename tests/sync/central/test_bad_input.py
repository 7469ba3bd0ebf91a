"""Batches that nobody should send: refused with one sentence, shown to a person, in bounded memory; nothing is lost."""

import gzip
import json
import tracemalloc
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync.central import ingest
from sync.central.sqlite import SqliteDatabase
from sync.errors import Malformed, Rejected
from sync.messages import Batch
from sync.wire import MAX_INFLATED_BYTES, encode_batch, encode_block
from tests.scale import scaled
from tests.sync.central.test_corrections import restatement

BATCHES = "/v1/gateways/qiyang-01/streams/ledger/batches"
HEALTH = "/v1/gateways/qiyang-01"


def broken_batches(make_batch, intervals, entries):
    """What is posted, the status, and the begin of the sentence."""
    good = intervals(0, (0, 1000), (1, 7))
    packed = encode_batch(make_batch([good]))
    yield packed[: len(packed) // 2], 400, "the batch is cut off"
    yield packed[:-1], 400, "the batch is cut off"
    yield packed + b"more", 400, "the batch has bytes after the end of its packed stream"
    yield packed + packed, 400, "the batch has bytes after the end"
    yield zlib.compress(bytes(512 << 20), 9, 31), 413, "the batch inflates to more than"
    yield gzip.compress(gzip.decompress(packed).rstrip(b"\n"), mtime=0), 400, "the header announces 1 records"
    yield encode_batch(make_batch([good], gateway="other-02")), 400, "the batch is of gateway other-02"
    yield encode_batch(make_batch([good.replace(b"yield", b"\\ud800")])), 400, "record 1 is not JSON"
    for broken, sentence in (
        (good.replace(b"[1000,7]", b'["1000",7]'), "column energy_mWh of kind intervals must hold whole numbers"),
        (good.replace(b"[1000,7]", b"[1e3,7]"), "intervals.columns.energy_mWh holds 1000.0, which JSON"),
        (good.replace(b"[1000,7]", b"[0.5,7]"), "intervals.columns.energy_mWh holds 0.5, which JSON readers"),
        (good.replace(b"[1000,7]", b"[true,7]"), "column energy_mWh holds True, which is not a whole number"),
        (
            good.replace(b"[1000,7]", b"[9007199254740992,7]"),
            "intervals.columns.energy_mWh holds 9007199254740992, which is beyond 2**53",
        ),
        (good.replace(b"9007199254740993", b"9007199254740993x"), "column raw_begin holds '9007199254740993x'"),
        (good.replace(b"9007199254740993", b"0009007199254740993"), "column raw_begin holds '0009007199254740993'"),
        (good.replace(b"9007199254740993", b"9" * 41), "column raw_begin holds"),
        (good.replace(b"[300000,0]", b"[-1,0]"), "row 0 of kind intervals ends at -1, which is not after its begin 0"),
        (good.replace(b"[300000,0]", b"[300000,-300000]"), "row 1 of kind intervals ends at 0"),
        (good.replace(b'"class":[0,0]', b'"class":[0,32768]'), "column class of kind intervals must hold numbers from"),
        (good.replace(b'"kind":[0,0]', b'"kind":[0,3]'), "column kind of kind intervals must hold 0, 1 or 2"),
        (good.replace(b'"yield"', b'"\\u0000"'), "a name in meta.registers has more than 128 characters, or control"),
        (good.replace(b'"yield"', b'"' + b"y" * 129 + b'"'), "a name in meta.registers has more than 128 characters"),
        (good.replace(b",", b", ", 1), "kind intervals is not canonical JSON"),
        (entries(1, (0, 0, 1, 1)), "an entry refers to row 0 of record 1, which is not there"),
        (entries(2**52, (0, 0, 1, 1)), "an entry refers to row 0 of record 4503599627370496"),
        (restatement((0, 1, 1, None), hash=["AB" * 32]), "column hash of kind restatement must hold 64 hex digits"),
        (restatement((0, 1, 1, None)).replace(b"1970-01-01", b"1970-02-30"), "kind restatement needs meta.day"),
        (restatement((0, 1, 1, None), t1=[0]), "row 0 of kind restatement ends at 0"),
    ):
        yield encode_batch(make_batch([broken])), 422, f"record 1: {sentence}"
    yield encode_batch(make_batch([good], hash_after=bytes(32))), 422, "hash_after is not the chain hash"


async def test_what_cannot_be_is_refused_and_shown_and_the_stream_goes_on(client, make_batch, bodies):
    for body, status, sentence in broken_batches(make_batch, *bodies):
        response = await client.post(BATCHES, content=body)
        assert response.status_code == status, (sentence, response.text)
        assert response.json()["detail"].startswith(sentence)
        health = (await client.get(HEALTH)).json()
        assert health["state"] == "refused"
        assert health["detail"].endswith(response.json()["detail"])
        assert health["streams"]["ledger"]["acked_through"] == 0
    assert (await client.get(f"{HEALTH}/totals")).json() == {"registers": []}
    good = make_batch([bodies[0](0, (0, 1000), (1, 7))])
    assert (await client.post(BATCHES, content=encode_batch(good))).json() == {"acked_through": 1}
    assert (await client.get(HEALTH)).json()["state"] == "delivers"


async def test_another_epoch_is_another_history(client, make_batch, bodies):
    intervals, _ = bodies
    first = make_batch([intervals(0, (0, 1)), intervals(300_000, (0, 2))])
    await client.post(BATCHES, content=encode_batch(first))
    mixed = make_batch([intervals(600_000, (0, 3))], first_seq=3, hash_before=first.hash_after, epoch="d" * 16)
    response = await client.post(BATCHES, content=encode_batch(mixed))
    assert (response.status_code, response.json()["expected"]) == (409, 1)
    anew = make_batch([intervals(600_000, (0, 3))], epoch="d" * 16)
    assert (await client.post(BATCHES, content=encode_batch(anew))).json() == {"acked_through": 1}
    assert (await client.get(f"{HEALTH}/totals")).json()["registers"][0]["energy_mWh"] == "6"


async def test_energy_beyond_2_to_53_is_a_decimal_string(client, make_batch, bodies):
    intervals, _ = bodies
    most = 2**53 - 1
    await client.post(BATCHES, content=encode_batch(make_batch([intervals(0, *[(0, most)] * 1100)])))
    response = await client.get(f"{HEALTH}/totals")
    assert f'"energy_mWh":"{1100 * most}"' in response.text
    assert 1100 * most > 2**63


async def test_names_of_many_bytes_fit_every_index(client, make_batch):
    wide = "\U0001f343" * 128
    meta = {"registers": [[wide, wide, wide, "mWh"]]}
    names = ("r", "epoch", "t0", "energy_mWh", "raw_begin", "raw_end", "class", "flags", "kind")
    ones = {name: [0] for name in names}
    body = encode_block("intervals", meta, {**ones, "t1": [1]})
    assert (await client.post(BATCHES, content=encode_batch(make_batch([body])))).json() == {"acked_through": 1}


async def test_a_bomb_costs_little_memory(client):
    bomb = zlib.compress(bytes(512 << 20), 9, 31)
    tracemalloc.start()
    try:
        assert (await client.post(BATCHES, content=bomb)).status_code == 413
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MAX_INFLATED_BYTES


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    database = SqliteDatabase.open(tmp_path_factory.mktemp("hostile") / "central.db")
    database.prepare()
    yield database
    database.close()


cells = st.none() | st.integers(-(2**54), 2**70) | st.text(max_size=3) | st.booleans() | st.floats(allow_nan=False)
columns = st.sampled_from(["r", "epoch", "t0", "t1", "energy_mWh", "raw_begin", "raw_end", "class", "flags", "kind"])


@settings(max_examples=scaled(300, 100_000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=columns, cell=cells, row=st.integers(0, 1), cut=st.integers(0, 40))
def test_promise_20_one_odd_cell_is_refused_or_taken_and_never_more(file, make_batch, bodies, name, cell, row, cut):
    """Any value in any column of a good block, and now and then a body cut short: refused in our words, or exact."""
    block = json.loads(bodies[0](0, (0, 1000), (1, 7)))
    block["columns"][name][row] = cell
    body = json.dumps(block, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    batch: Batch = make_batch([body[:-cut] if 0 < cut < 5 else body])
    file.execute("DELETE FROM stream")
    file.execute("DELETE FROM record")
    file.execute("DELETE FROM interval")
    try:
        ingest.take(file, batch.gateway, "ledger", encode_batch(batch))
    except (Malformed, Rejected):
        assert file.execute("SELECT count(*) FROM interval") == [(0,)]
    else:
        assert file.execute("SELECT count(*) FROM interval") == [(2,)]
        assert file.execute("SELECT body FROM record") == [(batch.records[0].body,)]
