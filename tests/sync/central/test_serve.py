"""The receiver as a real process: delivered to over loopback, stopped, killed."""

import asyncio
import signal
import sqlite3
import ssl
from contextlib import closing
from random import Random

import httpx
import pytest

from sync.central.store import is_postgres
from sync.forwarder import Forwarder
from sync.transports.client import Way
from sync.transports.https import HttpsTransport
from tests.postgres import query
from tests.sync.central.receivers import HASTY, Receiver, deliver, fill, problems, secret_at, self_signed

INTERVAL_COLUMNS = (
    *("epoch_id", "seq", "row", "t0_ms", "t1_ms", "register_id", "register_epoch", "energy_mWh"),
    *("raw_begin", "raw_end", "class", "flags", "kind"),
)


@pytest.fixture
def secret(where):
    """The token of qiyang-01 at a receiver that does not run."""
    return secret_at(where)


@pytest.fixture
def receiver(where, secret):
    with closing(Receiver(where, secret)) as receiver:
        yield receiver


@pytest.fixture
def hasty(where, secret):
    """A receiver that acknowledges first and commits later: the control that must be caught."""
    with closing(Receiver(where, secret, HASTY)) as receiver:
        yield receiver


EAGER = """
import builtins, os, signal

said = print

def print_and_stop(*args, **kwargs):
    said(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGTERM)

builtins.print = print_and_stop
"""


async def test_a_stop_is_heard_from_the_first_line_on(tmp_path):
    with closing(Receiver(str(tmp_path / "central.db"), "", EAGER)) as receiver:
        receiver.start()
        assert receiver.stop(0) == (0, "")  # no signal but its own


@pytest.mark.slow
async def test_a_ledger_arrives_over_real_sockets_and_a_stop_is_clean(receiver, outbox, bodies):
    receiver.start()
    fill(outbox, bodies, 50)
    outbox.fill("events", 3)
    await deliver(outbox, receiver, 100)
    async with httpx.AsyncClient(
        base_url=receiver.url, headers={"Authorization": f"Bearer {receiver.token}"}
    ) as client:
        totals = (await client.get("/v1/gateways/qiyang-01/totals")).json()["registers"]
    odd_seqs = sum(range(1, 100, 2))
    assert [(t["register"], int(t["energy_mWh"]), t["emitted_ng"], t["baseline_ng"], t["rows"]) for t in totals] == [
        ("import_energy", 50, str(odd_seqs), None, 50),
        ("yield", odd_seqs, "0", str(odd_seqs), 50),
    ]
    assert receiver.stop(signal.SIGTERM) == (0, "")
    assert problems(receiver.where, outbox) == []


@pytest.mark.slow
async def test_promise_25_kill_9_between_and_in_batches_loses_and_doubles_nothing(receiver, outbox, bodies):
    fill(outbox, bodies, 300)
    random = Random(7)
    for until in (50, 150, 300, 420):
        receiver.start()
        await deliver(outbox, receiver, until)
        transport = HttpsTransport(Way(url=receiver.url), receiver.token)
        in_flight = asyncio.create_task(Forwarder(outbox, transport, random=Random(1), max_batch_bytes=3000).flush())
        await asyncio.sleep(random.uniform(0, 0.05))
        receiver.stop(signal.SIGKILL)
        assert await in_flight is False
        await transport.aclose()
        assert until <= outbox.marks["ledger"] < 600
        assert problems(receiver.where, outbox) == []
    receiver.start()
    await deliver(outbox, receiver, 600)
    assert receiver.stop(signal.SIGINT)[0] == 0
    assert problems(receiver.where, outbox) == []


@pytest.mark.slow
async def test_control_the_checker_catches_a_receiver_that_acknowledges_too_early(hasty, outbox, bodies):
    hasty.start()
    fill(outbox, bodies, 20)
    await deliver(outbox, hasty, 40)
    hasty.stop(signal.SIGKILL)
    assert problems(hasty.where, outbox)[:2] == [
        "record 1 is acknowledged and lost",
        "record 2 is acknowledged and lost",
    ]


@pytest.mark.slow
async def test_control_the_checker_catches_a_doubled_row_and_a_changed_record(receiver, outbox, bodies):
    receiver.start()
    fill(outbox, bodies, 5)
    await deliver(outbox, receiver, 10)
    receiver.stop(signal.SIGTERM)
    columns = ", ".join(column if column != "row" else "9" for column in INTERVAL_COLUMNS)
    statements = (
        f"INSERT INTO interval SELECT {columns} FROM interval WHERE seq = 3 AND row = 0",
        "UPDATE record SET body = hash WHERE seq = 4",
    )
    if is_postgres(receiver.where):
        for statement in statements:
            query(receiver.where, statement)
    else:
        with closing(sqlite3.connect(receiver.where)) as conn, conn:
            conn.executescript(";".join(statements))
    assert problems(receiver.where, outbox) == ["record 4 is not what was sent", "record 3 has 3 rows"]


async def test_it_speaks_tls_with_a_certificate_of_its_own(tmp_path):
    certificate = await asyncio.to_thread(self_signed, tmp_path, "mine")
    with closing(Receiver(str(tmp_path / "central.db"), "", certificate=certificate)) as receiver:
        receiver.start()
        assert receiver.url.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=certificate[0])
        async with httpx.AsyncClient(base_url=receiver.url, verify=trusting) as client:
            assert (await client.get("/healthz")).json() == {"ok": True}
        async with httpx.AsyncClient(base_url=receiver.url) as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get("/healthz")
        assert receiver.stop(signal.SIGTERM) == (0, "")
