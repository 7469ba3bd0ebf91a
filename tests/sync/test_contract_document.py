"""docs/sync-contract.md is true: its example is made again here and sent to the reference receiver."""

import gzip
import json
import re
from pathlib import Path

import httpx
import pytest

import sync
from sync.central.app import build
from sync.central.store import CentralStore
from sync.central.tokens import Tokens
from sync.messages import GENESIS, Batch, Record, chain
from sync.wire import (
    MAX_INFLATED_BYTES,
    MAX_PACKED_BYTES,
    MAX_RECORDS,
    decode_batch,
    encode_batch,
    encode_block,
)

TEXT = (Path(sync.__file__).parents[1] / "docs" / "sync-contract.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^```\w+ ([\w-]+)\n(.*?)\n```$", TEXT, re.MULTILINE | re.DOTALL))

REGISTERS = [
    ["grid-meter", "import_energy", "import", "mWh"],
    ["pv-pergola", "accumulated_yield", "generation", "mWh"],
]
T0_MS, T1_MS = 1_767_225_600_000, 1_767_225_900_000
FACTOR_MG_PER_KWH = 140_400

INTERVALS = encode_block(
    "intervals",
    {"bounds": [], "registers": REGISTERS},
    {
        "r": [0, 0, 1],
        "epoch": [1, 1, 1],
        "t0": [T0_MS, T1_MS, T0_MS],
        "t1": [T1_MS, T1_MS + 300_000, T1_MS],
        "energy_mWh": [1_500_000, None, 250_000],
        "raw_begin": [2**53 + 1, None, 8841],
        "raw_end": [2**53 + 151, None, 8866],
        "class": [0, 4, 0],
        "flags": [0, 0, 1],
        "kind": [0, 0, 0],
    },
)
ENTRIES = encode_block(
    "entries",
    {
        "accounts": ["inventory", "allocation", "project", "memo"],
        "factors": ["CN-SC-2022@1"],
        "intervals_seq": 1,
        "lenses": ["location"],
        "methods": ["electricity.grid-average/1", "electricity.none/1", "electricity.grid-displaced/1"],
        "registers": REGISTERS,
    },
    {
        "i": [0, 2, 2],
        "lens": [0, 0, 0],
        "account": [0, 3, 2],
        "method": [0, 1, 2],
        "factor": [0, None, 0],
        "emitted_ng": [1_500_000 * FACTOR_MG_PER_KWH, 0, 0],
        "baseline_ng": [None, None, 250_000 * FACTOR_MG_PER_KWH],
        "class": [0, 0, 0],
        "flags": [0, 1, 1],
    },
)


@pytest.fixture
def batch():
    first = chain(GENESIS, 1, INTERVALS)
    return Batch(
        gateway="qiyang-01",
        epoch="00c0ffee00c0ffee",
        stream="ledger",
        first_seq=1,
        hash_before=GENESIS,
        hash_after=chain(first, 2, ENTRIES),
        records=(
            Record(stream="ledger", seq=1, kind="intervals", body=INTERVALS),
            Record(stream="ledger", seq=2, kind="entries", body=ENTRIES),
        ),
    )


def test_the_bodies_of_the_example():
    assert EXAMPLES["body-1"].encode() == INTERVALS
    assert EXAMPLES["body-2"].encode() == ENTRIES


def test_the_hashes_of_the_example(batch):
    stated = dict(line.split(" = ") for line in EXAMPLES["hashes"].splitlines())
    assert stated == {f"h_{i}": h.hex() for i, h in enumerate(batch.hashes())}


def test_the_batch_of_the_example(batch):
    header = EXAMPLES["header"].encode()
    assert decode_batch(encode_batch(batch)) == batch
    unpacked = gzip.decompress(encode_batch(batch))
    assert unpacked == header + b"\n" + INTERVALS + b"\n" + ENTRIES + b"\n"


async def test_the_answers_of_the_example(batch, make_batch, tmp_path):
    async with CentralStore.open(tmp_path / "central.db") as store:
        app = build(store, Tokens({"qiyang-01": "right"}))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://central",
            headers={"Authorization": "Bearer right"},
        ) as client:

            async def post(batch):
                return await client.post("/v1/gateways/qiyang-01/streams/ledger/batches", content=encode_batch(batch))

            gap = await post(make_batch(first_seq=3))
            ack = await post(batch)
            fork = await post(make_batch())
            stream = await client.get("/v1/gateways/qiyang-01/streams/ledger")
            totals = await client.get("/v1/gateways/qiyang-01/totals")
    for name, response, status in (
        ("answer-ack", ack, 200),
        ("answer-gap", gap, 409),
        ("answer-fork", fork, 409),
        ("answer-stream", stream, 200),
        ("answer-totals", totals, 200),
    ):
        assert (response.status_code, response.json()) == (status, json.loads(EXAMPLES[name])), name


def test_the_limits_are_stated():
    for limit, what in (
        (MAX_PACKED_BYTES, "bytes packed"),
        (MAX_INFLATED_BYTES, "bytes inflated"),
        (MAX_RECORDS, "records"),
    ):
        assert f"{limit}{what}".replace(" ", "") in "".join(TEXT.split())
