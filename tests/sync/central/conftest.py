"""A receiver with a real file, and ledgers to send to it."""

import httpx
import pytest

from sync.central.app import build
from sync.central.store import CentralStore
from sync.wire import encode_block
from tests.postgres import MISSING, cluster, programs

WIDE = 2**53 + 1
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


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of our own, for as long as the tests run."""
    if programs() is None:
        pytest.skip(MISSING)
    with cluster() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def where(request, tmp_path):
    """Where a receiver may keep everything: a file, then a database of a server."""
    if request.param == "sqlite":
        return str(tmp_path / "central.db")
    return request.getfixturevalue("postgres").new()


@pytest.fixture
async def store(where):
    async with CentralStore.open(where) as store:
        yield store


@pytest.fixture
async def token(store):
    """The token of qiyang-01; other-02 and the reader of everything have theirs in `token.others`."""
    mine = Token(await store.add("qiyang-01", "gateway", "qiyang", "pavilion"))
    mine.others = {
        "other-02": await store.add("other-02", "gateway", "elsewhere", "pavilion"),
        "everyone": await store.add("everyone", "reader", None),
    }
    return mine


class Token(str):
    """A token, and those of others."""


@pytest.fixture
async def client(store, token):
    """An HTTP client of the application, with the token of qiyang-01."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(build(store)),
        base_url="http://central",
        headers={"Authorization": f"Bearer {token}"},
    ) as client:
        yield client


@pytest.fixture
def held(store):
    """Asks the database of the receiver itself."""

    async def ask(sql):
        return await store._run(lambda db: db.execute(sql))

    return ask


@pytest.fixture
def ledger(make_batch, bodies):
    """Two sweeps with amounts at the edges of what numbers hold."""
    intervals, entries = bodies
    return make_batch(
        [
            intervals(0, (0, 1000), (1, 7)),
            entries(1, (0, 0, 0, WIDE), (1, 0, WIDE, None), (1, 1, 999, 999)),
            intervals(300_000, (0, 2**53 - 1), (1, None)),
            entries(3, (0, 0, 0, 2**63)),
        ]
    )
