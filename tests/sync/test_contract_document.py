"""docs/sync-contract.md is true: its example is made again here and sent to the reference receiver."""

import gzip
import hashlib
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import httpx
import pytest

import sync
from gateway.carbon.booking.close import Books, close
from gateway.carbon.booking.entries import Scope
from gateway.carbon.booking.restate import Order, restated, write
from gateway.carbon.booking.rules import Declaration
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.intervals import Intervals, RegisterName
from gateway.carbon.metering.correction import STEP, Correction, Piece
from gateway.carbon.metering.span import Span
from gateway.carbon.metering.sweep import Sweep
from gateway.store.database import SCHEMA_VERSION
from gateway.store.flag import Flag
from gateway.store.ledger.day_index import DayIndex
from gateway.store.ledger.live_day import LiveDay
from gateway.store.migrations import migrate
from sync.central.app import build
from sync.central.store import CentralStore
from sync.messages import GENESIS, Batch, Record, Tombstone, chain
from sync.set_aside import SPLIT, halves, stone
from sync.wire import (
    MAX_INFLATED_BYTES,
    MAX_PACKED_BYTES,
    MAX_RECORDS,
    decode_batch,
    encode_batch,
)

TEXT = (Path(sync.__file__).parents[1] / "docs" / "sync-contract.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^```\w+ ([\w-]+)\n(.*?)\n```$", TEXT, re.MULTILINE | re.DOTALL))

GRID = RegisterName("grid-meter", "import_energy", "import")
PV = RegisterName("pv-pergola", "accumulated_yield", "generation")
T0_MS, FIVE_MIN = 1_767_052_800_000, 300_000
"""30 December 2025: the values of 2023 are published the day after."""
FACTORS = FactorSet.load(shipped())
BOOKS = Books(
    scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"),
    factors=FACTORS,
    devices={"grid-meter": Declaration(role="grid"), "pv-pergola": Declaration(role="pv", baseline="grid")},
)


@pytest.fixture(scope="module")
def bodies() -> list[bytes]:
    """The records of the example, as the gateway writes them."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        migrate(conn, SCHEMA_VERSION)
        close(conn, sweep=Sweep(intervals=_intervals()), books=BOOKS, now_ms=T0_MS + 602_000)
        close(conn, sweep=_correction(), books=BOOKS, now_ms=T0_MS + 902_000)
        index, live = DayIndex(), LiveDay(date(2025, 12, 30), "Asia/Shanghai")
        while index.read_on(conn) or live.read_on(conn, index):
            pass
        order = Order(
            factor_set="cn-grid",
            run="cn-grid@2026-01-10",
            reason="values of 2023",
            as_of_ms=T0_MS + 11 * 86_400_000,
        )
        block = restated(live, order, FACTORS)
        assert block is not None
        write(conn, block)
        return [body for (body,) in conn.execute("SELECT body FROM record ORDER BY seq")]


def _intervals() -> Intervals:
    return Intervals(
        registers=[GRID, PV],
        r=[0, 0, 1],
        epoch=[1, 1, 1],
        t0_ms=[T0_MS, T0_MS + FIVE_MIN, T0_MS],
        t1_ms=[T0_MS + FIVE_MIN, T0_MS + 2 * FIVE_MIN, T0_MS + FIVE_MIN],
        energy_mWh=[1_500_000, None, 250_000],
        raw_begin=[2**53 + 1, None, 8841],
        raw_end=[2**53 + 151, None, 8866],
        row_class=[0, 4, 0],
        flags=[0, 0, 1],
        kind=[0, 0, 0],
    )


def _correction() -> Sweep:
    """Half a kilowatt-hour that the grid meter showed late."""
    span = Span(T0_MS, T0_MS + FIVE_MIN, 500_000, epoch=1)
    correction = Correction(GRID, STEP, span, [Piece(T0_MS, T0_MS + FIVE_MIN, 500_000)])
    return Sweep(intervals=Intervals(registers=[]), corrections=[correction])


@pytest.fixture
def batch(bodies):
    hash_after = GENESIS
    for seq, body in enumerate(bodies, 1):
        hash_after = chain(hash_after, seq, body)
    kinds = ("intervals", "entries", "intervals", "entries", "restatement")
    return Batch(
        gateway="qiyang-01",
        epoch="00c0ffee00c0ffee",
        stream="ledger",
        first_seq=1,
        hash_before=GENESIS,
        hash_after=hash_after,
        records=tuple(
            Record(stream="ledger", seq=seq, kind=kind, body=body)
            for (seq, body), kind in zip(enumerate(bodies, 1), kinds, strict=True)
        ),
    )


def test_the_bodies_of_the_example(bodies):
    assert [EXAMPLES[f"body-{seq}"].encode() for seq in range(1, 6)] == bodies


def test_the_hashes_of_the_example(batch):
    stated = dict(line.split(" = ") for line in EXAMPLES["hashes"].splitlines())
    assert stated == {f"h_{i}": h.hex() for i, h in enumerate(batch.hashes())}


def test_the_hashes_over_interval_entries_as_a_stranger_makes_them():
    """From the text alone: plain JSON, no code of ours."""
    first, _, third, _, restatement = (json.loads(EXAMPLES[f"body-{seq}"]) for seq in range(1, 6))
    grid, pv = third["columns"], first["columns"]
    assert grid["kind"] == [1, 2]
    in_force = [(grid, 1, "emitted_ng"), (pv, 2, "baseline_ng")]
    values, texts = restatement["meta"]["values"], []
    for columns, row, amount in in_force:
        t0_ms, t1_ms, energy_mWh = (
            sum(columns["t0"][: row + 1]),
            sum(columns["t1"][: row + 1]),
            columns["energy_mWh"][row],
        )
        for sign, value in ((-1, values[0]), (1, values[1])):
            carbon = sign * energy_mWh * value
            emitted, baseline = (carbon, "") if amount == "emitted_ng" else (0, carbon)
            texts.append(f"{t0_ms},{t1_ms},{columns['epoch'][row]},{sign * energy_mWh},0,{emitted},{baseline}\n")
    assert restatement["columns"]["hash"] == [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    assert EXAMPLES["hashed"] == texts[0].rstrip("\n")


def test_the_batch_of_the_example(batch, bodies):
    assert decode_batch(encode_batch(batch)) == batch
    unpacked = gzip.decompress(encode_batch(batch))
    assert unpacked == b"".join(line + b"\n" for line in (EXAMPLES["header"].encode(), *bodies))


async def test_the_answers_of_the_example(batch, make_batch, tmp_path):
    async with CentralStore.open(tmp_path / "central.db") as store:
        token = await store.add("qiyang-01", "gateway", "qiyang", "pavilion")
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(build(store)),
            base_url="http://central",
            headers={"Authorization": f"Bearer {token}"},
        ) as client:

            async def post(batch):
                return await client.post("/v1/gateways/qiyang-01/streams/ledger/batches", content=encode_batch(batch))

            gap = await post(make_batch(first_seq=6))
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


def test_the_tombstone_and_the_remainders_of_the_example(batch, bodies):
    hashes = list(batch.hashes())
    span = Tombstone(first_seq=1, hash_before=hashes[0], hash_after=hashes[1])
    detail = "record 1: no such register (422)"
    found = stone("ledger", 1, span, reason=SPLIT, detail=detail, sums=[])
    parts = halves(1, bodies[0])
    assert EXAMPLES["tombstone"].encode() == found.body
    assert (EXAMPLES["remainder-6"].encode(), EXAMPLES["remainder-7"].encode()) == parts
    for seq, part in zip((6, 7), parts, strict=True):
        hashes.append(chain(hashes[-1], seq, part))
    assert EXAMPLES["hashes-on"].splitlines() == [f"h_{seq} = {hashes[seq].hex()}" for seq in (6, 7)]


async def test_the_example_with_its_tombstone_is_taken_by_the_receiver(batch, bodies, tmp_path):
    """Each row is rejected or waits for its remainder; in the end the totals are those of the example."""
    parts = halves(1, bodies[0]) + halves(2, bodies[1])
    hashes = list(batch.hashes())
    stones = [
        stone(
            "ledger",
            seq,
            Tombstone(first_seq=seq, hash_before=hashes[seq - 1], hash_after=hashes[seq]),
            reason=SPLIT,
            detail="",
            sums=[],
        )
        for seq in (1, 2)
    ]
    for seq, part in enumerate(parts, 6):
        hashes.append(chain(hashes[-1], seq, part))
    remainders = [Record(stream="ledger", seq=seq, kind="remainder", body=part) for seq, part in enumerate(parts, 6)]
    whole = replace(batch, hash_after=hashes[-1], records=(*stones, *batch.records[2:], *remainders))
    async with CentralStore.open(tmp_path / "central.db") as store:
        assert await store.take("qiyang-01", "ledger", encode_batch(whole)) == 9
        totals = {"registers": await store.totals("qiyang-01")}
    assert totals == json.loads(EXAMPLES["answer-totals"])


def test_the_limits_are_stated():
    for limit, what in (
        (MAX_PACKED_BYTES, "bytes packed"),
        (MAX_INFLATED_BYTES, "bytes inflated"),
        (MAX_RECORDS, "records"),
    ):
        assert f"{limit}{what}".replace(" ", "") in "".join(TEXT.split())


def test_every_flag_is_named_in_its_order():
    (row,) = re.findall(r"^\| `flags` \| bits, from the lowest: (.*) \|$", TEXT, re.MULTILINE)
    assert row.split(", ") == [str(flag.name).lower() for flag in Flag]
