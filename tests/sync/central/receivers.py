"""Receivers as real processes on real databases, ledgers to deliver to them, and what looks for losses afterwards."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random

import sync
from sync.central import access
from sync.central.store import is_postgres, open_access
from sync.forwarder import Forwarder
from sync.transports.client import Way
from sync.transports.https import HttpsTransport
from tests.postgres import query
from tests.scale import scaled

ROOT = Path(sync.__file__).parents[1]
HONEST = """
from pathlib import Path
from sync.central.serve import Certificate, serve

serve({where!r}, {listen!r}, {certificate})
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
    """Receiver processes, one after the other, on one database and one port."""

    def __init__(self, where, token, before="", certificate=None):
        self.where = where
        self.token = token
        self._before = before
        self._certificate = f"Certificate(Path({certificate[0]!r}), Path({certificate[1]!r}))" if certificate else None
        self._listen = "127.0.0.1:0"
        self._process = None

    def start(self):
        code = HONEST.format(where=self.where, listen=self._listen, certificate=self._certificate)
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._before + code],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self._process.stdout.readline()
        assert line.startswith("huxi central listens on http"), line + self._process.stderr.read()
        self.url = line.split()[-1]
        self._listen = self.url.partition("://")[2]

    def stop(self, number):
        """Exit code and what it said on stderr."""
        self._process.send_signal(number)
        _, errors = self._process.communicate(timeout=20)
        return self._process.returncode, errors

    def close(self):
        if self._process and self._process.poll() is None:
            self.stop(signal.SIGKILL)


def self_signed(folder, name):
    """Paths of a certificate for 127.0.0.1 and of its key."""
    paths = (str(folder / f"{name}.pem"), str(folder / f"{name}.key"))
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    make += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", paths[0], "-keyout", paths[1]]
    subprocess.run(make, check=True, capture_output=True)
    return paths


def secret_at(where, gateway="qiyang-01"):
    """The token of a new gateway at a receiver that does not run."""
    with closing(open_access(where)) as database:
        return access.add(database, gateway, access.GATEWAY, "qiyang", "pavilion")


def fill(outbox, bodies, closes):
    intervals, entries = bodies
    for _ in range(closes):
        seq = len(outbox.records["ledger"]) + 1
        outbox.append("ledger", intervals(seq * 300_000, (0, seq), (1, 1)), "intervals")
        outbox.append("ledger", entries(seq, (0, 0, 0, seq), (1, 0, seq, None)), "entries")


def ask(where, sql):
    """Asks the database of a receiver, whether it runs (PostgreSQL) or not."""
    if is_postgres(where):
        return query(where, sql)
    with closing(sqlite3.connect(f"file:{where}?mode=ro", uri=True)) as conn:
        return conn.execute(sql).fetchall()


def problems(where, outbox):
    """What is wrong in the receiver's database, given what the gateway produced and was told is held."""
    found = []
    records = [(seq, bytes(body)) for seq, body in ask(where, "SELECT seq, body FROM record WHERE stream = 'ledger'")]
    held = dict(records)
    (mark,) = (ask(where, "SELECT acked_through FROM stream WHERE stream = 'ledger'") or [(0,)])[0]
    rows = Counter(seq for (seq,) in ask(where, "SELECT seq FROM interval UNION ALL SELECT seq FROM entry"))
    produced = {record.seq: record.body for record in outbox.records["ledger"]}
    found += [
        f"record {seq} is acknowledged and lost" for seq in range(1, outbox.marks["ledger"] + 1) if seq not in held
    ]
    found += [f"record {seq} is not what was sent" for seq, body in held.items() if produced[seq] != body]
    if sorted(seq for seq, _ in records) != list(range(1, mark + 1)):
        found.append(f"the receiver's mark {mark} does not fit its {len(records)} records")
    found += [f"record {seq} has {rows[seq]} rows" for seq in held if rows[seq] != 2]
    found += [f"rows of record {seq} without it" for seq in set(rows) - set(held)]
    return found


async def deliver(outbox, receiver, until):
    """Runs a forwarder until the mark reaches `until`."""
    transport = HttpsTransport(Way(url=receiver.url), receiver.token)
    task = asyncio.create_task(Forwarder(outbox, transport, random=Random(1), max_batch_bytes=3000).run())
    try:
        async with asyncio.timeout(scaled(60, 600)):
            while outbox.marks["ledger"] < until:
                outbox.settled.clear()
                await outbox.settled.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await transport.aclose()
