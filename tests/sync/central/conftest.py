"""A receiver with a real file, and ledgers to send to it."""

import httpx
import pytest

from sync.central.app import build
from sync.central.store import CentralStore
from sync.central.tokens import Tokens
from sync.wire import encode_block

REGISTERS = [["pv", "yield", "generation", "mWh"], ["grid", "import_energy", "import", "mWh"]]


def intervals(start_ms, *rows):
    """Body of an intervals record: rows of (register index, energy_mWh)."""
    return encode_block(
        "intervals",
        {"registers": REGISTERS},
        {
            "r": [r for r, _ in rows],
            "epoch": [1] * len(rows),
            "t0": [start_ms] * len(rows),
            "t1": [start_ms + 300_000] * len(rows),
            "energy_mWh": [energy for _, energy in rows],
            "raw_begin": [2**53 + 1] * len(rows),
            "raw_end": [2**64 - 1] * len(rows),
            "class": [0] * len(rows),
            "flags": [0] * len(rows),
            "kind": [0] * len(rows),
        },
    )


def entries(intervals_seq, *rows, **other):
    """Body of an entries record: rows of (interval row, lens index, emitted_ng, baseline_ng)."""
    columns = {
        "i": [row[0] for row in rows],
        "lens": [row[1] for row in rows],
        "account": [0] * len(rows),
        "method": [0] * len(rows),
        "factor": [None] * len(rows),
        "emitted_ng": [row[2] for row in rows],
        "baseline_ng": [row[3] for row in rows],
        "class": [0] * len(rows),
        "flags": [0] * len(rows),
    }
    meta = {
        "registers": REGISTERS,
        "lenses": ["location", "market"],
        "accounts": ["inventory"],
        "methods": ["electricity-1"],
        "factors": [],
        "intervals_seq": intervals_seq,
    }
    return encode_block("entries", meta, columns | other)


@pytest.fixture
def bodies():
    """The two body makers."""
    return intervals, entries


@pytest.fixture
async def store(tmp_path):
    async with CentralStore.open(tmp_path / "central.db") as store:
        yield store


@pytest.fixture
async def client(store):
    """An HTTP client of the application, with the token of qiyang-01."""
    app = build(store, Tokens({"qiyang-01": "right", "other-02": "its-own"}))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://central",
        headers={"Authorization": "Bearer right"},
    ) as client:
        yield client
