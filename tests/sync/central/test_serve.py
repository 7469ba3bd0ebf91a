"""The receiver as a real process: started, delivered to over loopback, refused, stopped, killed."""

import asyncio
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from random import Random

import httpx
import pytest

import sync
from sync.central.errors import CentralError
from sync.central.serve import serve
from sync.forwarder import Forwarder
from sync.transports.client import Way
from sync.transports.https import HttpsTransport

ROOT = Path(sync.__file__).parents[1]
HONEST = """
from pathlib import Path
from sync.central.serve import serve

serve(Path({db!r}), {listen!r}, Path({tokens!r}))
"""
HASTY = """
import asyncio
from sync.central.store import CentralStore
from sync.wire import decode_batch

honest = CentralStore.take
later = set()

async def take(self, gateway, stream, packed):
    async def commit():
        await asyncio.sleep(30)
        await honest(self, gateway, stream, packed)
    later.add(asyncio.create_task(commit()))
    return decode_batch(packed).last_seq

CentralStore.take = take
"""


class Receiver:
    """Receiver processes, one after the other, on one file and one port."""

    def __init__(self, folder, before=""):
        self.db = folder / "central.db"
        self._tokens = folder / "tokens"
        self._tokens.write_text("qiyang-01:secret\n")
        self._tokens.chmod(0o600)
        self._before = before
        self._listen = "127.0.0.1:0"
        self._process = None

    def start(self):
        code = self._before + HONEST.format(db=str(self.db), listen=self._listen, tokens=str(self._tokens))
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        line = self._process.stdout.readline()
        assert line.startswith("huxi central listens on http://127.0.0.1:"), line + self._process.stderr.read()
        self.url = line.split()[-1]
        self._listen = self.url.removeprefix("http://")

    def stop(self, number):
        """Exit code and what it said on stderr."""
        self._process.send_signal(number)
        _, errors = self._process.communicate(timeout=20)
        return self._process.returncode, errors

    def close(self):
        if self._process and self._process.poll() is None:
            self.stop(signal.SIGKILL)


@pytest.fixture
def receiver(tmp_path):
    with closing(Receiver(tmp_path)) as receiver:
        yield receiver


@pytest.fixture
def hasty(tmp_path):
    """A receiver that acknowledges first and commits later: the control that must be caught."""
    with closing(Receiver(tmp_path, HASTY)) as receiver:
        yield receiver


def fill(outbox, bodies, closes):
    intervals, entries = bodies
    for _ in range(closes):
        seq = len(outbox.records["ledger"]) + 1
        outbox.append("ledger", intervals(seq * 300_000, (0, seq), (1, 1)), "intervals")
        outbox.append("ledger", entries(seq, (0, 0, 0, seq), (1, 0, seq, None)), "entries")


def problems(db, outbox):
    """What is wrong in the receiver's file, given what the gateway produced and was told is held."""
    found = []
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as conn:
        held = dict(conn.execute("SELECT seq, body FROM record WHERE stream = 'ledger'"))
        (mark,) = conn.execute("SELECT acked_through FROM stream WHERE stream = 'ledger'").fetchone() or (0,)
        rows = [seq for (seq,) in conn.execute("SELECT seq FROM interval UNION ALL SELECT seq FROM entry")]
    produced = {record.seq: record.body for record in outbox.records["ledger"]}
    found += [
        f"record {seq} is acknowledged and lost" for seq in range(1, outbox.marks["ledger"] + 1) if seq not in held
    ]
    found += [f"record {seq} is not what was sent" for seq, body in held.items() if produced[seq] != body]
    if sorted(held) != list(range(1, mark + 1)):
        found.append(f"the receiver's mark {mark} does not fit its {len(held)} records")
    found += [f"record {seq} has {rows.count(seq)} rows" for seq in held if rows.count(seq) != 2]
    found += [f"rows of record {seq} without it" for seq in set(rows) - set(held)]
    return found


async def deliver(outbox, url, until):
    """Runs a forwarder until the mark reaches `until`."""
    transport = HttpsTransport(Way(url=url), "secret")
    task = asyncio.create_task(Forwarder(outbox, transport, random=Random(1), max_batch_bytes=3000).run())
    try:
        async with asyncio.timeout(20):
            while outbox.marks["ledger"] < until:
                outbox.settled.clear()
                await outbox.settled.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await transport.aclose()


async def test_a_ledger_arrives_over_real_sockets_and_a_stop_is_clean(receiver, outbox, bodies):
    receiver.start()
    fill(outbox, bodies, 50)
    outbox.fill("events", 3)
    await deliver(outbox, receiver.url, 100)
    async with httpx.AsyncClient(base_url=receiver.url, headers={"Authorization": "Bearer secret"}) as client:
        totals = (await client.get("/v1/gateways/qiyang-01/totals")).json()["registers"]
    odd_seqs = sum(range(1, 100, 2))
    assert [(t["register"], t["energy_mWh"], t["emitted_ng"], t["baseline_ng"], t["rows"]) for t in totals] == [
        ("import_energy", 50, str(odd_seqs), None, 50),
        ("yield", odd_seqs, "0", str(odd_seqs), 50),
    ]
    assert receiver.stop(signal.SIGTERM) == (0, "")
    assert not receiver.db.with_name("central.db-wal").exists()
    assert problems(receiver.db, outbox) == []


@pytest.mark.slow
async def test_promise_25_kill_9_between_and_in_batches_loses_and_doubles_nothing(receiver, outbox, bodies):
    fill(outbox, bodies, 300)
    random = Random(7)
    for until in (50, 150, 300, 420):
        receiver.start()
        await deliver(outbox, receiver.url, until)
        transport = HttpsTransport(Way(url=receiver.url), "secret")
        in_flight = asyncio.create_task(Forwarder(outbox, transport, random=Random(1), max_batch_bytes=3000).flush())
        await asyncio.sleep(random.uniform(0, 0.05))
        receiver.stop(signal.SIGKILL)
        assert await in_flight is False
        await transport.aclose()
        assert until <= outbox.marks["ledger"] < 600
        assert problems(receiver.db, outbox) == []
    receiver.start()
    await deliver(outbox, receiver.url, 600)
    assert receiver.stop(signal.SIGINT)[0] == 0
    assert problems(receiver.db, outbox) == []


@pytest.mark.slow
async def test_control_the_checker_catches_a_receiver_that_acknowledges_too_early(hasty, outbox, bodies):
    hasty.start()
    fill(outbox, bodies, 20)
    await deliver(outbox, hasty.url, 40)
    hasty.stop(signal.SIGKILL)
    assert problems(hasty.db, outbox)[:2] == [
        "record 1 is acknowledged and lost",
        "record 2 is acknowledged and lost",
    ]


@pytest.mark.slow
async def test_control_the_checker_catches_a_doubled_row_and_a_changed_record(receiver, outbox, bodies):
    receiver.start()
    fill(outbox, bodies, 5)
    await deliver(outbox, receiver.url, 10)
    receiver.stop(signal.SIGTERM)
    with closing(sqlite3.connect(receiver.db)) as conn, conn:
        conn.execute("CREATE TEMP TABLE copy AS SELECT * FROM interval WHERE seq = 3 AND row = 0")
        conn.execute("UPDATE copy SET row = 9")
        conn.execute("INSERT INTO interval SELECT * FROM copy")
        conn.execute("UPDATE record SET body = x'00' WHERE seq = 4")
    assert problems(receiver.db, outbox) == ["record 4 is not what was sent", "record 3 has 3 rows"]


async def test_a_second_receiver_on_the_same_file_is_refused(receiver, tmp_path):
    receiver.start()
    with pytest.raises(CentralError, match="another receiver running"):
        await asyncio.to_thread(serve, receiver.db, "127.0.0.1:0", tmp_path / "tokens")


@pytest.fixture
def tokens(tmp_path):
    path = tmp_path / "tokens"
    path.write_text("qiyang-01:secret\n")
    path.chmod(0o600)
    return path


def test_a_port_in_use_is_named(tmp_path, tokens):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(CentralError, match=f"cannot listen on {listen}: the port is in use"):
            serve(tmp_path / "central.db", listen, tokens)


@pytest.mark.parametrize("listen", ["", "8490", "localhost", ":8490", "127.0.0.1:port", "127.0.0.1:99999", "a:1/x"])
def test_an_address_that_is_none(tmp_path, tokens, listen):
    with pytest.raises(CentralError, match="write HOST:PORT"):
        serve(tmp_path / "central.db", listen, tokens)


def test_a_host_that_is_not_ours(tmp_path, tokens):
    with pytest.raises(CentralError, match=r"cannot listen on 192\.0\.2\.1:8490"):
        serve(tmp_path / "central.db", "192.0.2.1:8490", tokens)


def test_files_that_cannot_be_the_receiver_s(tmp_path, tokens, capsys):
    (tmp_path / "text.db").write_text("no database, only text " * 100)
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as conn:
        conn.execute("CREATE TABLE t (x)")
    for name, sentence in (
        ("none/central.db", "cannot be opened"),
        ("text.db", "cannot be used"),
        ("foreign.db", "not a huxi receiver"),
    ):
        with pytest.raises(CentralError, match=sentence):
            serve(tmp_path / name, "127.0.0.1:0", tokens)
    assert capsys.readouterr().out == ""


def test_a_token_file_for_everybody_is_refused_first(tmp_path, tokens):
    tokens.chmod(0o644)
    with pytest.raises(CentralError, match="run `chmod o="):
        serve(tmp_path / "central.db", "127.0.0.1:0", tokens)
    assert not (tmp_path / "central.db").exists()
